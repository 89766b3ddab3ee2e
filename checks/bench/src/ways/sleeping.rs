//! Shared memory, and a reader that sleeps in the kernel until there is something new.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use common::mapping::Mapping;
use common::sync::futex;
use common::{ConnStat, ReadWrite, SharedConnStat, SharedU32};
use nix::sys::eventfd::EventFd;

use super::spinning::Seq;
use crate::way::{RECORD, Result, Way, fill};

/// Longer than any hand-over: who sleeps is woken.
const PATIENCE: Duration = Duration::from_secs(1);

type Word = Mapping<SharedU32, ReadWrite>;

fn wake(word: &Word, number: u32) {
    word.writer().store(number, Release);
    futex::wake(&**word, 1);
}

fn sleep_until(word: &Word, number: u32) {
    loop {
        let seen = word.load(Acquire);
        if seen == number {
            return;
        }
        futex::wait(&**word, seen, PATIENCE);
    }
}

/// The floor of sleeping: a word, `FUTEX_WAKE` and `FUTEX_WAIT`. It carries nothing but the number.
pub struct BareFutex([Word; 2]);

impl Way for BareFutex {
    fn new(_: usize) -> Result<Self> {
        Ok(Self([Mapping::anonymous()?, Mapping::anonymous()?]))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        wake(&self.0[out], message[0]);
        Ok(())
    }

    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()> {
        sleep_until(&self.0[from], number);
        fill(message, number);
        Ok(())
    }
}

/// A seqlock, and a word beside it to sleep on.
pub struct SeqFutex(Seq<RECORD>, [Word; 2]);

impl Way for SeqFutex {
    fn new(words: usize) -> Result<Self> {
        Ok(Self(Seq::new(words)?, [Mapping::anonymous()?, Mapping::anonymous()?]))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        self.0.send(out, message)?;
        wake(&self.1[out], message[0]);
        Ok(())
    }

    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()> {
        sleep_until(&self.1[from], number);
        self.0.receive(from, number, message)
    }
}

/// What the pairs of the lesson do with `--follow`: C's record, whose own count is the futex.
pub struct Follow([Mapping<SharedConnStat, ReadWrite>; 2], AtomicU32);

impl Way for Follow {
    fn new(_: usize) -> Result<Self> {
        Ok(Self([Mapping::anonymous()?, Mapping::anonymous()?], AtomicU32::new(0)))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        let message: [u32; RECORD] = message.try_into()?;
        let writer = self.0[out].writer();
        writer.store(&bytemuck::cast::<_, ConnStat>(message));
        writer.wake();
        Ok(())
    }

    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()> {
        loop {
            let stat = self.0[from].load();
            if stat.count == number.cast_signed() {
                message.copy_from_slice(&bytemuck::cast::<_, [u32; RECORD]>(stat));
                return Ok(());
            }
            self.0[from].wait_unless(stat.count, &self.1, PATIENCE);
        }
    }
}

/// A seqlock, and an eventfd(2) beside it, which a poll(2) could wait for together with other things.
pub struct SeqEventFd(Seq<RECORD>, [EventFd; 2]);

impl Way for SeqEventFd {
    fn new(words: usize) -> Result<Self> {
        Ok(Self(Seq::new(words)?, [EventFd::new()?, EventFd::new()?]))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        self.0.send(out, message)?;
        self.1[out].write(1)?;
        Ok(())
    }

    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()> {
        self.1[from].read()?;
        self.0.receive(from, number, message)
    }
}
