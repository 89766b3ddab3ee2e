//! A mutex of the C library in shared memory, as bare as in C: each function returns an error number.
//!
//! It is for segments of a [`Lab`](crate::Lab), which nobody but the processes of one test has. Bytes
//! that somebody else may store must never be used as a mutex: the C library follows pointers in them. Nothing here
//! keeps a test from storing them, and a mutex that is unmapped while it is locked stays in a list of the thread's: so
//! these functions are safe by name only. `common::sync::mutex` shows what it takes.

use std::mem::MaybeUninit;
use std::ptr;

use common::{SharedU32, Writer, shared_record};

shared_record! {
    /// Room for a `pthread_mutex_t`. Zeros are no mutex yet: [`mutex_init`] makes one.
    pub struct Mutex {
        // The first fields of a record, so that it is aligned.
        words: [SharedU32; 12],
    }
}

const _: () = assert!(size_of::<libc::pthread_mutex_t>() <= size_of::<Mutex>());

fn raw(mutex: Writer<'_, Mutex>) -> *mut libc::pthread_mutex_t {
    let raw = ptr::from_ref(&*mutex).cast_mut().cast::<libc::pthread_mutex_t>();
    assert!(raw.is_aligned(), "a mutex must be the first field of its record");
    raw
}

/// Makes a mutex that works between processes, tells when its owner has died, and refuses an owner that
/// locks again: pthread_mutex_init(3) with `PTHREAD_PROCESS_SHARED`, `PTHREAD_MUTEX_ROBUST` and
/// `PTHREAD_MUTEX_ERRORCHECK`.
pub fn mutex_init(mutex: Writer<'_, Mutex>) {
    let mut how = MaybeUninit::uninit();
    // SAFETY: the pointer is to room for attributes, which the call initialises.
    unsafe { libc::pthread_mutexattr_init(how.as_mut_ptr()) };
    // SAFETY: the attributes are initialised; so in the next two.
    unsafe { libc::pthread_mutexattr_setpshared(how.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED) };
    // SAFETY: see above.
    unsafe { libc::pthread_mutexattr_setrobust(how.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST) };
    // SAFETY: see above.
    unsafe { libc::pthread_mutexattr_settype(how.as_mut_ptr(), libc::PTHREAD_MUTEX_ERRORCHECK) };
    // SAFETY: the room is large enough and aligned, and may be written.
    unsafe { libc::pthread_mutex_init(raw(mutex), how.as_ptr()) };
}

/// Locks it, and waits while another has it: pthread_mutex_lock(3). 0, or `EOWNERDEAD`: locked, and the
/// owner before has died. `ENOTRECOVERABLE`: nobody gets it any more. `EDEADLK`: this thread has it.
#[must_use]
pub fn mutex_lock(mutex: Writer<'_, Mutex>) -> i32 {
    // SAFETY: `mutex_init` has made it, and the tests store nothing else there.
    unsafe { libc::pthread_mutex_lock(raw(mutex)) }
}

/// Declares whole what it protects: pthread_mutex_consistent(3), for who has got `EOWNERDEAD`.
pub fn mutex_consistent(mutex: Writer<'_, Mutex>) -> i32 {
    // SAFETY: as in `mutex_lock`.
    unsafe { libc::pthread_mutex_consistent(raw(mutex)) }
}

/// Unlocks it: pthread_mutex_unlock(3). `EPERM` if this thread has not locked it.
pub fn mutex_unlock(mutex: Writer<'_, Mutex>) -> i32 {
    // SAFETY: as in `mutex_lock`.
    unsafe { libc::pthread_mutex_unlock(raw(mutex)) }
}
