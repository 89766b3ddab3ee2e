//! Two slots, or a double buffer: the writer fills the slot that is not shown, and then shows it.
//!
//! The publications are numbered. Number n lies in slot n mod 2, and the number of the latest stands
//! beside the slots. A reader loads the number, the words of that slot, and the number again.
//!
//! | | |
//! | --- | --- |
//! | guarantees | a snapshot is one whole publication, never a mixture of two |
//! | progress | the writer is wait-free; a reader is not: each publication that ends while it loads makes it try again, so the number of tries is bounded |
//! | needs | one writer at a time; readers need no more than a read-only mapping |
//! | a reader dies | nobody notices |
//! | the writer dies | in the middle of a publication that nobody has been shown: readers go on to get the one before |
//! | limit | a reader that is held up for exactly 2^32 publications takes a mixture for whole |
//!
//! Without the second look at the number a slow reader gets a mixture. It is overtaken once, which
//! does no harm; but with the next publication the writer is back in the reader's slot, before that
//! publication is shown. So one overtaking is as much as the reader can allow, and it has to be the
//! last thing that it looks at.

use crate::atomic::{AtomicU32, Ordering, fence, spin_loop};

/// `WORDS` 32-bit words that are published together. All zeros is a valid start: zeros, published.
#[derive(Debug)]
#[repr(C)]
pub struct TwoSlots<const WORDS: usize> {
    /// The number of the latest publication. It lies in slot `latest % 2`.
    latest: AtomicU32,
    slots: [[AtomicU32; WORDS]; 2],
}

impl<const WORDS: usize> Default for TwoSlots<WORDS> {
    /// All zeros, published: what new shared pages hold without being written.
    fn default() -> Self {
        let slot = || std::array::from_fn(|_| AtomicU32::new(0));
        Self { latest: AtomicU32::new(0), slots: [slot(), slot()] }
    }
}

/// No snapshot in as many tries as were allowed: the writer is too fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overtaken;

impl<const WORDS: usize> TwoSlots<WORDS> {
    /// Loads one whole publication, in at most `tries` tries.
    ///
    /// # Errors
    ///
    /// [`Overtaken`] if another publication was shown during every try.
    pub fn snapshot(&self, tries: u32) -> Result<[u32; WORDS], Overtaken> {
        for _ in 0..tries {
            let number = self.latest.load(Ordering::Relaxed);
            // The words are loaded after the number; pairs with the fence before it is stored.
            fence(Ordering::Acquire);
            let words = self.slot(number).each_ref().map(|word| word.load(Ordering::Relaxed));
            // The number is loaded again after the words; pairs with the fence before the words are
            // stored: whoever has loaded a word of the publication after the next sees that the next
            // is shown.
            fence(Ordering::Acquire);
            if self.latest.load(Ordering::Relaxed) == number {
                return Ok(words);
            }
            spin_loop();
        }
        Err(Overtaken)
    }

    /// Stores one whole publication. There must be no other writer.
    ///
    /// What a dead writer has begun is overwritten: nobody has been shown it.
    ///
    /// `word` gives the word that belongs at an index, from 0 on, and is called once for each.
    pub(super) fn publish(&self, word: impl FnMut(usize) -> u32) {
        let next = self.latest.load(Ordering::Relaxed).wrapping_add(1);
        // The words are stored after the number of the publication before.
        fence(Ordering::Release);
        for (shared, word) in self.slot(next).iter().zip((0..WORDS).map(word)) {
            shared.store(word, Ordering::Relaxed);
        }
        // The number is stored after the words.
        fence(Ordering::Release);
        self.latest.store(next, Ordering::Relaxed);
    }

    fn slot(&self, number: u32) -> &[AtomicU32; WORDS] {
        &self.slots[usize::from(number % 2 == 1)]
    }
}
