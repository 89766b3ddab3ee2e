//! What shared memory itself does not have: ways to keep a writer and its readers apart, and to
//! wait for each other.
//!
//! | module | progress | when its holder is killed | needs |
//! | --- | --- | --- | --- |
//! | [`semaphore`] | blocking | the count is undone (`SEM_UNDO`), the data stays half written, and nobody is told | a kernel object beside the memory |
//! | [`mutex`] | blocking | the next to lock is told, and must repair the data first | write access for everybody |
//! | [`seqlock`] | wait-free writer, bounded tries for readers | readers go without until the next writer publishes | one writer at a time |
//! | [`futex`] | waits for a change, keeps nobody apart | nothing: waiters wait on | one aligned 32-bit word |
//!
//! The package `race-demo` runs the first three against each other.

mod fork;
pub mod futex;
pub mod mutex;
pub mod semaphore;
pub mod seqlock;

use crate::shared::{SharedMemory, Writer};
use seqlock::SeqLock;

/// What `seqlock` is made of. The package `model` puts loom's in its place.
mod atomic {
    pub(super) use std::hint::spin_loop;
    pub(super) use std::sync::atomic::{AtomicU32, Ordering, fence};
}

// SAFETY: `#[repr(C)]` 32-bit atomics only, so no padding and no pointers, every bit pattern is
// valid, and what is public on `&self` only loads.
unsafe impl<const WORDS: usize> SharedMemory for SeqLock<WORDS> {}

impl<const WORDS: usize> Writer<'_, SeqLock<WORDS>> {
    /// Stores one whole publication: `WORDS` words. It never waits. There must be no other writer: two
    /// at once mix their words, and readers take the mixture for whole.
    pub fn publish(self, words: [u32; WORDS]) {
        self.publish_with(|index| words[index]);
    }

    /// Stores one whole publication as [`Writer::publish`] does, of words that `word` computes from
    /// their index while the publication is under way.
    pub fn publish_with(self, word: impl FnMut(usize) -> u32) {
        SeqLock::publish(&self, word);
    }
}
