//! A condition variable in shared memory: `pthread_cond_t` and its mutex, both process-shared, and the
//! word that they guard.
//!
//! | | |
//! | --- | --- |
//! | guarantees | no change is missed: the mutex is given back and the sleep begun in one step |
//! | progress | blocking |
//! | needs | write access for everybody |
//! | a party dies | while it holds the mutex: everybody hangs, as this mutex is not robust. While it waits: with glibc 2.36 the second broadcast from then on never returns |
//!
//! glibc counts who waits, and before it lets a second group of waiters in, it waits until the first has left. A
//! killed waiter never leaves. So this is for processes that end together. See pthread_cond_init(3).
//! [`futex`](super::futex) does the same with one word and no mutex.

use std::ffi::c_int;
use std::fmt;
use std::mem::{MaybeUninit, offset_of};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::mapping::Area;

/// A word in anonymous shared pages, and a way to sleep until it changes.
///
/// A parent makes it and then forks; its children inherit it. There is no way to find one in a segment or
/// a file: whoever waits for bytes that are no condition variable is at their mercy.
pub struct Condition {
    area: Area,
}

/// How they lie in the pages. The first two are never Rust values: only their addresses are passed on.
#[repr(C)]
struct Layout {
    mutex: libc::pthread_mutex_t,
    changed: libc::pthread_cond_t,
    word: AtomicU32,
}

impl Condition {
    /// Maps a new page and puts a mutex, a condition variable and a word of 0 there: mmap(2),
    /// pthread_mutex_init(3), pthread_cond_init(3), both with `PTHREAD_PROCESS_SHARED`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `ENOTSUP` where the C library has none that processes share.
    pub fn anonymous() -> Result<Self> {
        let this = Self { area: Area::anonymous(size_of::<Layout>())? };
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the pointer is to memory for attributes, which the call initialises.
        let done = unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) };
        check("pthread_mutexattr_init", done)?;
        let shared = libc::PTHREAD_PROCESS_SHARED;
        // SAFETY: the attributes are initialised.
        let done = unsafe { libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), shared) };
        check("pthread_mutexattr_setpshared", done)?;
        // SAFETY: memory for a mutex, writable, which nobody else has seen yet; the attributes are
        // initialised.
        let done = unsafe { libc::pthread_mutex_init(this.mutex(), attributes.as_ptr()) };
        check("pthread_mutex_init", done)?;

        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the pointer is to memory for attributes, which the call initialises.
        let done = unsafe { libc::pthread_condattr_init(attributes.as_mut_ptr()) };
        check("pthread_condattr_init", done)?;
        // SAFETY: the attributes are initialised.
        let done = unsafe { libc::pthread_condattr_setpshared(attributes.as_mut_ptr(), shared) };
        check("pthread_condattr_setpshared", done)?;
        // SAFETY: as for the mutex.
        let done = unsafe { libc::pthread_cond_init(this.changed(), attributes.as_ptr()) };
        check("pthread_cond_init", done)?;
        Ok(this)
    }

    /// Stores `value` in the word, and wakes all who wait for a change: pthread_cond_broadcast(3), with the
    /// mutex held.
    ///
    /// # Errors
    ///
    /// None that the types here allow.
    pub fn store(&self, value: u32) -> Result<()> {
        self.lock()?;
        self.word().store(value, Ordering::Relaxed);
        // SAFETY: it has been a condition variable since `anonymous`.
        let done = unsafe { libc::pthread_cond_broadcast(self.changed()) };
        self.unlock();
        check("pthread_cond_broadcast", done)
    }

    /// Sleeps while the word is `seen`, and returns what it is then: pthread_cond_wait(3), with the mutex
    /// held. Signals do not end the wait.
    ///
    /// # Errors
    ///
    /// None that the types here allow.
    pub fn wait_while(&self, seen: u32) -> Result<u32> {
        self.lock()?;
        // `if` would not do: a wait may end without a change.
        while self.word().load(Ordering::Relaxed) == seen {
            // SAFETY: both have been what they are since `anonymous`, and this thread holds the mutex.
            let done = unsafe { libc::pthread_cond_wait(self.changed(), self.mutex()) };
            check("pthread_cond_wait", done)?;
        }
        let now = self.word().load(Ordering::Relaxed);
        self.unlock();
        Ok(now)
    }

    fn lock(&self) -> Result<()> {
        // SAFETY: it has been a mutex since `anonymous`. No method here calls another one, or code of the
        // caller, while it holds the mutex: so this thread does not hold it.
        check("pthread_mutex_lock", unsafe { libc::pthread_mutex_lock(self.mutex()) })
    }

    fn unlock(&self) {
        // SAFETY: this thread holds the mutex: each caller has locked it.
        unsafe { libc::pthread_mutex_unlock(self.mutex()) };
    }

    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        // The first field of `Layout`.
        self.area.start().as_ptr().cast()
    }

    fn changed(&self) -> *mut libc::pthread_cond_t {
        // SAFETY: the pages have room for a `Layout`, so the field lies within them.
        let changed = unsafe { self.area.start().byte_add(offset_of!(Layout, changed)) };
        changed.as_ptr().cast()
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: as above.
        let word = unsafe { self.area.start().byte_add(offset_of!(Layout, word)) };
        // SAFETY: an aligned word, mapped while `self` exists, which everybody sees as an atomic.
        unsafe { word.cast().as_ref() }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").finish_non_exhaustive()
    }
}

/// The pthread functions return their error number instead of setting errno.
fn check(call: &'static str, done: c_int) -> Result<()> {
    match done {
        0 => Ok(()),
        error => {
            Err(Error::new(call, "the condition variable in shared memory", Errno::from_raw(error)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_finds_the_change() {
        let condition = Condition::anonymous().expect("a condition variable");
        assert_eq!(condition.wait_while(1), Ok(0), "it is another value already");
        condition.store(2).expect("stored");
        assert_eq!(condition.wait_while(0), Ok(2));
    }
}
