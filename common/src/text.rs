//! Text in shared memory: C's `char text[N]`, as atomics.
//!
//! The bytes are what C has there: characters up to a NUL, or up to the end where there is none.
//! They are stored as 32-bit words, because sixteen loads are four times faster than sixty-four.

use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use crate::shared::{SharedMemory, Writer};

/// Bytes in a word of [`SharedText`].
const WORD: usize = size_of::<u32>();

/// `char text[4 * WORDS]`, shared with other processes.
///
/// A text of more than one word is not stored or loaded in one piece: a reader may see the
/// beginning of a new text with the end of an old one. Whoever needs all of it or nothing needs a
/// mechanism around it; the programs here store the text before they publish the count.
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

    /// Whether `text` fits, with its NUL; for clap's `value_parser`.
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
        let words = self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
        // Whatever is loaded after the text is at least as new as the text: std promises no more
        // than a relaxed load on read-only pages, so the fence stands beside it.
        fence(Ordering::Acquire);
        words
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

/// Text that this process owns, safe to print whatever the bytes are.
///
/// `Display` writes printable characters as they are and escapes the rest the way Rust does:
/// `\n`, `\u{1b}`, a byte that is not UTF-8 as `\xff`, and the backslash itself as `\\`. So no
/// text that another process left can move the cursor or clear the screen.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Vec<u8>);

impl Text {
    /// The text in `bytes`: up to the first NUL, or all of it where there is none.
    #[must_use]
    pub fn from_c(bytes: &[u8]) -> Self {
        Self(bytes.split(|&byte| byte == 0).next().unwrap_or_default().to_vec())
    }

    /// The bytes before the NUL, as they are.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the text has no bytes, as in memory that nobody has written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\'' | '"' => f.write_char(character)?,
                    other => write!(f, "{}", other.escape_debug())?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// The path as a person may see it: whoever made a file or a link chose its name, and a terminal
/// must not obey what is in it.
#[must_use]
pub fn shown(path: &Path) -> Text {
    Text::from_c(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;
    use crate::shared::ReadWrite;

    fn shared<const WORDS: usize>() -> Mapping<SharedText<WORDS>, ReadWrite> {
        Mapping::anonymous().expect("an anonymous page")
    }

    fn shown(bytes: &[u8]) -> String {
        Text::from_c(bytes).to_string()
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
    fn the_last_byte_is_always_nul() {
        let text = shared::<2>();
        text.writer().store("longer than eight");
        assert_eq!(text.load().as_bytes(), b"longer ");
        assert_eq!(text.load_words()[1].to_ne_bytes()[3], 0);
    }

    #[test]
    fn text_ends_at_the_first_nul_or_at_the_end() {
        assert_eq!(shown(b"127.0.0.1\0\0secret"), "127.0.0.1");
        assert_eq!(shown(b"\0secret"), "");
        assert_eq!(shown(b"no nul at all"), "no nul at all");
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(shown(b"\x1b[2J\r\n\t\x07"), r"\u{1b}[2J\r\n\t\u{7}");
        assert_eq!(shown(b"ok \xff\xfe end"), r"ok \xff\xfe end");
        assert_eq!(shown("\u{202e}\u{9b}".as_bytes()), r"\u{202e}\u{9b}");
        assert_eq!(shown(br#"it's "a" \ b"#), r#"it's "a" \\ b"#);
    }
}
