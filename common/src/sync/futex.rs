//! Waiting for a word in shared memory to change, asleep in the kernel: futex(2).
//!
//! | | |
//! | --- | --- |
//! | guarantees | no wake-up is lost: the kernel compares the word and goes to sleep in one step |
//! | progress | [`wake`] never waits; [`wait`] sleeps until it is woken, or for as long as it may |
//! | needs | an aligned 32-bit word; a read-only mapping is enough to wait |
//! | a party dies | nothing is held, so nothing is left behind; waiters wait on |
//!
//! A futex is nothing but the word: here the record's own `count`, so the record stays C's. The
//! flag `FUTEX_PRIVATE_FLAG`, which most libraries set, would limit it to one process.

use std::sync::atomic::{AtomicI32, AtomicU32};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Timespec, Wait, WaitFlags, WaitPtr, WaitvFlags};

/// Wakes all who wait for `word` to change: futex(2) `FUTEX_WAKE`. Returns how many there were.
///
/// To be called after the store that they wait for.
pub fn wake(word: &AtomicI32) -> usize {
    // It fails only on an address that is not mapped or not aligned.
    futex::wake(as_u32(word), Flags::empty(), i32::MAX.cast_unsigned()).unwrap_or(0)
}

/// Sleeps while `word` is `seen`, for at most `patience`: futex(2) `FUTEX_WAIT`.
///
/// It may return early, after a signal or a wake-up for an older change, and it does return at once
/// if the word has changed already: so load the word again, whatever the reason.
pub fn wait(word: &AtomicI32, seen: i32, patience: Duration) {
    let timeout = timespec(patience);
    // Whatever the result, the caller looks at the word again.
    let _ = futex::wait(as_u32(word), Flags::empty(), seen.cast_unsigned(), Some(&timeout));
}

/// Sleeps while `word` is `seen` and `flag` is 0, for at most `patience`: futex_waitv(2).
///
/// `flag` is for whatever else should end the wait, such as a signal handler's note; no change of
/// either word between the caller's look at it and the sleep is missed. Like [`wait`], it may
/// return early.
pub fn wait_unless(word: &AtomicI32, seen: i32, flag: &AtomicU32, patience: Duration) {
    /// A kernel before 5.16 watches one word: how long a change of the other may go unnoticed.
    const NAP: Duration = Duration::from_millis(50);

    let both = [on(as_u32(word), seen.cast_unsigned()), on(flag, 0)];
    // Unlike that of `wait`, this timeout is a point in time.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    let until = timespec(now.saturating_add(patience));
    let clock = rustix::thread::ClockId::Monotonic;
    match futex::waitv(&both, WaitvFlags::empty(), Some(&until), clock) {
        Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
        // Not there (ENOSYS), or not allowed in this sandbox (EPERM).
        Err(_) => wait(word, seen, patience.min(NAP)),
    }
}

fn on(word: &AtomicU32, seen: u32) -> Wait {
    let mut wait = Wait::new();
    wait.val = seen.into();
    wait.uaddr = WaitPtr::new(word.as_ptr().cast());
    wait.flags = WaitFlags::SIZE_U32;
    wait
}

fn as_u32(word: &AtomicI32) -> &AtomicU32 {
    // SAFETY: the two types have the same size, alignment and bit patterns, and all that is done
    // with the result is to pass its address to the kernel, which needs no more than to load it.
    unsafe { &*std::ptr::from_ref(word).cast() }
}

fn timespec(duration: Duration) -> Timespec {
    // The kernel takes times up to the end of its 63-bit nanoseconds: some three hundred years.
    const LONGEST: Duration = Duration::from_secs(200 * 365 * 24 * 60 * 60);
    let duration = duration.min(LONGEST);
    Timespec { tv_sec: duration.as_secs().cast_signed(), tv_nsec: duration.subsec_nanos().into() }
}
