//! Whoever comes first makes the board, whoever comes second uses it. Now and then the second one finds a
//! board of size 0, and once it took somebody else's memory for a board.
//!
//! Question: why are memory that nobody has touched and memory of somebody else two different errors?
//!
//! Answer: because of what one does next. New memory will be a board in a moment: wait, and look again.
//! Somebody else's memory will never be one, and to wait for it is to wait for ever; to write over it is
//! worse.

#![forbid(unsafe_code)]

use common::{SharedU32, Writer};
use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

const MAGIC: u32 = u32::from_le_bytes(*b"BORD");
const VERSION: u32 = 2;

common::shared_record! {
    /// A board in shared memory.
    pub struct Header {
        magic: SharedU32,
        version: SharedU32,
        size: SharedU32,
    }
}

/// The words of a board: in shared memory, or in the model of it that one of the tests uses.
struct Board<W> {
    magic: W,
    version: W,
    size: W,
}

#[derive(Debug, PartialEq)]
enum Refused {
    /// Nobody has made it, or not to the end.
    NotReady,
    /// It is something else.
    NotABoard,
    /// A newer or an older program has made it.
    Version(u32),
}

impl<W: Word> Board<W> {
    /// Makes a board of new memory, in which all is 0.
    fn create(&self, size: u32) {
        self.version.store(VERSION, Relaxed);
        self.size.store(size, Relaxed);
        // Last, and Release: it promises that all above is there. If we are killed before, nothing is
        // promised. Pairs with `open`.
        self.magic.store(MAGIC, Release);
    }

    /// The size of the board that somebody has made.
    fn open(&self) -> Result<u32, Refused> {
        // First, and Acquire: what is loaded below is at least as new. Pairs with `create`.
        match self.magic.load(Acquire) {
            0 => Err(Refused::NotReady),
            MAGIC => match self.version.load(Relaxed) {
                VERSION => Ok(self.size.load(Relaxed)),
                other => Err(Refused::Version(other)),
            },
            _ => Err(Refused::NotABoard),
        }
    }
}

trait Word {
    fn load(&self, order: Ordering) -> u32;
    fn store(&self, value: u32, order: Ordering);
}

impl Word for Writer<'_, SharedU32> {
    fn load(&self, order: Ordering) -> u32 {
        SharedU32::load(self, order)
    }
    fn store(&self, value: u32, order: Ordering) {
        Writer::<SharedU32>::store(*self, value, order);
    }
}

fn board(it: Writer<'_, Header>) -> Board<Writer<'_, SharedU32>> {
    Board {
        magic: it.field(|it| &it.magic),
        version: it.field(|it| &it.version),
        size: it.field(|it| &it.size),
    }
}

fn main() {
    let lab = lab::Lab::<Header>::new();
    let board = board(lab.shared.writer());
    let before = board.open();
    board.create(8);
    println!("Before: {before:?}. After: {:?}, {:?}.", board.open(), *lab.shared);
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab};

    #[test]
    fn role() {
        if lab::role() == "first" {
            let header = lab::attach::<Header>();
            let board = board(header.writer());
            lab::one_step_at_a_time(|| board.create(8));
        }
    }

    #[test]
    fn the_second_one_may_come_at_any_moment() {
        let _dog = lab::watchdog(60, "the first one does not come to an end");
        let lab = Lab::<Header>::new();
        let board = board(lab.shared.writer());
        let mut first = lab.start("first");
        let made = first.step_through(|step| {
            let found = board.open();
            assert!(
                matches!(found, Err(Refused::NotReady) | Ok(8)),
                "after instruction {step} of `create`, the second one finds {found:?} in {:?}",
                *lab.shared
            );
        });
        if let Err(ended) = made {
            panic!("the first one has not made it: {ended}");
        }
        let (ended, found) = (first.end(), board.open());
        assert!(ended == Ended::Exited(0), "the first one: {ended}");
        assert!(found == Ok(8), "the board is made, and the second one finds {found:?}");
    }

    #[test]
    fn what_is_no_board_of_ours_is_refused() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let lab = Lab::<Header>::new();
        let board = board(lab.shared.writer());
        let opened = |what: &str, expected| {
            let found = board.open();
            assert!(
                found == expected,
                "{what}: {expected:?} is expected, and `open` says {found:?}"
            );
        };
        opened("memory that nobody has touched", Err(Refused::NotReady));
        board.create(8);
        opened("a board", Ok(8));
        board.version.store(VERSION + 1, Relaxed);
        opened("a newer program's board", Err(Refused::Version(VERSION + 1)));
        board.version.store(VERSION - 1, Relaxed);
        opened("an older program's board", Err(Refused::Version(VERSION - 1)));
        board.magic.store(12345, Relaxed);
        opened("somebody else's memory", Err(Refused::NotABoard));
    }

    impl Word for loom::sync::atomic::AtomicU32 {
        fn load(&self, order: Ordering) -> u32 {
            self.load(order)
        }
        fn store(&self, value: u32, order: Ordering) {
            self.store(value, order);
        }
    }

    /// loom tries all that Rust's memory model allows, also what your processor never does.
    #[test]
    fn the_second_one_may_run_on_any_processor() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        loom::model(|| {
            let word = || loom::sync::atomic::AtomicU32::new(0);
            let board = Board { magic: word(), version: word(), size: word() };
            let board = loom::sync::Arc::new(board);
            let theirs = loom::sync::Arc::clone(&board);
            let first = loom::thread::spawn(move || theirs.create(8));
            let found = board.open();
            first.join().expect("the first one");
            drop(board);
            assert!(
                matches!(found, Err(Refused::NotReady) | Ok(8)),
                "the second one has seen the magic number before the rest, and finds {found:?}"
            );
        });
    }
}
