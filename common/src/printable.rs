//! Text that is safe to print, whatever the bytes are: what others left in shared memory, and names of
//! files that others chose.

use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

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

    fn shown(bytes: &[u8]) -> String {
        Text::from_c(bytes).to_string()
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
