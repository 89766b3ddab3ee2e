//! A robust mutex in shared memory: `pthread_mutex_t`, process-shared, that tells when its owner
//! has died.
//!
//! | | |
//! | --- | --- |
//! | guarantees | one owner at a time; the value is reached only through the lock |
//! | progress | blocking: a compare-and-swap without contention, futex(2) with it |
//! | needs | write access for everybody, the readers too |
//! | the owner dies | the next to lock gets [`Lock::OwnerDied`] and must repair the value before anybody uses it |
//! | that one dies too | the next gets [`Lock::OwnerDied`] again |
//! | nobody repairs | the mutex is lost: everybody gets `ENOTRECOVERABLE`, rather than a half-written value |
//! | a waiter dies | the others do not sleep for good: whoever waits looks again ten times a second |
//!
//! The last row is ours, not the C library's: [`Mutex::lock`] says what it does, `docs/the-race.md`
//! why it must.
//!
//! See pthread_mutexattr_setrobust(3) and pthread_mutex_consistent(3).

use std::cell::Cell;
use std::ffi::c_int;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit, offset_of};

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::time::ClockId;

use super::owner::{Home, Owner};
use crate::error::{Error, Refusal, Result};
use crate::mapping::Area;
use crate::shared::{Anonymous, Writer};

/// A value in anonymous shared pages that only the owner of its mutex reaches.
///
/// A parent makes it and then forks; its children inherit it. There is no way to find one in a
/// segment or a file: whoever locks bytes that are no mutex is at their mercy.
pub struct Mutex<T: Anonymous> {
    area: ManuallyDrop<Area>,
    home: Home,
    /// The process that has locked it and not unlocked it, if that is this one or one that this was forked from.
    owned: Cell<Option<Owner>>,
    value: PhantomData<T>,
}

/// The mutex and what it protects, as they lie in the pages. Neither is ever a Rust value as a whole:
/// the C library keeps pointers in `raw`, and only `value` is made for sharing.
#[repr(C)]
struct Locked<T> {
    raw: libc::pthread_mutex_t,
    value: T,
}

