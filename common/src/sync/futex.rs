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
//! flag `FUTEX_PRIVATE_FLAG`, which most libraries set, would limit it to one process. The C library
//! has no function for it, so the calls below are syscall(2) with the number of the call.

use std::ffi::{c_int, c_long};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

use crate::words::{SharedI32, SharedU32};

/// A word that processes can sleep on.
pub trait Word: sealed::Sealed {
    /// What is in it.
    type Value: Copy;
}

impl Word for SharedU32 {
    type Value = u32;
}

impl Word for SharedI32 {
    type Value = i32;
}

impl Word for AtomicU32 {
    type Value = u32;
}

/// Wakes those who wait for `word` to change, at most `most` of them: futex(2) `FUTEX_WAKE`. Returns
/// how many it has woken.
///
/// To be called after the store that they wait for.
pub fn wake<W: Word>(word: &W, most: u32) -> usize {
    // A number below 1 wakes one.
    let most = c_int::try_from(most).unwrap_or(c_int::MAX);
    // SAFETY: the kernel takes the address as the name of the word and loads nothing from it.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.address(), libc::FUTEX_WAKE, most) };
    // It fails only on an address that is not mapped or not aligned.
    usize::try_from(woken).unwrap_or(0)
}

/// Sleeps while `word` is `seen`, for at most `patience`: futex(2) `FUTEX_WAIT`.
///
/// It may return early, after a signal or a wake-up for an older change, and it does return at once
/// if the word has changed already: so load the word again, whatever the reason.
pub fn wait<W: Word>(word: &W, seen: W::Value, patience: Duration) {
    let patience = patience.min(LONGEST);
    let timeout = libc::timespec {
        tv_sec: patience.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: patience.subsec_nanos().cast_signed().into(),
    };
    // SAFETY: the kernel loads the word, which is mapped and aligned, and the time, which outlives
    // the call.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.address(),
            libc::FUTEX_WAIT,
            W::bits(seen),
            &raw const timeout,
        );
    }
    // Whatever the result, the caller looks at the word again.
}

/// Sleeps while `word` is `seen` and `flag` is 0, for at most `patience`: futex_waitv(2).
///
/// `flag` is for whatever else should end the wait, such as a signal handler's note; no change of
/// either word between the caller's look at it and the sleep is missed. Like [`wait`], it may
/// return early.
pub fn wait_unless<W: Word>(word: &W, seen: W::Value, flag: &AtomicU32, patience: Duration) {
    /// A kernel before 5.16 watches one word: how long a change of the other may go unnoticed.
    const NAP: Duration = Duration::from_millis(50);

    let both = [Waiter::on(word.address(), W::bits(seen)), Waiter::on(flag.as_ptr(), 0)];
    // Unlike that of `wait`, this timeout is a point in time.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    let until = now.saturating_add(patience).min(LONGEST);
    let until =
        Time { seconds: until.as_secs().cast_signed(), nanoseconds: until.subsec_nanos().into() };
    // SAFETY: the kernel loads two waiters, their words, which are mapped and aligned, and the time; all
    // outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_futex_waitv,
            both.as_ptr(),
            2 as c_long,
            0 as c_long,
            &raw const until,
            c_long::from(libc::CLOCK_MONOTONIC),
        )
    };
    match Errno::result(done) {
        Ok(_) | Err(Errno::EAGAIN | Errno::EINTR | Errno::ETIMEDOUT) => {}
        // Not there (ENOSYS), or not allowed in this sandbox (EPERM).
        Err(_) => wait(word, seen, patience.min(NAP)),
    }
}

/// `struct futex_waitv` of linux/futex.h.
#[repr(C)]
struct Waiter {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

impl Waiter {
    fn on(word: *const u32, seen: u32) -> Self {
        /// `FUTEX2_SIZE_U32` of linux/futex.h.
        const SIZE_U32: u32 = 2;
        Self {
            value: seen.into(),
            address: word.expose_provenance() as u64,
            flags: SIZE_U32,
            reserved: 0,
        }
    }
}

/// `struct __kernel_timespec`, which has 64 bits each on all machines.
#[repr(C)]
struct Time {
    seconds: i64,
    nanoseconds: i64,
}

/// The kernel takes times up to the end of its 63-bit nanoseconds: some three hundred years.
const LONGEST: Duration = Duration::from_secs(200 * 365 * 24 * 60 * 60);

mod sealed {
    use super::{AtomicU32, SharedI32, SharedU32, Word};

    pub trait Sealed {
        /// Where the word is.
        fn address(&self) -> *const u32;
        /// What the kernel compares it with.
        fn bits(value: Self::Value) -> u32
        where
            Self: Word;
    }

    impl Sealed for SharedU32 {
        fn address(&self) -> *const u32 {
            self.as_ptr()
        }
        fn bits(value: u32) -> u32 {
            value
        }
    }

    impl Sealed for AtomicU32 {
        fn address(&self) -> *const u32 {
            self.as_ptr()
        }
        fn bits(value: u32) -> u32 {
            value
        }
    }

    impl Sealed for SharedI32 {
        fn address(&self) -> *const u32 {
            self.as_ptr()
        }
        fn bits(value: i32) -> u32 {
            value.cast_unsigned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;
    use crate::shared::ReadWrite;
    use std::sync::atomic::Ordering;
    use std::time::Instant;

    /// A wait that nobody ends; no longer than the nap of [`wait_unless`] on an old kernel.
    const PATIENCE: Duration = Duration::from_millis(50);

    /// A kernel that is told of another value than the one that is there does not let anybody sleep.
    fn sleeps<W: Word>(word: &W, value: W::Value) {
        let start = Instant::now();
        wait(word, value, PATIENCE);
        assert!(start.elapsed() >= PATIENCE, "wait");
        let start = Instant::now();
        wait_unless(word, value, &AtomicU32::new(0), PATIENCE);
        assert!(start.elapsed() >= PATIENCE, "wait_unless");
    }

    #[test]
    #[cfg_attr(miri, ignore = "system calls")]
    fn who_waits_sleeps_whatever_the_value() {
        let unsigned = Mapping::<SharedU32, ReadWrite>::anonymous().expect("a page");
        for value in [0, 7, u32::MAX] {
            sleeps(&AtomicU32::new(value), value);
            unsigned.writer().store(value, Ordering::Relaxed);
            sleeps(&*unsigned, value);
        }
        let signed = Mapping::<SharedI32, ReadWrite>::anonymous().expect("a page");
        for value in [0, 7, -7] {
            signed.writer().store(value, Ordering::Relaxed);
            sleeps(&*signed, value);
        }
    }
}
