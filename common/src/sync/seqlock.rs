//! Seqlock: one writer that never waits, any number of readers that never write.
//!
//! The writer makes the sequence number odd, stores the words, and makes it even again. A reader
//! loads the sequence, the words, and the sequence again: if it was even and is the same, no
//! publication ran meanwhile, and the words belong together; if not, it tries again.
//!
//! | | |
//! | --- | --- |
//! | guarantees | a snapshot is one whole publication, never a mixture of two |
//! | progress | the writer is wait-free; a reader is not: a writer that publishes without a pause can make it fail for ever, so the number of tries is bounded |
//! | needs | one writer at a time; readers need no more than a read-only mapping |
//! | a reader dies | nobody notices |
//! | the writer dies | in the middle of a publication the sequence stays odd: readers get [`Busy`] until the next writer publishes, which makes it even again |
//! | limit | a reader that is held up for exactly 2^31 publications takes two different ones for the same |
//!
//! Textbook seqlocks load the words with plain loads and throw torn ones away, which is a data race
//! and undefined behaviour. Here the words are relaxed atomics and four fences order them, as in
//! Hans Boehm, "Can Seqlocks Get Along With Programming Language Memory Models?" (MSPC 2012). The
//! package `model` has loom check them: with all four it finds no torn snapshot, without any one it does.

use crate::atomic::{AtomicU32, Ordering, fence, spin_loop};

/// `WORDS` 32-bit words that are published together. All zeros is a valid start: zeros, published.
#[derive(Debug)]
#[repr(C)]
pub struct SeqLock<const WORDS: usize> {
    /// Odd while a publication runs.
    sequence: AtomicU32,
    words: [AtomicU32; WORDS],
}

impl<const WORDS: usize> Default for SeqLock<WORDS> {
    /// All zeros, published: what new shared pages hold without being written.
    fn default() -> Self {
        Self { sequence: AtomicU32::new(0), words: std::array::from_fn(|_| AtomicU32::new(0)) }
    }
}

/// No snapshot in as many tries as were allowed: the writer is too fast, or died while publishing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

impl<const WORDS: usize> SeqLock<WORDS> {
    /// Loads one whole publication, in at most `tries` tries.
    ///
    /// # Errors
    ///
    /// [`Busy`] if a publication ran during every try.
    pub fn snapshot(&self, tries: u32) -> Result<[u32; WORDS], Busy> {
        for _ in 0..tries {
            let before = self.sequence.load(Ordering::Relaxed);
            // The words are loaded after the sequence; pairs with the fence before the even store.
            fence(Ordering::Acquire);
            let words = std::array::from_fn(|index| self.words[index].load(Ordering::Relaxed));
            // The sequence is loaded again after the words; pairs with the fence after the odd
            // store: whoever has loaded a word of a later publication sees its odd number too.
            fence(Ordering::Acquire);
            let after = self.sequence.load(Ordering::Relaxed);
            if before == after && before.is_multiple_of(2) {
                return Ok(words);
            }
            spin_loop();
        }
        Err(Busy)
    }

    /// The sequence number: odd while a publication runs, and another one after it.
    ///
    /// A cheap look for who waits. If it is not what it was before the last snapshot, there is something
    /// new, and only then a snapshot is worth its loads: a look at every word has all their cache lines
    /// come here, and the writer must have each of them back.
    pub fn sequence(&self) -> u32 {
        self.sequence.load(Ordering::Relaxed)
    }

    /// Whether a publication is under way, or was when its writer died.
    pub fn is_publishing(&self) -> bool {
        self.sequence() % 2 == 1
    }

    /// Stores one whole publication. There must be no other writer.
    ///
    /// Where a dead writer has left the sequence odd it stays so until the words are stored: no
    /// reader has taken the dead writer's words, and none takes these before they are whole.
    ///
    /// `word` gives each word by its index.
    pub(super) fn publish(&self, mut word: impl FnMut(usize) -> u32) {
        let odd = self.sequence.load(Ordering::Relaxed) | 1;
        self.sequence.store(odd, Ordering::Relaxed);
        // The words are stored after the odd number.
        fence(Ordering::Release);
        for (index, shared) in self.words.iter().enumerate() {
            shared.store(word(index), Ordering::Relaxed);
        }
        // The even number is stored after the words.
        fence(Ordering::Release);
        self.sequence.store(odd.wrapping_add(1), Ordering::Relaxed);
    }
}
