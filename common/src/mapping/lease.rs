//! Who may write to a file: leases, fcntl(2).

use std::os::fd::AsRawFd as _;

use nix::errno::Errno;

use super::RecordFile;
use crate::error::{Error, Result};
use crate::shared::Access;

/// `F_SETSIG` of fcntl.h; the libc crate does not have it.
const F_SETSIG: libc::c_int = 10;

impl<A: Access> RecordFile<A> {
    /// Whether any process has the file open for writing, or mapped from such a file: fcntl(2)
    /// `F_SETLEASE`. Mapped files have no nattch, but the kernel counts who may write to a file,
    /// and grants a read lease only if nobody may. The lease is given back at once.
    ///
    /// # Errors
    ///
    /// `EACCES` for another user's file, `EINVAL` on a file system without leases.
    pub fn has_writer(&self) -> Result<bool> {
        let fcntl = |command, number: libc::c_int| {
            // SAFETY: both commands take a number and touch no memory of ours.
            Errno::result(unsafe { libc::fcntl(self.file.as_raw_fd(), command, number) })
        };
        // Should somebody open the file at this very moment, a signal asks for the lease back: SIGIO,
        // which kills, unless we name another. SIGURG does nothing.
        let _ = fcntl(F_SETSIG, libc::SIGURG);
        match fcntl(libc::F_SETLEASE, libc::F_RDLCK) {
            Ok(_) => {
                let _ = fcntl(libc::F_SETLEASE, libc::F_UNLCK);
                Ok(false)
            }
            Err(Errno::EAGAIN) => Ok(true),
            Err(errno) => Err(Error::new("fcntl(F_SETLEASE)", self.name(), errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::OpenOptionsExt as _;

    use super::*;
    use crate::{ReadOnly, ReadWrite};

    #[test]
    #[cfg_attr(miri, ignore = "system calls")]
    fn who_asks_keeps_nothing() {
        let path = std::env::temp_dir().join(format!("lease-{}", std::process::id()));
        let made = RecordFile::<ReadWrite>::open_or_create(&path, 0o600, &[0; 68]).expect("a file");
        let file = RecordFile::<ReadOnly>::open(&path, 68).expect("the same file");
        assert_eq!(file.has_writer(), Ok(true));
        drop(made);
        let asked = file.has_writer();
        // With a lease in force this would fail, instead of waiting until it is given back.
        let writer = File::options().write(true).custom_flags(libc::O_NONBLOCK).open(&path);
        std::fs::remove_file(&path).expect("our file");
        match asked {
            Ok(has_writer) => assert!(!has_writer),
            // Not on this file system.
            Err(error) => assert_eq!(error.errno(), Some(Errno::EINVAL)),
        }
        writer.expect("nobody holds a lease");
    }
}
