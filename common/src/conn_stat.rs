//! The record that the programs share: C's `struct Conn_stat { int count; char ip[64]; }`.
//!
//! The same 68 bytes have two Rust types: [`ConnStat`], a value that this process owns, and
//! [`SharedConnStat`], those bytes where other processes also write. The asserts below keep the
//! two alike; a test compares them with what a C compiler says of the struct.

use std::fmt;
use std::mem::offset_of;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytemuck::{Pod, Zeroable};

use crate::printable::Text;
use crate::shared::Writer;
use crate::shared_text::SharedText;
use crate::sync::futex;
use crate::words::SharedI32;

/// A record that this process owns: plain old data, to copy, compare and turn into bytes.
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ConnStat {
    /// How many times the writers have counted.
    pub count: i32,
    ip: [u8; 64],
}

impl ConnStat {
    /// What a writer starts with: a count of 0 and the text of `ip`.
    #[must_use]
    pub fn new(ip: IpAddr) -> Self {
        let text = ip.to_string();
        let mut stat = Self::zeroed();
        stat.ip[..text.len()].copy_from_slice(text.as_bytes());
        stat
    }

    /// The text in the `ip` field: a writer stores an address, but any bytes may be there.
    #[must_use]
    pub fn ip(&self) -> Text {
        Text::from_c(&self.ip)
    }
}

impl fmt::Debug for ConnStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnStat").field("count", &self.count).field("ip", &self.ip()).finish()
    }
}

crate::shared_record! {
    /// The record in shared memory, where other processes store at any time.
    pub struct SharedConnStat {
        count: SharedI32,
        ip: SharedText<16>,
    }
}

// C, the owned value and the shared memory agree on every byte.
const _: () = {
    assert!(size_of::<ConnStat>() == 68);
    assert!(size_of::<SharedConnStat>() == size_of::<ConnStat>());
    assert!(align_of::<SharedConnStat>() == align_of::<ConnStat>());
    assert!(offset_of!(SharedConnStat, count) == offset_of!(ConnStat, count));
    assert!(offset_of!(SharedConnStat, ip) == offset_of!(ConnStat, ip));
    assert!(size_of::<SharedText<16>>() == size_of::<[u8; 64]>());
};

impl SharedConnStat {
    /// Loads the record: the count, then the text.
    ///
    /// Pairs with [`Writer::increment`] and its kin: whoever sees a count here also sees the text
    /// that its writer had stored before it counted. The two are still two loads, so a text that
    /// another writer stores in between shows up beside the older count.
    #[must_use]
    pub fn load(&self) -> ConnStat {
        let count = self.count.load(Ordering::Acquire);
        let ip = bytemuck::cast(self.ip.load_words());
        ConnStat { count, ip }
    }

    /// Sleeps while the count is `seen`, for at most `patience`, and while `flag` is 0; it may return
    /// early: futex_waitv(2), see [`futex::wait_unless`].
    ///
    /// A writer in C that knows nothing of futexes wakes nobody: its changes are seen when
    /// `patience` is over.
    pub fn wait_unless(&self, seen: i32, flag: &AtomicU32, patience: Duration) {
        futex::wait_unless(&self.count, seen, flag, patience);
    }
}

impl<'a> Writer<'a, SharedConnStat> {
    /// Stores `stat` over whatever is there: the text, then the count.
    ///
    /// Pairs with [`SharedConnStat::load`].
    pub fn store(self, stat: &ConnStat) {
        self.store_ip(stat);
        self.store_count(stat);
    }

    /// Stores the count of `stat`, after everything that this process has stored before.
    ///
    /// Pairs with [`SharedConnStat::load`].
    pub fn store_count(self, stat: &ConnStat) {
        self.count().store(stat.count, Ordering::Release);
    }

    /// Stores the text of `stat` and leaves the count alone: other writers may be counting.
    pub fn store_ip(self, stat: &ConnStat) {
        self.field(|shared| &shared.ip).store_words(bytemuck::cast(stat.ip));
    }

