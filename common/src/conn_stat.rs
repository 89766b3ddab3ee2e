//! The record that the programs share: C's `struct Conn_stat { int count; char ip[64]; }`.
//!
//! The same 68 bytes have two Rust types: [`ConnStat`], a value that this process owns, and
//! [`SharedConnStat`], those bytes where other processes also write. The asserts below keep the
//! two alike; a test compares them with what a C compiler says of the struct.

use std::fmt;
use std::mem::offset_of;
use std::net::IpAddr;
use std::time::Duration;

use bytemuck::{Pod, Zeroable};

use crate::atomic::{AtomicU32, Ordering};
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
mod tests;
