//! What shared memory itself does not have: ways to keep a writer and its readers apart, and to
//! wait for each other.
//!
//! | module | progress | when its holder is killed | needs |
//! | --- | --- | --- | --- |
//! | [`semaphore`] | blocking | the count is undone (`SEM_UNDO`), the data stays half written, and nobody is told | a kernel object beside the memory |
//! | [`mutex`] | blocking | the next to lock is told, and must repair the data first | write access for everybody |
//! | [`posix_semaphore`] | blocking | everybody hangs | write access for everybody |
//! | [`named_semaphore`] | blocking | everybody hangs, and the name stays | write access to a file in /dev/shm |
//! | [`rwlock`] | blocking, readers side by side | everybody hangs | write access for everybody |
//! | [`record_lock`] | blocking | the kernel frees it, the data stays half written, and nobody is told | a file beside the memory |
//! | [`seqlock`] | wait-free writer, bounded tries for readers | readers go without until the next writer publishes | one writer at a time |
//! | [`two_slots`] | wait-free writer, bounded tries for readers | nothing: readers go on to get the last whole publication | one writer at a time |
//! | [`condition`] | waits for a change, keeps nobody apart | in the middle of a change: everybody hangs | write access for everybody |
//! | [`futex`] | waits for a change, keeps nobody apart | nothing: waiters wait on | one aligned 32-bit word |
//!
//! The package `race-demo` runs them against each other, but for the named semaphore and the last two.

pub mod condition;
pub mod futex;
pub mod mutex;
pub mod named_semaphore;
pub mod owner;
pub mod posix_semaphore;
pub mod record_lock;
pub mod rwlock;
pub mod semaphore;
pub mod seqlock;
pub mod two_slots;

use crate::shared::{SharedMemory, Writer};
use seqlock::SeqLock;
use two_slots::TwoSlots;

// SAFETY: `#[repr(C)]` 32-bit atomics only, so no padding and no pointers, every bit pattern is
// valid, and what is public on `&self` only loads.
unsafe impl<const WORDS: usize> SharedMemory for SeqLock<WORDS> {}

impl<const WORDS: usize> Writer<'_, SeqLock<WORDS>> {
    /// Stores one whole publication: `WORDS` words. It never waits. There must be no other writer: two
    /// at once mix their words, and readers take the mixture for whole.
    ///
    /// Words that are too few do not compile:
    ///
    /// ```compile_fail,E0308
    /// use common::{Writer, sync::seqlock::SeqLock};
    ///
    /// fn publish(seqlock: Writer<'_, SeqLock<3>>) {
    ///     seqlock.publish([1, 2]);
    /// }
    /// ```
    pub fn publish(self, words: [u32; WORDS]) {
        self.publish_with(|index| words[index]);
    }

    /// Stores one whole publication as [`Writer::publish`] does, of words that `word` computes from
    /// their index while the publication is under way.
    pub fn publish_with(self, word: impl FnMut(usize) -> u32) {
        SeqLock::publish(&self, word);
    }
}

// SAFETY: as for `SeqLock`.
unsafe impl<const WORDS: usize> SharedMemory for TwoSlots<WORDS> {}

impl<const WORDS: usize> Writer<'_, TwoSlots<WORDS>> {
    /// Stores one whole publication, wait-free if `word` is, which gives the word that belongs at an
    /// index. There must be no other writer: two at once may mix their words in one slot.
    pub fn publish(self, word: impl FnMut(usize) -> u32) {
        TwoSlots::publish(&self, word);
    }
}
