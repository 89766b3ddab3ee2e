//! The header: who finds it finds all that its creator has stored before.

use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;

use loom::sync::Arc;
use loom::thread;

use crate::atomic::AtomicU32;
use crate::header::{Header, Kind, Unfit};
use crate::in_each_order;
use crate::shared::{Pages, ReadWrite};
use crate::words::SharedU32;

crate::shared_record! {
    struct Board {
        header: Header,
        word: SharedU32,
    }
}

const KIND: Kind = Kind { magic: 1, version: 2 };
const SIZE: u32 = 16;

/// The words of a board in memory of our own, all 0: as new memory has them.
struct Room([AtomicU32; 4]);

impl Room {
    fn new() -> Arc<Self> {
        Arc::new(Self(std::array::from_fn(|_| AtomicU32::new(0))))
    }

    fn pages(&self) -> Pages<Board, ReadWrite> {
        // SAFETY: a board is 4 words, as the room has; no caller keeps the pages for longer.
        unsafe { Pages::new(NonNull::from(&self.0).cast()) }
    }
}

/// A creator stores a word and publishes, in this order or the other one; somebody else looks. Either
/// nothing is ready, or all of it is.
pub fn check_header(word_first: bool) {
    in_each_order(move || {
        let room = Room::new();
        let looking = Arc::clone(&room);
        let other = thread::spawn(move || {
            let board = looking.pages();
            match board.get().header.check(KIND, SIZE as usize) {
                Ok(()) => assert_eq!(board.get().word.load(Relaxed), 42, "a header came too early"),
                Err(unfit) => assert_eq!(unfit, Unfit::NotReady),
            }
        });
        let board = room.pages();
        let store = || board.writer().field(|it| &it.word).store(42, Relaxed);
        if word_first {
            store();
        }
        board.writer().field(|it| &it.header).publish(KIND, SIZE);
        if !word_first {
            store();
        }
        other.join().expect("the one who looks");
        assert_eq!(board.get().header.check(KIND, SIZE as usize), Ok(()));
    });
}
