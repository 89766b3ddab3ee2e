//! A POSIX semaphore with a name: sem_open(3). On Linux a file in /dev/shm, which everybody who knows
//! the name maps.
//!
//! | | |
//! | --- | --- |
//! | guarantees | a count that never gets below 0 |
//! | progress | an atomic step without contention, futex(2) with it |
//! | needs | the name, and write access |
//! | who took it dies | nobody gives it back, and the file stays until sem_unlink(3) |
//!
//! See sem_overview(7), and [`posix_semaphore`](super::posix_semaphore) for one without a name.

use std::ffi::{CString, c_int};
use std::fmt;
use std::ptr::NonNull;

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::mapping::not_words::{self, Semaphores};
use crate::printable::Text;

/// A semaphore that other processes find by its name. Dropping it closes it: sem_close(3). The name
/// and the count stay.
///
/// Whoever may open the name for writing may set the count to anything, or store what has the C library
/// end this process: abort(3). So the name protects only what its mode protects. While it is open here, this
/// process cannot map its file as words, under whatever name.
pub struct NamedSemaphore {
    semaphore: NonNull<libc::sem_t>,
    name: Text,
}

impl NamedSemaphore {
    /// Makes a semaphore under `name`, such as `/lesson`, with the count `count`: sem_open(3) with
    /// `O_CREAT` and `O_EXCL`. `mode` holds permission bits, less the umask. It appears whole.
    ///
    /// # Errors
    ///
    /// `EEXIST` if the name is taken, `EINVAL` for a count above `SEM_VALUE_MAX` and for a name that is
    /// none, `EACCES`; `ENOENT` without /proc, in which it looks up the file.
    pub fn create(name: &str, mode: u32, count: u32) -> Result<Self> {
        let c_name = c_name("sem_open", name)?;
        let flags = libc::O_CREAT | libc::O_EXCL;
        let semaphores = not_words::semaphores();
        // SAFETY: the name ends with a NUL, and after O_CREAT come a mode and a count, as sem_open wants.
        let semaphore = unsafe { libc::sem_open(c_name.as_ptr(), flags, mode, count) };
        Self::opened(name, semaphore, semaphores)
    }

    /// Finds the semaphore under `name`: sem_open(3).
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is none, or no /proc, in which it looks up the file; `EACCES` if it is not ours to
    /// use. Refused if this process has the file mapped as words.
    pub fn open(name: &str) -> Result<Self> {
        let c_name = c_name("sem_open", name)?;
        let semaphores = not_words::semaphores();
        // SAFETY: the name ends with a NUL, and without O_CREAT nothing comes after the flags.
        let semaphore = unsafe { libc::sem_open(c_name.as_ptr(), 0) };
        Self::opened(name, semaphore, semaphores)
    }

    fn opened(name: &str, semaphore: *mut libc::sem_t, mut open: Semaphores) -> Result<Self> {
        // SEM_FAILED is NULL.
        let semaphore = NonNull::new(semaphore).ok_or_else(|| failed("sem_open", name))?;
        match not_words::must_be_mapped_once(semaphore.addr().get(), shown(name)) {
            Ok(()) => {
                open.push(semaphore.addr().get());
                Ok(Self { semaphore, name: shown(name) })
            }
            Err(error) => {
                // SAFETY: sem_open has just returned it, and nobody else has it.
                unsafe { libc::sem_close(semaphore.as_ptr()) };
                Err(error)
            }
        }
    }