    /// Adds 1 to the count in one indivisible step, and returns the new count.
    ///
    /// C's `p->count++` is three steps (load, add, store), and two writers that interleave them
    /// lose counts. Past `i32::MAX` the count goes on at `i32::MIN`.
    ///
    /// Pairs with [`SharedConnStat::load`].
    #[must_use = "the count may have moved on when it is loaded again"]
    pub fn increment(self) -> i32 {
        self.count().fetch_add(1, Ordering::Release).wrapping_add(1)
    }

    /// Adds 1 to the count if it is below `limit`, in one indivisible step, and returns the new
    /// count; `None` if the limit was reached.
    ///
    /// C's `while (p->count < limit) p->count++;` lets two writers pass the test together and end
    /// at `limit + 1`.
    ///
    /// Pairs with [`SharedConnStat::load`].
    #[must_use = "None says that the limit was reached"]
    pub fn increment_below(self, limit: i32) -> Option<i32> {
        let mut count = self.count.load(Ordering::Relaxed);
        while count < limit {
            let next = count + 1;
            match self.count().compare_exchange(count, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Some(next),
                // Another writer was faster: what is there now?
                Err(found) => count = found,
            }
        }
        None
    }

    fn count(self) -> Writer<'a, SharedI32> {
        self.field(|shared| &shared.count)
    }

    /// Wakes all readers that sleep until the count changes; to be called after the change:
    /// futex(2) `FUTEX_WAKE`.
    ///
    /// Pairs with [`SharedConnStat::wait_unless`].
    pub fn wake(self) {
        futex::wake(&self.count, u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;
    use crate::shared::ReadWrite;

    fn stat(count: i32, ip: &str) -> ConnStat {
        ConnStat { count, ..ConnStat::new(ip.parse().expect("an address")) }
    }

    fn shared() -> Mapping<SharedConnStat, ReadWrite> {
        Mapping::anonymous().expect("an anonymous page")
    }

    #[test]
    fn bytes_are_those_of_the_c_struct() {
        let bytes = bytemuck::bytes_of(&stat(7, "127.0.0.1")).to_vec();
        assert_eq!(bytes[..4], 7_i32.to_ne_bytes());
        assert_eq!(&bytes[4..14], b"127.0.0.1\0");
        assert!(bytes[14..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn the_longest_address_fits() {
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        assert_eq!(stat(0, longest).ip().as_bytes(), longest.as_bytes());
    }

    #[test]
    fn new_memory_is_a_record_without_writer() {
        let stat = shared().load();
        assert_eq!(stat.count, 0);
        assert!(stat.ip().is_empty());
    }

    #[test]
    fn a_record_comes_back_as_it_was_stored() {
        let shared = shared();
        shared.writer().store(&stat(41, "::1"));
        assert_eq!(shared.load(), stat(41, "::1"));
        assert_eq!(shared.writer().increment(), 42);
        assert_eq!(shared.load(), stat(42, "::1"));
    }

    #[test]
    fn storing_the_text_leaves_the_count() {
        let shared = shared();
        shared.writer().store(&stat(5, "127.0.0.1"));
        shared.writer().store_ip(&stat(99, "10.0.0.1"));
        assert_eq!(shared.load(), stat(5, "10.0.0.1"));
    }

    #[test]
    fn the_count_wraps_instead_of_panicking() {
        let shared = shared();
        shared.writer().store(&stat(i32::MAX, "127.0.0.1"));
        assert_eq!(shared.writer().increment(), i32::MIN);
    }

    #[test]
    fn a_limit_stops_the_count() {
        let shared = shared();
        shared.writer().store(&stat(1, "127.0.0.1"));
        assert_eq!(shared.writer().increment_below(3), Some(2));
        assert_eq!(shared.writer().increment_below(3), Some(3));
        assert_eq!(shared.writer().increment_below(3), None);
        assert_eq!(shared.load().count, 3);
    }

    #[test]
    fn threads_lose_no_increment_and_keep_the_limit() {
        let shared = shared();
        let record: &SharedConnStat = &shared;
        let writer = shared.writer();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let _ = writer.increment();
                    }
                });
            }
        });
        assert_eq!(record.load().count, 40_000);
        let below: usize = std::thread::scope(|scope| {
            let count_up = || std::iter::from_fn(|| writer.increment_below(60_000)).count();
            let counting: Vec<_> = (0..4).map(|_| scope.spawn(count_up)).collect();
            counting.into_iter().map(|it| it.join().expect("no panic")).sum()
        });
        assert_eq!((below, record.load().count), (20_000, 60_000));
    }

    #[test]
    fn who_sees_a_count_sees_its_text() {
        // Both wait for each other, so there is nothing newer than what is looked for; and not for
        // long, since on a busy machine each turn may take a while.
        let (shared, seen) = (shared(), AtomicU32::new(0));
        let record: &SharedConnStat = &shared;
        let writer = shared.writer();
        let until = std::time::Instant::now() + Duration::from_secs(1);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut count = 0;
                while count >= 0 {
                    let loaded = record.load();
                    if loaded.count != count {
                        count = loaded.count;
                        let octet = u8::try_from(count.unsigned_abs() % 156).unwrap_or(0);
                        let text = format!("{}.0.0.1", 100 + octet);
                        let is_its_own = loaded.ip().to_string() == text;
                        // Told to the writer first, which would wait for ever otherwise.
                        let tell = if is_its_own { count.unsigned_abs() } else { u32::MAX };
                        seen.store(tell, Ordering::Release);
                        assert!(is_its_own, "{loaded:?}, and not {text}");
                    }
                }
            });
            for count in 1..=50_000_u32 {
                let last = count == 50_000 || std::time::Instant::now() > until;
                let octet = u8::try_from(count % 156).unwrap_or(0);
                let mut stat = ConnStat::new([100 + octet, 0, 0, 1].into());
                // A negative count is the last one.
                stat.count = if last { -count.cast_signed() } else { count.cast_signed() };
                writer.store(&stat);
                while ![count, u32::MAX].contains(&seen.load(Ordering::Acquire)) {
                    std::thread::yield_now();
                }
                if last || seen.load(Ordering::Acquire) == u32::MAX {
                    break;
                }
            }
        });
    }

    /// Long enough for a busy machine, far from `FOR_EVER`.
    const DEADLINE: Duration = Duration::from_secs(30);
    const FOR_EVER: Duration = Duration::from_secs(3600);

    #[test]
    fn a_flag_that_is_set_ends_the_wait() {
        let shared: &'static Mapping<_, ReadWrite> = Box::leak(Box::new(shared()));
        let record: &'static SharedConnStat = shared;
        let (done, returned) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            record.wait_unless(0, &AtomicU32::new(1), FOR_EVER);
            done.send(())
        });
        returned.recv_timeout(DEADLINE).expect("the wait ends, though nobody counts");
    }

    #[test]
    fn one_wake_wakes_all_who_sleep() {
        let shared: &'static Mapping<_, ReadWrite> = Box::leak(Box::new(shared()));
        let record: &'static SharedConnStat = shared;
        let (done, returned) = std::sync::mpsc::channel();
        for _ in 0..3 {
            let done = done.clone();
            let thread = std::sync::Arc::new(std::sync::atomic::AtomicI32::new(0));
            let id = std::sync::Arc::clone(&thread);
            std::thread::spawn(move || {
                id.store(nix::unistd::gettid().as_raw(), Ordering::Release);
                record.wait_unless(0, &AtomicU32::new(0), FOR_EVER);
                done.send(())
            });
            // Once it has told its id, it sleeps nowhere but in the wait.
            let start = std::time::Instant::now();
            let asleep = || {
                let stat = format!("/proc/self/task/{}/stat", thread.load(Ordering::Acquire));
                std::fs::read_to_string(stat).is_ok_and(|it| it.contains(") S "))
            };
            while !asleep() {
                assert!(start.elapsed() < DEADLINE, "the thread does not go to sleep");
                std::thread::yield_now();
            }
        }
        shared.writer().wake();
        for _ in 0..3 {
            returned.recv_timeout(DEADLINE).expect("each of the three is woken");
        }
    }
}
