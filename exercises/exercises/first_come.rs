//! Whoever comes first makes the board, whoever comes second uses it. Now and then the second one finds a
//! board of size 0, and once it took somebody else's memory for a board.
//!
//! Question: why are memory that nobody has touched and memory of somebody else two different errors?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use common::{Writer, shared_record};
// `lab`'s words are those of `common`; a test can have loom run them in all orders.
use lab::{SharedU32, Store as _};

const MAGIC: u32 = u32::from_le_bytes(*b"BORD");
const VERSION: u32 = 2;

shared_record! {
    /// A board in shared memory.
    pub struct Board {
        magic: SharedU32,
        version: SharedU32,
        size: SharedU32,
    }
}

#[allow(dead_code)]
#[derive(Debug, PartialEq)]
enum Refused {
    /// Nobody has made it, or not to the end.
    NotReady,
    /// It is something else.
    NotABoard,
    /// A newer or an older program has made it.
    Version(u32),
}

/// Makes a board of new memory, in which all is 0.
fn create(board: Writer<'_, Board>, size: u32) {
    // TODO: whoever finds the magic number must find the rest. It may look at any moment, from any
    // processor.
    board.field(|it| &it.magic).store(MAGIC, Relaxed);
    board.field(|it| &it.version).store(VERSION, Relaxed);
    board.field(|it| &it.size).store(size, Release);
}

/// The size of the board that somebody has made.
fn open(board: &Board) -> Result<u32, Refused> {
    // TODO: what is loaded first? What may be in there, and which version do we understand?
    match board.magic.load(Acquire) {
        MAGIC => Ok(board.size.load(Relaxed)),
        _ => Err(Refused::NotReady),
    }
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let lab = lab::Lab::<Board>::new();
    let before = open(&lab.shared);
    create(lab.shared.writer(), 8);
    println!("Before: {before:?}. After: {:?}, {:?}.", open(&lab.shared), *lab.shared);
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab};

    #[test]
    fn role() {
        if lab::role() == "first" {
            let board = lab::attach::<Board>();
            lab::one_step_at_a_time(|| create(board.writer(), 8));
        }
    }

    #[test]
    fn the_second_one_may_come_at_any_moment() {
        let _dog = lab::watchdog(60, "the first one does not come to an end");
        let lab = Lab::<Board>::new();
        let board = &lab.shared;
        let mut first = lab.start("first");
        let made = first.step_through(|step| {
            let found = open(board);
            assert!(
                matches!(found, Err(Refused::NotReady) | Ok(8)),
                "after instruction {step} of `create`, the second one finds {found:?} in {:?}",
                *lab.shared
            );
        });
        if let Err(ended) = made {
            panic!("the first one has not made it: {ended}");
        }
        let (ended, found) = (first.end(), open(board));
        assert!(ended == Ended::Exited(0), "the first one: {ended}");
        assert!(found == Ok(8), "the board is made, and the second one finds {found:?}");
    }

    #[test]
    fn what_is_no_board_of_ours_is_refused() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let lab = Lab::<Board>::new();
        let board = lab.shared.writer();
        let opened = |what: &str, expected| {
            let found = open(&board);
            assert!(
                found == expected,
                "{what}: {expected:?} is expected, and `open` says {found:?}"
            );
        };
        opened("memory that nobody has touched", Err(Refused::NotReady));
        create(board, 8);
        opened("a board", Ok(8));
        board.field(|it| &it.version).store(VERSION + 1, Relaxed);
        opened("a newer program's board", Err(Refused::Version(VERSION + 1)));
        board.field(|it| &it.version).store(VERSION - 1, Relaxed);
        opened("an older program's board", Err(Refused::Version(VERSION - 1)));
        board.field(|it| &it.magic).store(12345, Relaxed);
        opened("somebody else's memory", Err(Refused::NotABoard));
    }

    /// loom tries all that Rust's memory model allows, also what your processor never does.
    #[test]
    fn the_second_one_may_run_on_any_processor() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let board = Lab::<Board>::new().for_ever();
        lab::in_all_orders!([&*board], {
            let second = loom::thread::spawn(move || open(&board));
            create(board, 8);
            let found = second.join().expect("it returns");
            assert!(
                matches!(found, Err(Refused::NotReady) | Ok(8)),
                "the second one has seen the magic number before the rest, and finds {found:?}"
            );
        });
    }
}
