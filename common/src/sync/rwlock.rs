//! A read-write lock in shared memory: `pthread_rwlock_t`, process-shared.
//!
//! | | |
//! | --- | --- |
//! | guarantees | one writer, or any number of readers, if everybody locks |
//! | progress | blocking: atomic steps without contention, futex(2) with it; glibc prefers readers, so readers that overlap all the time keep the writer out |
//! | needs | write access for everybody: a reader counts itself in and out |
//! | a holder dies | it stays counted: after a writer everybody waits for ever, after a reader every writer. There is no robust kind |
//!
//! A writer is known by the number of its thread. In another PID namespace somebody else may have it, and gets
//! `EDEADLK`.
//!
//! See pthread_rwlock_init(3p) and pthread_rwlockattr_setpshared(3p).

use std::ffi::c_int;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::mapping::Area;
use crate::sync::owner::Owner;

/// A read-write lock in anonymous shared pages.
///
/// A parent makes it and then forks; its children inherit it. There is no way to find one in a
/// segment or a file: whoever locks bytes that are no lock is at their mercy.
pub struct RwLock {
    /// The bytes are never a Rust value: only their address is passed on.
    area: Area,
}

impl RwLock {
    /// Maps a new page and puts a lock there that nobody holds: mmap(2), then pthread_rwlock_init(3p)
    /// with `PTHREAD_PROCESS_SHARED`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `ENOTSUP` where the C library has no such locks.
    pub fn anonymous() -> Result<Self> {
        let lock = Self { area: Area::anonymous(size_of::<libc::pthread_rwlock_t>())? };
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the pointer is to memory for attributes, which the call initialises.
        let done = unsafe { libc::pthread_rwlockattr_init(attributes.as_mut_ptr()) };
        check("pthread_rwlockattr_init", done)?;
        // SAFETY: the call above has initialised it.
        let mut attributes = unsafe { attributes.assume_init() };
        // SAFETY: the attributes are initialised.
        let done = unsafe {
            libc::pthread_rwlockattr_setpshared(&raw mut attributes, libc::PTHREAD_PROCESS_SHARED)
        };
        check("pthread_rwlockattr_setpshared", done)?;
        // SAFETY: the pointer is to writable memory for a lock, in a page that nobody else has seen
        // yet; the attributes are initialised.
        let done = unsafe { libc::pthread_rwlock_init(lock.raw(), &raw const attributes) };
        check("pthread_rwlock_init", done)?;
        Ok(lock)
    }

    /// Waits until no writer holds the lock and takes it together with other readers:
    /// pthread_rwlock_rdlock(3p).
    ///
    /// # Errors
    ///
    /// `EDEADLK` if this thread holds it for writing, `EAGAIN` for too many readers.
    pub fn read(&self) -> Result<Held<'_>> {
        // SAFETY: it has been a lock since `anonymous`, and stays mapped while `self` exists.
        check("pthread_rwlock_rdlock", unsafe { libc::pthread_rwlock_rdlock(self.raw()) })?;
        Ok(self.held())
    }

    /// Waits until nobody holds the lock and takes it alone: pthread_rwlock_wrlock(3p). Whoever holds
    /// it for reading meanwhile waits for ever.
    ///
    /// # Errors
    ///
    /// `EDEADLK` if this thread holds it for writing.
    pub fn write(&self) -> Result<Held<'_>> {
        // SAFETY: it has been a lock since `anonymous`, and stays mapped while `self` exists.
        check("pthread_rwlock_wrlock", unsafe { libc::pthread_rwlock_wrlock(self.raw()) })?;
        Ok(self.held())
    }

    fn held(&self) -> Held<'_> {
        Held { lock: self, owner: Owner::current(), same_thread: PhantomData }
    }

    fn raw(&self) -> *mut libc::pthread_rwlock_t {
        self.area.start().as_ptr().cast()
    }
}

impl fmt::Debug for RwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").finish_non_exhaustive()
    }
}

/// The lock, held for reading or for writing. Dropping it unlocks: pthread_rwlock_unlock(3p).
///
/// It belongs to the process and the thread that took it. Dropped in a child of that process, it
/// does nothing.
#[derive(Debug)]
#[must_use = "dropped at once, it protects nothing"]
pub struct Held<'a> {
    lock: &'a RwLock,
    owner: Owner,
    /// Not `Send`: another thread must not unlock it.
    same_thread: PhantomData<*const ()>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.owner.is_current() {
            // SAFETY: it is a lock, as in `read`, and this thread of this process holds it: that is
            // what a guard is.
            unsafe { libc::pthread_rwlock_unlock(self.lock.raw()) };
        }
    }
}

/// The pthread functions return their error number instead of setting errno.
fn check(call: &'static str, done: c_int) -> Result<()> {
    match done {
        0 => Ok(()),
        error => Err(Error::new(call, "the lock in shared memory", Errno::from_raw(error))),
    }
}