impl<T: Anonymous> Mutex<T> {
    /// Maps new pages, filled with zeros, and puts a mutex in front of them that nobody owns:
    /// mmap(2), then pthread_mutex_init(3) with `PTHREAD_PROCESS_SHARED` and
    /// `PTHREAD_MUTEX_ROBUST`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `ENOTSUP` where the C library has no such mutexes.
    pub fn anonymous() -> Result<Self> {
        const { assert!(align_of::<Locked<T>>() <= 4096, "aligned like no page") };
        let area = Area::anonymous(size_of::<Locked<T>>())?;
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the pointer is to memory for attributes, which the call initialises.
        let done = unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) };
        check("pthread_mutexattr_init", done)?;
        // SAFETY: the call above has initialised it.
        let mut attributes = unsafe { attributes.assume_init() };
        // SAFETY: the attributes are initialised.
        let done = unsafe {
            libc::pthread_mutexattr_setpshared(&raw mut attributes, libc::PTHREAD_PROCESS_SHARED)
        };
        check("pthread_mutexattr_setpshared", done)?;
        // SAFETY: the attributes are initialised.
        let done = unsafe {
            libc::pthread_mutexattr_setrobust(&raw mut attributes, libc::PTHREAD_MUTEX_ROBUST)
        };
        check("pthread_mutexattr_setrobust", done)?;
        // SAFETY: `raw` is memory for a mutex, writable, in pages that nobody else has seen yet; the
        // attributes are initialised.
        let done = unsafe {
            libc::pthread_mutex_init(area.start().as_ptr().cast(), &raw const attributes)
        };
        check("pthread_mutex_init", done)?;
        let (area, home) = (ManuallyDrop::new(area), Home::here()?);
        Ok(Self { area, home, owned: Cell::new(None), value: PhantomData })
    }

    fn raw(&self) -> *mut libc::pthread_mutex_t {
        // The first field of `Locked`.
        self.area.start().as_ptr().cast()
    }

    fn value(&self) -> &T {
        // SAFETY: the pages have room for a `Locked`, so the field lies within them.
        let value = unsafe { self.area.start().byte_add(offset_of!(Locked<T>, value)) };
        // SAFETY: it is aligned, since `Locked` starts at a page; the pages stay mapped while `self`
        // exists; `T: Anonymous` makes whatever is there a `T` that others may change.
        unsafe { value.cast().as_ref() }
    }

    /// Takes the mutex, or waits until nobody owns it and takes it then. Signals do not end the wait.
    ///
    /// pthread_mutex_lock(3) would be enough if nobody were ever killed. An unlock wakes one waiter.
    /// If that one is killed before it has the mutex, its wake-up is lost with it, and another may
    /// sleep for good beside a mutex that nobody owns. So this is pthread_mutex_trylock(3) and then
    /// pthread_mutex_clocklock(3), again and again: nobody sleeps for more than a tenth of a second
    /// without looking.
    ///
    /// # Errors
    ///
    /// `ENOTRECOVERABLE` if an owner has died and the next one did not repair the value; `EDEADLK` if this process
    /// owns it. Refused in another PID namespace than that in which it was made: the owner is known by the
    /// number of its thread, and the kernel would take a waiter with the same number, killed there, for it.
    pub fn lock(&self) -> Result<Lock<'_, T>> {
        self.home.must_be_here()?;
        if self.owned.get().is_some_and(Owner::is_current) {
            return Err(Error::new("pthread_mutex_lock", OBJECT, Errno::EDEADLK));
        }
        let raw = self.raw();
        // First without a deadline: asking the clock would take longer than the lock itself.
        let mut call = "pthread_mutex_trylock";
        // SAFETY: `raw` has been a mutex since `anonymous`, and stays mapped while `self` exists.
        let mut done = unsafe { libc::pthread_mutex_trylock(raw) };
        // There is no way out of this loop with a time-out, and there must be none: after it glibc
        // still keeps a note that this thread is about to take the mutex. The kernel follows that
        // note when the thread dies, whatever is mapped there by then.
        while matches!(done, libc::EBUSY | libc::ETIMEDOUT) {
            let until = look_again_at();
            call = "pthread_mutex_clocklock";
            // SAFETY: as above; `until` is a time on the clock that is named.
            done = unsafe { pthread_mutex_clocklock(raw, libc::CLOCK_MONOTONIC, until.as_ref()) };
        }
        if done != libc::EOWNERDEAD {
            check(call, done)?;
        }
        let owner = Owner::current();
        self.owned.set(Some(owner));
        let guard = Guard { mutex: self, owner };
        Ok(if done == libc::EOWNERDEAD {
            Lock::OwnerDied(Broken { guard })
        } else {
            Lock::Clean(guard)
        })
    }
}

impl<T: Anonymous> Drop for Mutex<T> {
    fn drop(&mut self) {
        // A guard that was forgotten, or that could not unlock, leaves the mutex in this thread's list of
        // robust mutexes, which the C library goes on to follow: such pages must stay mapped.
        if self.owned.get().is_none() {
            // SAFETY: nobody uses `area` after this, since `self` is on its way out.
            unsafe { ManuallyDrop::drop(&mut self.area) };
        }
    }
}

impl<T: Anonymous> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("owned", &self.owned).finish_non_exhaustive()
    }
}

/// The mutex, locked; and whether the value behind it can be trusted.
#[derive(Debug)]
#[must_use = "dropped at once, it protects nothing"]
pub enum Lock<'a, T: Anonymous> {
    /// The last owner unlocked the mutex itself.
    Clean(Guard<'a, T>),
    /// The last owner died, perhaps in the middle of a store: `EOWNERDEAD`.
    OwnerDied(Broken<'a, T>),
}

/// The lock on a value that must be repaired first; there is no other way to reach it.
///
/// Dropping it unrepaired unlocks the mutex and makes it unusable for everybody, for good.
#[derive(Debug)]
#[must_use = "dropped unrepaired, it makes the mutex unusable for everybody"]
pub struct Broken<'a, T: Anonymous> {
    guard: Guard<'a, T>,
}

