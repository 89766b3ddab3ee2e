//! What went wrong: which call, on what, and why.
//!
//! What a person can do about it is not said here: that depends on the program and its options.

use std::fmt;

use nix::errno::Errno;

use crate::printable::Text;

/// The result of a call on shared memory.
pub type Result<T> = std::result::Result<T, Error>;

/// A call that failed, or that was not made because it would have done harm.
///
/// It prints as `CALL, OBJECT: REASON`, where the reason of a failed system call is errno's name
/// and text (that of strerror(3), as in C):
///
/// ```text
/// shmget, key 1234 (0x000004d2): EEXIST (File exists)
/// ```
///
/// `Debug` prints the same, so that `fn main() -> common::Result<()>` tells it to a person.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    call: &'static str,
    object: String,
    reason: Reason,
}

#[derive(Clone, PartialEq, Eq)]
enum Reason {
    Errno(Errno),
    Refused(Refusal),
}

/// Why a call was not made, although the kernel might have let it through.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The object has `found` bytes, and `wanted` are needed.
    Size {
        /// Bytes that it has.
        found: u64,
        /// Bytes that the type or the record has.
        wanted: usize,
    },
    /// The path leads to a directory, a FIFO or a device.
    Kind(&'static str),
    /// The path is a symbolic link whose target cannot be looked up.
    DanglingLink {
        /// Where the link leads to.
        target: Text,
        /// Why that cannot be looked up.
        errno: Errno,
    },
    /// There is no room for the pages at the address: something is mapped there, the stack may grow
    /// there, or it is no address that a process may use.
    NoRoom,
    /// `SHM_RND` may round the address down to 0, where the kernel would replace what is mapped.
    RoundsToZero,
    /// A semaphore set of more than one semaphore.
    SetOfMany,
    /// The creator of a semaphore set has never set its count.
    NeverInitialised,
    /// The guard belongs to another process: a fork has copied it.
    Inherited,
    /// The header of the memory is not the one that is wanted.
    Header {
        /// Which field.
        field: &'static str,
        /// What it is.
        found: u32,
        /// What it should be.
        wanted: u32,
    },
    /// Another process has stored what no honest one stores.
    Broken {
        /// Which field.
        field: &'static str,
        /// What it is.
        found: u32,
    },
    /// A message of more bytes than there is room for.
    TooLong {
        /// Its bytes.
        found: u64,
        /// The most that there may be.
        most: usize,
    },
    /// What a program says in its own words.
    Other(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { found: 0, wanted } => {
                write!(f, "it is empty and {wanted} bytes are wanted: left as it is")
            }
            Self::Size { found, wanted } => {
                write!(f, "it has {found} bytes and {wanted} are wanted: left as it is")
            }
            Self::Kind(kind) => write!(f, "it is a {kind}, left as it is"),
            Self::DanglingLink { target, errno } => {
                write!(f, "it is a symbolic link to {target}: {}", strerror(*errno))
            }
            Self::NoRoom => write!(f, "the address is taken, too near the stack, or out of reach"),
            Self::RoundsToZero => write!(f, "the address may be rounded down to 0"),
            Self::SetOfMany => {
                write!(f, "it is a set of more than one semaphore, so it is not one of ours")
            }
            Self::NeverInitialised => {
                write!(f, "the process that created it has never set its count by semop")
            }
            Self::Inherited => {
                write!(f, "the lock belongs to the process that took it, and this is a fork of it")
            }
            Self::Header { field, found, wanted } => {
                write!(f, "its {field} is {found:#x} and {wanted:#x} is wanted: left as it is")
            }
            Self::Broken { field, found } => {
                write!(f, "its {field} is {found}, which cannot be: somebody has damaged it")
            }
            Self::TooLong { found, most } => {
                write!(f, "a message of {found} bytes, and {most} are the most")
            }
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

impl Error {
    /// `call` (such as `shmget`) on `object` (such as `key 1234`) failed with `errno`.
    pub fn new(call: &'static str, object: impl fmt::Display, errno: Errno) -> Self {
        Self { call, object: object.to_string(), reason: Reason::Errno(errno) }
    }

    /// `call` was not made on `object`, for the reason `refusal`.
    pub fn refused(call: &'static str, object: impl fmt::Display, refusal: Refusal) -> Self {
        Self { call, object: object.to_string(), reason: Reason::Refused(refusal) }
    }

    /// The call, such as `shmget`.
    #[must_use]
    pub fn call(&self) -> &'static str {
        self.call
    }

    /// What the call was made on, such as `key 1234 (0x000004d2)`.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The error number of the failed system call; `None` if the call was refused here.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self.reason {
            Reason::Errno(errno) => Some(errno),
            Reason::Refused(_) => None,
        }
    }

    /// Why the call was refused here; `None` if the system call failed.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.reason {
            Reason::Errno(_) => None,
            Reason::Refused(refusal) => Some(refusal),
        }
    }

    /// Whether the object has been removed, so that it is no longer there to be found: `ENOENT` for a
    /// key, `EINVAL` or `EIDRM` for an id.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.errno(), Some(Errno::ENOENT | Errno::EINVAL | Errno::EIDRM))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, object, reason } = self;
        match reason {
            Reason::Errno(errno) => write!(f, "{call}, {object}: {errno:?} ({})", strerror(*errno)),
            Reason::Refused(refusal) => write!(f, "{call}, {object}: {refusal}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// The error number in an error of std.
#[must_use]
pub fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// The text that C prints for `errno`: strerror(3). `Errno::desc` has words of its own.
fn strerror(errno: Errno) -> String {
    let number = errno as i32;
    let text = std::io::Error::from_raw_os_error(number).to_string();
    // std adds the number; our messages have the name instead.
    text.strip_suffix(&format!(" (os error {number})")).unwrap_or(&text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_is_printed_as_c_prints_it() {
        for (errno, text) in [
            (Errno::ENOMEM, "ENOMEM (Cannot allocate memory)"),
            (Errno::EACCES, "EACCES (Permission denied)"),
            (Errno::EAGAIN, "EAGAIN (Resource temporarily unavailable)"),
        ] {
            let error = Error::new("shmat", "segment 5", errno);
            assert_eq!(error.to_string(), format!("shmat, segment 5: {text}"));
            assert_eq!(format!("{error:?}"), error.to_string(), "for main's Result");
        }
    }
}
