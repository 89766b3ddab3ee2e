//! A lock around the record. Who waits for the next record takes the lock to look, again and again.

use std::sync::atomic::Ordering::Relaxed;

use common::mapping::Mapping;
use common::sync::mutex::{Lock, Mutex};
use common::sync::posix_semaphore::PosixSemaphore;
use common::sync::semaphore::Semaphore;
use common::sysv::Key;
use common::{ReadWrite, SharedU32, Writer};
use nix::unistd::{Pid, getpid};

use crate::way::{RECORD, Result, Way};

type Words = [SharedU32; RECORD];
type Pages = Mapping<Words, ReadWrite>;

/// Stores the record. Whoever calls it has the lock.
pub fn store(shared: Writer<'_, Words>, message: &[u32]) {
    for (index, word) in message.iter().enumerate() {
        shared.field(|words| &words[index]).store(*word, Relaxed);
    }
}

/// Loads the record if it is the one with this number.
fn load(shared: &Words, number: u32, message: &mut [u32]) -> bool {
    if shared[0].load(Relaxed) != number {
        return false;
    }
    for (word, shared) in message.iter_mut().zip(shared) {
        *word = shared.load(Relaxed);
    }
    true
}

/// Our robust mutex: one for each direction.
pub struct Robust([Mutex<Words>; 2]);

impl Way for Robust {
    fn new(_: usize) -> Result<Self> {
        Ok(Self([Mutex::anonymous()?, Mutex::anonymous()?]))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        let Lock::Clean(guard) = self.0[out].lock()? else { return Err("its owner died".into()) };
        store(guard.writer(), message);
        Ok(())
    }

    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()> {
        loop {
            let Lock::Clean(guard) = self.0[from].lock()? else {
                return Err("its owner died".into());
            };
            if load(&guard.writer(), number, message) {
                return Ok(());
            }
        }
    }
}

/// Our POSIX semaphore as a lock: one for each direction.
pub struct Posix([(PosixSemaphore, Pages); 2]);

impl Way for Posix {
    fn new(_: usize) -> Result<Self> {
        let one = || Ok::<_, common::Error>((PosixSemaphore::anonymous()?, Mapping::anonymous()?));
        Ok(Self([one()?, one()?]))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        let (semaphore, shared) = &self.0[out];
        let _held = semaphore.lock()?;
        store(shared.writer(), message);
        Ok(())
    }

    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()> {
        let (semaphore, shared) = &self.0[from];
        loop {
            let _held = semaphore.lock()?;
            if load(shared, number, message) {
                return Ok(());
            }
        }
    }
}

/// Our System V semaphore as a lock: a set for each direction.
pub struct SystemV([(Set, Pages); 2]);

/// A set that goes with the process that has made it.
pub struct Set(pub Semaphore, Pid);

impl Set {
    /// A new set.
    ///
    /// # Errors
    ///
    /// `ENOSPC` at the limit of sets.
    pub fn new() -> common::Result<Self> {
        Ok(Self(Semaphore::create(Key::Private, 0o600)?, getpid()))
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        if self.1 == getpid() {
            let _ = self.0.remove();
        }
    }
}

impl Way for SystemV {
    fn new(_: usize) -> Result<Self> {
        let one = || Ok::<_, common::Error>((Set::new()?, Mapping::anonymous()?));
        Ok(Self([one()?, one()?]))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        let (set, shared) = &self.0[out];
        let _held = set.0.lock()?;
        store(shared.writer(), message);
        Ok(())
    }

    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()> {
        let (set, shared) = &self.0[from];
        loop {
            let _held = set.0.lock()?;
            if load(shared, number, message) {
                return Ok(());
            }
        }
    }
}