impl<'a, T: Anonymous> Broken<'a, T> {
    /// Has `repair` make the value whole, and then declares it so: pthread_mutex_consistent(3).
    ///
    /// # Errors
    ///
    /// Refused in a fork of the process that took the lock: before `repair` is called, or after it if
    /// `repair` itself forked. None else that the types here allow.
    pub fn repair(self, repair: impl FnOnce(Writer<'_, T>)) -> Result<Guard<'a, T>> {
        self.must_be_ours()?;
        repair(self.guard.writer());
        // Again, because `repair` may have forked: the child must not declare whole what its parent
        // is still repairing.
        self.must_be_ours()?;
        // SAFETY: `raw` is a mutex. Who does not own it, or owns a whole one, gets `EINVAL`.
        let done = unsafe { libc::pthread_mutex_consistent(self.guard.mutex.raw()) };
        check("pthread_mutex_consistent", done)?;
        Ok(self.guard)
    }

    fn must_be_ours(&self) -> Result<()> {
        if self.guard.owner.is_current() {
            return Ok(());
        }
        Err(Error::refused("pthread_mutex_consistent", OBJECT, Refusal::Inherited))
    }
}

/// The lock on a whole value. Dropping it unlocks the mutex: pthread_mutex_unlock(3).
///
/// It belongs to the process that took it. The copy of it that a fork makes unlocks nothing, and gives
/// no right to the value. A [`Writer`] that was taken before the fork does not ask again: so take it
/// anew for each use.
#[derive(Debug)]
#[must_use = "dropped at once, it protects nothing"]
pub struct Guard<'a, T: Anonymous> {
    // `Mutex` holds a `Cell`, so a guard stays with the thread that locked, as it must.
    mutex: &'a Mutex<T>,
    owner: Owner,
}

impl<T: Anonymous> Guard<'_, T> {
    /// The right to load and store the value.
    ///
    /// # Panics
    ///
    /// In a fork of the process that took the lock.
    #[must_use]
    pub fn writer(&self) -> Writer<'_, T> {
        assert!(self.owner.is_current(), "{}", Refusal::Inherited);
        Writer::new(self.mutex.value())
    }
}

impl<T: Anonymous> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if !self.owner.is_current() {
            return;
        }
        // SAFETY: `raw` is a mutex. Who does not own it gets `EPERM`.
        if unsafe { libc::pthread_mutex_unlock(self.mutex.raw()) } == 0 {
            self.mutex.owned.set(None);
        }
    }
}

/// How long a waiter sleeps before it looks whether the mutex is free.
///
/// A person takes a tenth of a second for "at once", and only a kill at a bad moment makes anybody
/// wait that long. Ten looks a second cost a sleeper less than a thousandth of a processor.
const LOOK_AGAIN: TimeSpec = TimeSpec::new(0, 100_000_000);

/// When a waiter that goes to sleep now looks again.
///
/// Nobody can set CLOCK_MONOTONIC back. CLOCK_REALTIME, which pthread_mutex_timedlock(3) goes by,
/// can be set back by an hour, and the waiter would sleep for an hour more.
fn look_again_at() -> TimeSpec {
    ClockId::CLOCK_MONOTONIC.now().expect("every Linux has this clock") + LOOK_AGAIN
}

unsafe extern "C" {
    /// In glibc since 2.30, and in POSIX since 2024. The libc crate does not declare it.
    fn pthread_mutex_clocklock(
        mutex: *mut libc::pthread_mutex_t,
        clock: libc::clockid_t,
        until: *const libc::timespec,
    ) -> c_int;
}

/// The pthread functions return their error number instead of setting errno.
fn check(call: &'static str, done: c_int) -> Result<()> {
    match done {
        0 => Ok(()),
        error => Err(Error::new(call, OBJECT, Errno::from_raw(error))),
    }
}

const OBJECT: &str = "the mutex in shared memory";

#[cfg(test)]
mod tests;
