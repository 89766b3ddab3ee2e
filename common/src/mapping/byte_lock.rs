//! Locks on single bytes of a file, which say who is there: fcntl(2), open file description locks.
//!
//! They protect nothing by themselves; a byte only stands for something that one process may be. The kernel
//! frees them when the last descriptor of the open file goes, so when its process ends, and however it ends.

use std::ffi::{c_int, c_short};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::RecordFile;
use crate::error::{Error, Result};
use crate::shared::ReadWrite;

impl RecordFile<ReadWrite> {
    /// Locks the byte at `offset` for this open file, until it is closed: fcntl(2) `F_OFD_SETLK`. A child
    /// of fork(2) has the same open file, and so the same lock.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if another open file has the lock; `EINVAL` on a file system without such locks.
    pub fn lock_byte(&self, offset: i64) -> Result<()> {
        match fcntl(&self.file, FcntlArg::F_OFD_SETLK(&byte(offset))) {
            Ok(_) => Ok(()),
            Err(errno) => Err(self.failed("fcntl(F_OFD_SETLK)", offset, errno)),
        }
    }

    /// Whether another open file has the byte at `offset` locked: fcntl(2) `F_OFD_GETLK`.
    ///
    /// # Errors
    ///
    /// `EINVAL` on a file system without such locks.
    pub fn is_byte_locked(&self, offset: i64) -> Result<bool> {
        let mut lock = byte(offset);
        match fcntl(&self.file, FcntlArg::F_OFD_GETLK(&mut lock)) {
            // The kernel stores F_UNLCK if nothing is in the way, and otherwise the lock that is.
            Ok(_) => Ok(c_int::from(lock.l_type) != libc::F_UNLCK),
            Err(errno) => Err(self.failed("fcntl(F_OFD_GETLK)", offset, errno)),
        }
    }

    fn failed(&self, call: &'static str, offset: i64, errno: Errno) -> Error {
        Error::new(call, format_args!("byte {offset} of {}", self.name()), errno)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the constants are 0 and 1")]
fn byte(offset: i64) -> libc::flock {
    let (l_type, l_whence) = (libc::F_WRLCK as c_short, libc::SEEK_SET as c_short);
    let l_start = libc::off_t::try_from(offset).unwrap_or(libc::off_t::MAX);
    libc::flock { l_type, l_whence, l_start, l_len: 1, l_pid: 0 }
}
