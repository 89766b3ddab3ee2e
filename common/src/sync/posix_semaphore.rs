//! A POSIX semaphore: `sem_t`, unnamed, in the shared memory itself. As a lock, and as a count of things
//! that wait to be taken.
//!
//! | | |
//! | --- | --- |
//! | guarantees | one holder at a time, if everybody locks |
//! | progress | blocking: an atomic step without contention, futex(2) with it |
//! | needs | write access for everybody, the readers too |
//! | the holder dies | the count stays 0 and everybody waits for ever: it has no `SEM_UNDO`, and does not know who holds it |
//!
//! See sem_overview(7), and [`semaphore`](super::semaphore) for its elder of System V.

use std::fmt;

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::mapping::Area;
use crate::sync::owner::Owner;

/// A semaphore in anonymous shared pages, which counts 1 when free and 0 when held.
///
/// A parent makes it and then forks; its children inherit it. There is no way to find one in a
/// segment or a file: whoever waits for bytes that are no semaphore is at their mercy.
pub struct PosixSemaphore {
    /// The bytes are never a Rust value: only their address is passed on.
    area: Area,
}

impl PosixSemaphore {
    /// Maps a new page and puts a free semaphore there: mmap(2), then sem_init(3) with `pshared` 1.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `ENOSYS` where the C library has no process-shared semaphores.
    pub fn anonymous() -> Result<Self> {
        Self::counting(1)
    }

    /// The same with a count of `count`, for [`PosixSemaphore::post`] and [`PosixSemaphore::wait`].
    ///
    /// # Errors
    ///
    /// As [`PosixSemaphore::anonymous`], and `EINVAL` for a count above SEM_VALUE_MAX.
    pub fn counting(count: u32) -> Result<Self> {
        let semaphore = Self { area: Area::anonymous(size_of::<libc::sem_t>())? };
        // SAFETY: the pointer is to writable memory for a semaphore, which nobody else has seen yet.
        let done = unsafe { libc::sem_init(semaphore.raw(), 1, count) };
        Errno::result(done).map_err(|errno| failed("sem_init", errno))?;
        Ok(semaphore)
    }

    /// Waits until the semaphore is free and takes it: sem_wait(3). Whoever locks it a second time
    /// while holding it waits for ever. Signals do not end the wait.
    ///
    /// # Errors
    ///
    /// None that the types here allow; `EINVAL` means bytes that are no semaphore.
    pub fn lock(&self) -> Result<Held<'_>> {
        self.wait()?;
        Ok(Held { semaphore: self, owner: Owner::current() })
    }

    /// Waits until the count is above 0, and takes 1 off: sem_wait(3). Signals do not end the wait.
    ///
    /// # Errors
    ///
    /// As [`PosixSemaphore::lock`].
    pub fn wait(&self) -> Result<()> {
        loop {
            // SAFETY: it has been a semaphore since `counting`, and stays mapped while `self` exists.
            match Errno::result(unsafe { libc::sem_wait(self.raw()) }) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed("sem_wait", errno)),
            }
        }
    }

    /// Adds 1 to the count, and wakes one who waits: sem_post(3). On a semaphore that is used as a lock
    /// this lets one more in.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW` if the count is at SEM_VALUE_MAX.
    pub fn post(&self) -> Result<()> {
        // SAFETY: as in `wait`.
        let done = unsafe { libc::sem_post(self.raw()) };
        Errno::result(done).map(drop).map_err(|errno| failed("sem_post", errno))
    }

    fn raw(&self) -> *mut libc::sem_t {
        self.area.start().as_ptr().cast()
    }
}

impl fmt::Debug for PosixSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PosixSemaphore").finish_non_exhaustive()
    }
}

/// The semaphore, held. Dropping it gives it back: sem_post(3).
///
/// It belongs to the process that took it. Dropped in a child of that process, it does nothing.
#[derive(Debug)]
#[must_use = "dropped at once, it protects nothing"]
pub struct Held<'a> {
    semaphore: &'a PosixSemaphore,
    owner: Owner,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.owner.is_current() {
            // SAFETY: it is a semaphore, as in `wait`. It fails only if the count is at its limit.
            unsafe { libc::sem_post(self.semaphore.raw()) };
        }
    }
}

fn failed(call: &'static str, errno: Errno) -> Error {
    Error::new(call, "the semaphore in shared memory", errno)
}
