//! Text in shared memory: C's `char text[N]`, as atomics.
//!
//! The bytes are what C has there: characters up to a NUL, or up to the end where there is none.
//! They are stored as 32-bit words, because sixteen loads are four times faster than sixty-four.

use std::fmt;

use crate::atomic::{AtomicU32, Ordering};
use crate::printable::Text;
use crate::shared::{SharedMemory, Writer};

/// Bytes in a word of [`SharedText`].
const WORD: usize = size_of::<u32>();

/// `char text[4 * WORDS]`, shared with other processes.
///
/// A text of more than one word is not stored or loaded in one piece: a reader may see the
/// beginning of a new text with the end of an old one. Whoever needs all of it or nothing needs a
/// mechanism around it; the programs here store the text before they publish the count.
///
/// Nor does a text keep any order by itself. It is published by a word: stored with `Release` after the
/// text, loaded with `Acquire` before it.
#[repr(transparent)]
pub struct SharedText<const WORDS: usize> {
    words: [AtomicU32; WORDS],
}

// SAFETY: an array of one primitive atomic has no padding and no pointers, every bit pattern of a
// `u32` is valid, and the only methods on `&self` load.
unsafe impl<const WORDS: usize> SharedMemory for SharedText<WORDS> {}

impl<const WORDS: usize> SharedText<WORDS> {
    /// Room for the text in bytes, including the NUL that ends it.
    pub const CAPACITY: usize = WORDS * WORD;

    /// Whether `text` fits, with its NUL.
    ///
    /// # Errors
    ///
    /// How long it is, if it is too long.
    pub fn fits(text: &str) -> Result<String, String> {
        match text.len() {
            length if length < Self::CAPACITY => Ok(text.into()),
            length => {
                let capacity = Self::CAPACITY;
                Err(format!("it has {length} bytes; the last of the {capacity} is for the NUL"))
            }
        }
    }

    /// Loads the text, word by word.
    #[must_use]
    pub fn load(&self) -> Text {
        Text::from_c(bytemuck::cast_slice(&self.load_words()))
    }

    pub(crate) fn load_words(&self) -> [u32; WORDS] {
        // Relaxed, as the stores are: a text says nothing about what else was stored.
        self.words.each_ref().map(|word| word.load(Ordering::Relaxed))
    }
}

impl<const WORDS: usize> Writer<'_, SharedText<WORDS>> {
    /// Stores `text` and fills the rest with NULs. At least one NUL always stays at the end: of a
    /// text longer than `CAPACITY - 1` bytes the first `CAPACITY - 1` are stored.
    pub fn store(self, text: &str) {
        let mut bytes = text.bytes().take(SharedText::<WORDS>::CAPACITY - 1);
        self.store_words(
            [(); WORDS]
                .map(|()| u32::from_ne_bytes([(); WORD].map(|()| bytes.next().unwrap_or(0)))),
        );
    }

    pub(crate) fn store_words(self, words: [u32; WORDS]) {
        for (shared, word) in self.words.iter().zip(words) {
            shared.store(word, Ordering::Relaxed);
        }
    }
}

impl<const WORDS: usize> fmt::Debug for SharedText<WORDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.load())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;
    use crate::shared::ReadWrite;

    fn shared<const WORDS: usize>() -> Mapping<SharedText<WORDS>, ReadWrite> {
        Mapping::anonymous().expect("an anonymous page")
    }

    #[test]
    fn text_comes_back_as_it_was_stored() {
        let text = shared::<4>();
        for stored in ["", "a", "abcd", "abcde", "exactly fifteen", "häß"] {
            text.writer().store(stored);
            assert_eq!(text.load().as_bytes(), stored.as_bytes());
        }
    }

    #[test]
    fn a_shorter_text_leaves_nothing_of_the_longer_one() {
        let text = shared::<4>();
        text.writer().store("exactly fifteen");
        text.writer().store("x");
        assert_eq!(text.load_words(), [u32::from_ne_bytes(*b"x\0\0\0"), 0, 0, 0]);
    }

    #[test]
    fn what_fits_is_stored_whole() {
        let text = shared::<2>();
        for fits in ["", "7 bytes"] {
            assert_eq!(SharedText::<2>::fits(fits), Ok(fits.into()));
            text.writer().store(fits);
            assert_eq!(text.load().as_bytes(), fits.as_bytes());
        }
        for too_long in ["8 bytes.", "these are 18 bytes"] {
            let error = SharedText::<2>::fits(too_long).expect_err("no room for the NUL");
            assert!(error.contains(&format!("{} bytes", too_long.len())), "{error}");
        }
    }

    #[test]
    fn the_last_byte_is_always_nul() {
        let text = shared::<2>();
        text.writer().store("longer than eight");
        assert_eq!(text.load().as_bytes(), b"longer ");
        assert_eq!(text.load_words()[1].to_ne_bytes()[3], 0);
    }
}