    /// Takes 1 from the count if it is above 0, and says whether it was: sem_trywait(3).
    ///
    /// # Errors
    ///
    /// `EINVAL` if the file holds something else.
    pub fn try_take(&self) -> Result<bool> {
        loop {
            // SAFETY: sem_open has returned it, and it is open until `self` is dropped.
            match Errno::result(unsafe { libc::sem_trywait(self.semaphore.as_ptr()) }) {
                Ok(_) => return Ok(true),
                Err(Errno::EAGAIN) => return Ok(false),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::new("sem_trywait", &self.name, errno)),
            }
        }
    }

    /// Adds 1 to the count, whoever took it: sem_post(3).
    ///
    /// # Errors
    ///
    /// `EOVERFLOW` at `SEM_VALUE_MAX`.
    pub fn give(&self) -> Result<()> {
        // SAFETY: as in `try_take`.
        let done = unsafe { libc::sem_post(self.semaphore.as_ptr()) };
        Errno::result(done).map_err(|errno| Error::new("sem_post", &self.name, errno))?;
        Ok(())
    }

    /// The count, which may be another by now: sem_getvalue(3).
    ///
    /// # Errors
    ///
    /// None that the types here allow.
    pub fn count(&self) -> Result<i32> {
        let mut count: c_int = 0;
        // SAFETY: as in `try_take`; the count is written to a number of ours.
        let done = unsafe { libc::sem_getvalue(self.semaphore.as_ptr(), &raw mut count) };
        Errno::result(done).map_err(|errno| Error::new("sem_getvalue", &self.name, errno))?;
        Ok(count)
    }

    /// Removes the name, and nothing else: sem_unlink(3). The semaphore goes with the last process that
    /// has it open.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is none, `EACCES`.
    pub fn unlink(name: &str) -> Result<()> {
        let c_name = c_name("sem_unlink", name)?;
        // SAFETY: the name ends with a NUL.
        let done = unsafe { libc::sem_unlink(c_name.as_ptr()) };
        Errno::result(done).map(drop).map_err(|_| failed("sem_unlink", name))
    }
}

impl Drop for NamedSemaphore {
    fn drop(&mut self) {
        let mut open = not_words::semaphores();
        // SAFETY: sem_open has returned it to this value alone: the C library counts how often it is
        // open, so another value of the same name is not affected.
        unsafe { libc::sem_close(self.semaphore.as_ptr()) };
        let ours = open.iter().position(|it| *it == self.semaphore.addr().get());
        ours.map(|it| open.swap_remove(it));
    }
}

impl fmt::Debug for NamedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedSemaphore").field("name", &self.name).finish_non_exhaustive()
    }
}

fn shown(name: &str) -> Text {
    Text::from_c(name.as_bytes())
}

fn failed(call: &'static str, name: &str) -> Error {
    Error::new(call, shown(name), Errno::last())
}

fn c_name(call: &'static str, name: &str) -> Result<CString> {
    CString::new(name).map_err(|_| Error::new(call, shown(name), Errno::EINVAL))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A name of this process's own, which is removed with this value.
    pub(crate) struct Unlinked(String);

    impl Unlinked {
        pub(crate) fn new(what: &str) -> Self {
            Self(format!("/common-{what}-{}", std::process::id()))
        }

        pub(crate) fn as_str(&self) -> &str {
            &self.0
        }

        /// The semaphore's file, if it is where glibc has it.
        pub(crate) fn file(&self) -> Option<PathBuf> {
            let path = PathBuf::from(format!("/dev/shm/sem.{}", &self.0[1..]));
            if path.exists() {
                return Some(path);
            }
            eprintln!("skipped: the C library does not have it in {}", path.display());
            None
        }
    }

    impl Drop for Unlinked {
        fn drop(&mut self) {
            let _ = NamedSemaphore::unlink(&self.0);
        }
    }

    #[test]
    fn two_openings_are_one_semaphore_and_two_guards() {
        let name = Unlinked::new("test");
        let made = NamedSemaphore::create(name.as_str(), 0o600, 1).expect("a new one");
        let again = NamedSemaphore::create(name.as_str(), 0o600, 1).expect_err("it is there");
        assert_eq!(again.errno(), Some(Errno::EEXIST));
        let found = NamedSemaphore::open(name.as_str()).expect("the same");
        NamedSemaphore::unlink(name.as_str()).expect("the name");
        let gone = NamedSemaphore::open(name.as_str()).expect_err("no name").errno();
        assert_eq!(gone, Some(Errno::ENOENT));
        assert_eq!(made.try_take(), Ok(true));
        drop(made);
        assert_eq!((found.count(), found.try_take()), (Ok(0), Ok(false)));
        found.give().expect("given back");
        assert_eq!(found.count(), Ok(1));
        assert_eq!(NamedSemaphore::open("/a\0b").expect_err("a NUL").errno(), Some(Errno::EINVAL));
    }
}
