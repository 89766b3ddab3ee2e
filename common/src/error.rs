//! What went wrong, for the person at the terminal: which call, on what, why, and what to do now.

use std::fmt;

use nix::errno::Errno;

/// The result of a call on shared memory.
pub type Result<T> = std::result::Result<T, Error>;

/// A call that failed, or that was not made because it would have done harm.
///
/// It prints as `CALL, OBJECT: REASON`, where the reason of a failed system call is errno's name
/// and text (that of strerror(3), as in C), and on a second line what the person can do about it:
///
/// ```text
/// shmget, key 1234 (0x000004d2): EEXIST (File exists)
///   help: drop --exclusive to use the segment that is there, or choose another --key
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    call: &'static str,
    object: String,
    reason: Reason,
    help: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Errno(Errno),
    Refused(String),
}

impl Error {
    /// `call` (such as `shmget`) on `object` (such as `key 1234`) failed with `errno`; `help` is
    /// one sentence, without a full stop, that tells a person what to do now.
    pub fn new(
        call: &'static str,
        object: impl fmt::Display,
        errno: Errno,
        help: impl Into<String>,
    ) -> Self {
        Self { call, object: object.to_string(), reason: Reason::Errno(errno), help: help.into() }
    }

    /// What `call` found is not what it must be (`reason`), so nothing was done to it.
    pub fn refused(
        call: &'static str,
        object: impl fmt::Display,
        reason: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            call,
            object: object.to_string(),
            reason: Reason::Refused(reason.into()),
            help: help.into(),
        }
    }

    /// Whether the object has been removed, so that it is no longer there to be found: `ENOENT` for a
    /// key, `EINVAL` or `EIDRM` for an id.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.errno(), Some(Errno::ENOENT | Errno::EINVAL | Errno::EIDRM))
    }

    /// The error number of the failed system call; `None` if the call was refused here.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self.reason {
            Reason::Errno(errno) => Some(errno),
            Reason::Refused(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, object, reason, help } = self;
        match reason {
            Reason::Errno(errno) => {
                write!(f, "{call}, {object}: {errno:?} ({})", strerror(*errno))?;
            }
            Reason::Refused(reason) => write!(f, "{call}, {object}: {reason}")?,
        }
        write!(f, "\n  help: {help}")
    }
}

impl std::error::Error for Error {}

/// The error number in an error of std.
#[must_use]
pub fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// The text that C prints for `errno`: strerror(3). `Errno::desc` has words of its own.
pub(crate) fn strerror(errno: Errno) -> String {
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
            let error = Error::new("shmat", "segment 5", errno, "see shmat(2)");
            assert_eq!(
                error.to_string(),
                format!("shmat, segment 5: {text}\n  help: see shmat(2)")
            );
        }
    }
}
