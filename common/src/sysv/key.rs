//! Keys: how unrelated programs find the same segment.

use std::ffi::{CString, c_int};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::str::FromStr;

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::printable::shown;

/// What names a segment for unrelated processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `IPC_PRIVATE`: no name, so always a new segment, to be found by its shmid alone.
    Private,
    /// A number that the programs agree on. Nothing keeps a stranger from choosing the same one.
    Number(libc::key_t),
}

impl Key {
    /// The key that all programs get which name the same file and the same `proj_id` (1 to 255):
    /// ftok(3).
    ///
    /// The file's contents play no part; its device and inode number do. A file that is deleted
    /// and created anew gives another key, and now and then two files give the same one.
    ///
    /// # Errors
    ///
    /// `ENOENT`, `EACCES` and the other errors of stat(2) on `path`.
    pub fn ftok(path: &Path, proj_id: u8) -> Result<Self> {
        let failed = |errno| Error::new("ftok", shown(path), errno);
        let c_path =
            CString::new(path.as_os_str().as_bytes()).map_err(|_| failed(Errno::EINVAL))?;
        // SAFETY: `c_path` is a NUL-terminated string that outlives the call.
        let key = unsafe { libc::ftok(c_path.as_ptr(), c_int::from(proj_id)) };
        Errno::result(key).map(Self::Number).map_err(failed)
    }

    pub(crate) fn as_raw(self) -> libc::key_t {
        match self {
            Self::Private => libc::IPC_PRIVATE,
            Self::Number(key) => key,
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text == "private" {
            return Ok(Self::Private);
        }
        let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            // ipcs prints a key as 32 bits in hexadecimal, the negative ones too.
            Some(digits) => u32::from_str_radix(digits, 16).map(u32::cast_signed),
            None => text.parse::<u32>().and_then(|_| text.parse()),
        };
        match number {
            Ok(0) => Err("0 is IPC_PRIVATE: it never finds a segment, it always makes a new one; say `private` if you mean that".into()),
            Ok(key) => Ok(Self::Number(key)),
            Err(_) => Err("a key is `private`, decimal from 1 to 2147483647, or hexadecimal from 0x1 to 0xffffffff".into()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private => write!(f, "key IPC_PRIVATE"),
            Self::Number(key) => write!(f, "key {key} (0x{key:08x})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_ipcs_prints_them() {
        assert_eq!("1234".parse(), Ok(Key::Number(1234)));
        assert_eq!("0x4d2".parse(), Ok(Key::Number(1234)));
        assert_eq!("0XFFFFFFFF".parse(), Ok(Key::Number(-1)));
        assert_eq!("private".parse(), Ok(Key::Private));
        assert_eq!(Key::Number(1234).to_string(), "key 1234 (0x000004d2)");
        for wrong in ["", "x", "-1", "0x", "0x100000000", "2147483648", "12 ", "1e3", "Private"] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong:?} is a key");
        }
        for zero in ["0", "00", "0x0"] {
            let error = zero.parse::<Key>().expect_err("0 is no key");
            assert!(error.contains("IPC_PRIVATE"), "{error}");
        }
    }

    #[test]
    fn ftok_follows_the_file_and_the_id() {
        let here = Path::new(".");
        let key = Key::ftok(here, 1).expect("a key");
        assert_eq!(Key::ftok(here, 1), Ok(key));
        assert_ne!(Key::ftok(here, 2), Ok(key));
        let error = Key::ftok(Path::new("/nowhere/at/all"), 1).expect_err("no file, no key");
        assert_eq!(error.errno(), Some(Errno::ENOENT));
    }
}
