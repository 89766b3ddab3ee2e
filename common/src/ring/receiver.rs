//! The end of a ring where messages come out.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use super::end::{End, common_methods};
use super::queue::{Queue, Received, ReceiverAt};
use super::{Killed, Peer, Side, WORDS as USUAL};
use crate::error::Result;
use crate::mapping::RecordFile;
use crate::shared::ReadWrite;

/// The one receiver of a ring. See the [module](super) for what holds when it is killed.
#[derive(Debug)]
pub struct Receiver<const WORDS: usize = USUAL> {
    end: End<WORDS>,
    at: ReceiverAt,
}

impl<const WORDS: usize> Receiver<WORDS> {
    /// Becomes the receiver of the ring in `file`: mmap(2), then fcntl(2) `F_OFD_SETLK`. It begins with what
    /// the one before has not released.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::claim`](super::Sender::claim).
    pub fn claim(file: RecordFile<ReadWrite>) -> Result<Self> {
        let (end, at) = End::claim(file, Side::Receiver, Queue::receiver_at)?;
        Ok(Self { end, at })
    }

    /// Copies the next message into `message`, which holds nothing else afterwards. The message stays in the
    /// ring: should this process be killed before [`Receiver::release`], the next receiver gets it again.
    ///
    /// # Errors
    ///
    /// Refused if the sender's index or a length can't be.
    pub fn receive(&mut self, message: &mut Vec<u8>) -> Result<Received> {
        let received = self.end.queue().receive(&mut self.at, message);
        received.map_err(|it| self.end.broken("receive", it))
    }

    /// Gives the places of all that was received back to the sender, and wakes it if it sleeps.
    pub fn release(&mut self) {
        self.end.queue().release(&mut self.at);
        self.end.wake();
    }

    /// After [`Receiver::receive`] has found nothing: sleeps until the sender has put something in, or `flag`
    /// is not 0, but for no longer than `patience`; it may return early: futex_waitv(2).
    ///
    /// A sender that is killed wakes nobody. So the patience should be short, and [`Receiver::peer`] be
    /// asked after it.
    pub fn wait(&mut self, flag: &AtomicU32, patience: Duration) {
        let at = &self.at;
        self.end.wait(|queue| queue.receiver_sleeps_on(at), flag, patience);
    }

    common_methods!();
}
