//! Plain memory, as C has it: a flag says whose turn it is, and only that one touches the payload.
//!
//! It needs `unsafe`: if anybody is wrong about the turn, it is a race. Nobody gets a snapshot while the
//! other one writes, which is what a seqlock is for. So it is no cure, but the limit to measure against.

use std::sync::atomic::Ordering::{Acquire, Release};

use common::mapping::Mapping;
use common::{ReadWrite, SharedU32};
use nix::sys::mman::MapFlags;

use crate::raw::Plain;
use crate::way::{Result, Way, check, fill};

/// Payload and flag of one direction.
struct Turn {
    flag: Mapping<SharedU32, ReadWrite>,
    pages: Plain,
}

impl Turn {
    fn both(words: usize) -> Result<[Self; 2]> {
        let one = || {
            let pages = Plain::anonymous(words, MapFlags::empty())?;
            Ok::<_, Box<dyn std::error::Error>>(Self { flag: Mapping::anonymous()?, pages })
        };
        Ok([one()?, one()?])
    }

    fn give(&mut self, number: u32, write: impl FnOnce(&mut [u32])) {
        // SAFETY: the other process has taken the message before this one: its answer to it has come,
        // or there was none yet. It does not look at the words until the flag has the next number.
        write(unsafe { self.pages.write() });
        self.flag.writer().store(number, Release);
    }

    fn take<R>(&self, number: u32, read: impl FnOnce(&[u32]) -> R) -> R {
        while self.flag.load(Acquire) != number {}
        // SAFETY: the flag says that the message is there, and the other process waits for the answer.
        read(unsafe { self.pages.read() })
    }
}

/// A copy in by the sender, and a copy out by the receiver: memcpy(3).
pub struct Copies([Turn; 2]);

impl Way for Copies {
    fn new(words: usize) -> Result<Self> {
        Ok(Self(Turn::both(words)?))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        self.0[out].give(message[0], |shared| shared.copy_from_slice(message));
        Ok(())
    }

    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()> {
        self.0[from].take(number, |shared| message.copy_from_slice(shared));
        Ok(())
    }
}

/// The sender makes the payload in the shared pages, and the receiver reads it there.
pub struct InPlace(Copies);

impl Way for InPlace {
    fn new(words: usize) -> Result<Self> {
        Ok(Self(Copies::new(words)?))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        self.0.send(out, message)
    }

    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()> {
        self.0.receive(from, number, message)
    }

    fn produce(&mut self, out: usize, number: u32, _: &mut [u32]) -> Result<()> {
        self.0.0[out].give(number, |shared| fill(shared, number));
        Ok(())
    }

    fn consume(&mut self, from: usize, number: u32, _: &mut [u32]) -> Result<()> {
        self.0.0[from].take(number, |shared| check(shared, number))
    }
}
