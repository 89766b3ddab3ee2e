//! A record lock: fcntl(2) `F_OFD_SETLKW` on a file that the processes share.
//!
//! | | |
//! | --- | --- |
//! | guarantees | one holder at a time, if everybody locks |
//! | progress | blocking: one system call for each lock and unlock, even without contention |
//! | needs | a file beside the memory, open for writing, and an open file description for each holder |
//! | the holder dies | the kernel closes its files and with them frees the lock, so nobody hangs; but the data is as the dead process left it, and nothing tells the next holder |
//!
//! The older kind, `F_SETLKW`, belongs to the process, and is lost as soon as the process closes any
//! descriptor of the file. This kind belongs to the *open file description*, which fork(2) does not
//! copy: parent and child share it, so it keeps them not apart. Each process opens the file anew.

use std::ffi::{c_int, c_short};
use std::fs::File;
use std::marker::PhantomData;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::error::{Error, Result, errno_of};
use crate::sync::owner::Owner;

/// An open file description of a file that is there to be locked.
///
/// A parent makes it and then forks; its children inherit it.
#[derive(Debug)]
pub struct RecordLock {
    file: File,
    opened_by: Owner,
}

impl RecordLock {
    /// Makes a file without a name, which goes with its last descriptor: memfd_create(2).
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn anonymous() -> Result<Self> {
        let file = memfd_create(c"record-lock", MFdFlags::MFD_CLOEXEC)
            .map_err(|errno| failed("memfd_create", errno))?;
        Ok(Self { file: file.into(), opened_by: Owner::current() })
    }

    /// Another open file description of the same file, for another holder: open(2).
    ///
    /// # Errors
    ///
    /// `ENOENT` where /proc is not mounted, `ESTALE` where something else has its name, `EMFILE`, `ENFILE`.
    pub fn reopened(&self) -> Result<Self> {
        let name = format!("/proc/thread-self/fd/{}", self.file.as_raw_fd());
        let which = |file: &File| file.metadata().map(|it| (it.dev(), it.ino()));
        let opened = File::options().read(true).write(true).open(name);
        let opened = opened.and_then(|it| Ok((which(&it)? == which(&self.file)?, it)));
        let (same, file) = opened.map_err(|error| failed("open", errno_of(&error)))?;
        if !same {
            return Err(failed("open", Errno::ESTALE));
        }
        Ok(Self { file, opened_by: Owner::current() })
    }

    /// Waits until nobody holds the lock and takes it: fcntl(2) with `F_OFD_SETLKW`. A process that has
    /// inherited the description opens the file anew first. Signals do not end the wait.
    ///
    /// The borrow is exclusive because the kernel gives a description that has the lock the same lock
    /// again, at once.
    ///
    /// # Errors
    ///
    /// `ENOLCK` if the kernel has no room for locks; those of [`RecordLock::reopened`].
    pub fn lock(&mut self) -> Result<Held<'_>> {
        if !self.opened_by.is_current() {
            *self = self.reopened()?;
        }
        while let Err(errno) = self.set(libc::F_WRLCK) {
            if errno != Errno::EINTR {
                return Err(failed("fcntl(F_OFD_SETLKW)", errno));
            }
        }
        Ok(Held { lock: self, same_thread: PhantomData })
    }

    /// Locks or unlocks the whole file, however long it may become.
    #[allow(clippy::cast_possible_truncation, reason = "the constants are 0, 1 and 2")]
    fn set(&self, kind: c_int) -> nix::Result<()> {
        let (l_type, l_whence) = (kind as c_short, libc::SEEK_SET as c_short);
        let lock = libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 };
        fcntl(&self.file, FcntlArg::F_OFD_SETLKW(&lock)).map(drop)
    }
}

/// The lock, held. Dropping it unlocks: fcntl(2) with `F_UNLCK`.
///
/// It belongs to the process that took it. Dropped in a child of that process, it does nothing; but
/// as long as such a child has the description open, the death of its parent frees nothing.
#[derive(Debug)]
#[must_use = "dropped at once, it protects nothing"]
pub struct Held<'a> {
    lock: &'a RecordLock,
    // A thread may have descriptors of its own (unshare(2) with CLONE_FILES), where the number is another file's.
    same_thread: PhantomData<*const ()>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.lock.opened_by.is_current() {
            // Unlocking never waits, and fails only for a descriptor that is not open.
            let _ = self.lock.set(libc::F_UNLCK);
        }
    }
}

fn failed(call: &'static str, errno: Errno) -> Error {
    Error::new(call, "the file that is locked", errno)
}
