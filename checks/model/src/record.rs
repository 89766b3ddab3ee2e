//! The record: who sees a count sees the text that was stored before it.

use std::ptr::NonNull;

use loom::sync::Arc;
use loom::thread;

use crate::atomic::AtomicU32;
use crate::conn_stat::{ConnStat, SharedConnStat};
use crate::in_each_order;
use crate::shared::{Pages, ReadWrite, Writer};

/// The words of a record in memory of our own: the count, and sixteen words of text.
struct Room([AtomicU32; 17]);

impl Room {
    /// Zeros. loom models the count and two words of the text: with all of them there would be too many
    /// orders, and the texts here are no longer.
    fn new() -> Arc<Self> {
        let word = |index| if index < 3 { AtomicU32::new(0) } else { AtomicU32::plain(0) };
        Arc::new(Self(std::array::from_fn(word)))
    }

    fn pages(&self) -> Pages<SharedConnStat, ReadWrite> {
        // SAFETY: the record is 17 words, which the compiler has asserted here too; they are in the room,
        // and no caller keeps the pages for longer.
        unsafe { Pages::new(NonNull::from(&self.0).cast()) }
    }
}

/// A record whose text is made of the digit `number`, and fills two words.
fn stat(number: u8) -> ConnStat {
    let mut stat = ConnStat::new([number; 4].into());
    stat.count = number.into();
    stat
}

/// How a writer publishes a record.
pub type Publish = fn(Writer<'_, SharedConnStat>, &ConnStat);

/// The record as it is stored by the programs that start one.
pub const STORE: Publish = |writer, stat| writer.store(stat);

/// The text stored, and then counted.
pub const INCREMENT: Publish = |writer, stat| {
    writer.store_ip(stat);
    let _ = writer.increment();
};

/// The text stored, and then counted up to a limit.
pub const INCREMENT_BELOW: Publish = |writer, stat| {
    writer.store_ip(stat);
    assert_eq!(writer.increment_below(3), Some(stat.count));
};

/// One writer publishes two records, one reader looks: with a count comes its text, or one after it.
pub fn check_text_comes_with_count(publish: Publish) {
    in_each_order(move || {
        let room = Room::new();
        let reading = Arc::clone(&room);
        let reader = thread::spawn(move || {
            let seen = reading.pages().get().load();
            if seen.count > 0 {
                let text = seen.ip().to_string();
                let numbers: Vec<i32> = text.split('.').filter_map(|it| it.parse().ok()).collect();
                let whole = numbers.len() == 4 && numbers.iter().all(|&it| it >= seen.count);
                assert!(whole, "count {} and {text:?}", seen.count);
            }
        });
        let pages = room.pages();
        publish(pages.writer(), &stat(1));
        publish(pages.writer(), &stat(2));
        reader.join().expect("the reader");
        assert_eq!(pages.get().load(), stat(2));
    });
}

/// Two writers count, the first of which stores a text before. No count is lost, and who sees both
/// counts sees the text, whoever was last.
pub fn check_two_writers(increment: fn(Writer<'_, SharedConnStat>)) {
    in_each_order(move || {
        let room = Room::new();
        let [second, reading] = [Arc::clone(&room), Arc::clone(&room)];
        let second = thread::spawn(move || increment(second.pages().writer()));
        let reader = thread::spawn(move || {
            let seen = reading.pages().get().load();
            if seen.count == 2 {
                assert_eq!(seen.ip(), stat(1).ip());
            }
        });
        let pages = room.pages();
        pages.writer().store_ip(&stat(1));
        increment(pages.writer());
        second.join().expect("the second writer");
        reader.join().expect("the reader");
        assert_eq!(pages.get().load().count, 2);
    });
}

/// Two writers count up to a limit, and only one of them reaches it.
pub fn check_limit() {
    in_each_order(|| {
        let room = Room::new();
        let second = Arc::clone(&room);
        let second = thread::spawn(move || second.pages().writer().increment_below(1));
        let first = room.pages().writer().increment_below(1);
        let counted = [first, second.join().expect("the second writer")];
        assert!([[Some(1), None], [None, Some(1)]].contains(&counted), "{counted:?}");
        assert_eq!(room.pages().get().load().count, 1);
    });
}
