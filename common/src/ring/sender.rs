//! The end of a ring where messages go in.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use super::end::{End, common_methods};
use super::queue::{Queue, SenderAt};
use super::{Killed, Peer, Side, WORDS as USUAL};
use crate::error::{Refusal, Result};
use crate::mapping::RecordFile;
use crate::shared::ReadWrite;

/// The one sender of a ring. See the [module](super) for what holds when it is killed.
#[derive(Debug)]
pub struct Sender<const WORDS: usize = USUAL> {
    end: End<WORDS>,
    at: SenderAt,
}

impl<const WORDS: usize> Sender<WORDS> {
    /// Becomes the sender of the ring in `file`: mmap(2), then fcntl(2) `F_OFD_SETLK`. It goes on behind the
    /// last message of the one before.
    ///
    /// # Errors
    ///
    /// `EAGAIN` from fcntl(2) if there is another one; refused if the file's size or header is not that of
    /// such a ring, or its indices can't be; those of mmap(2).
    pub fn claim(file: RecordFile<ReadWrite>) -> Result<Self> {
        let (end, at) = End::claim(file, Side::Sender, Queue::sender_at)?;
        Ok(Self { end, at })
    }

    /// The bytes of the longest message.
    #[must_use]
    pub fn longest() -> usize {
        Queue::<WORDS>::LONGEST as usize
    }

    /// Puts a message in, as a whole, and wakes the receiver if it sleeps. Returns whether there was room:
    /// if not, [`Sender::wait`] and try again.
    ///
    /// # Errors
    ///
    /// Refused if it is longer than [`Sender::longest`], or if the receiver's index can't be.
    pub fn send(&mut self, message: &[u8]) -> Result<bool> {
        if message.len() > Self::longest() {
            let (found, most) = (message.len() as u64, Self::longest());
            return Err(self.end.refused("send", Refusal::TooLong { found, most }));
        }
        self.put(Some(message))
    }

    /// Puts the end of the stream in, behind all messages. Returns whether there was room. What is sent
    /// after that is another stream.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::send`].
    pub fn end(&mut self) -> Result<bool> {
        self.put(None)
    }

    fn put(&mut self, message: Option<&[u8]>) -> Result<bool> {
        let sent = self.end.queue().send(&mut self.at, message);
        let sent = sent.map_err(|it| self.end.broken("send", it))?;
        if sent {
            self.end.wake();
        }
        Ok(sent)
    }

    /// After [`Sender::send`] has found no room: sleeps until the receiver has released something, or `flag`
    /// is not 0, but for no longer than `patience`; it may return early: futex_waitv(2).
    ///
    /// A receiver that is killed wakes nobody. So the patience should be short, and [`Sender::peer`] be
    /// asked after it.
    pub fn wait(&mut self, flag: &AtomicU32, patience: Duration) {
        let at = &self.at;
        self.end.wait(|queue| queue.sender_sleeps_on(at), flag, patience);
    }

    common_methods!();
}
