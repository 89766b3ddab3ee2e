//! A reader gives out the board without its `writer()`, so that nobody can store to it by mistake.
//! A wild pointer does it all the same, and the writer's count is 99.
//!
//! Question: what does `ReadOnly` in the type add to SHM_RDONLY in the call?
//!
//! Answer: the compiler's word before the kernel's. With SHM_RDONLY alone a store compiles, and is a
//! SIGSEGV when it runs. An `Attachment<_, ReadOnly>` has no `writer()`, so a store does not compile. The
//! kernel's protection is still needed: it holds for wild pointers, for C code, and for everything else
//! that the types don't see.

#![forbid(unsafe_code)]

use std::ops::Deref;

use common::sysv::{Attachment, Key, Segment};
use common::{ReadOnly, Result, SharedU32};

common::shared_record! {
    pub struct Board {
        count: SharedU32,
    }
}

/// Attaches the board for somebody who only reads: shmat(2).
fn attach(segment: &Segment) -> Result<impl Deref<Target = Board> + use<>> {
    // SHM_RDONLY: the page is mapped for loads only, in this process. Others may store, and we see it.
    let board: Attachment<Board, ReadOnly> = segment.attach()?;
    Ok(board)
}

fn make() -> Result<Segment> {
    Segment::create(Key::Private, size_of::<Board>(), 0o600)
}

fn main() {
    let segment = make().expect("a segment");
    let attached = attach(&segment);
    segment.remove().expect("removed");
    let board = attached.expect("attached");
    let address = std::ptr::from_ref(&*board).addr();
    println!("/proc/self/maps: {}", maps_line(address));
}

/// The kernel's line about the page at `address`.
fn maps_line(address: usize) -> String {
    let maps = common::proc::maps("self").expect("/proc/self/maps");
    maps.into_iter().find(|it| it.addresses.contains(&address)).map_or("gone".into(), |it| it.line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::ReadWrite;
    use lab::{Ended, Process};
    use nix::sys::signal::Signal;
    use std::sync::atomic::Ordering;

    #[test]
    fn role() {
        if lab::role() == "reader" {
            let id = lab::argument("ID").parse().expect("an id");
            let board = attach(&Segment::from_id(id).expect("a segment")).expect("attached");
            assert_eq!(board.count.load(Ordering::Relaxed), 7, "what the writer has stored");
            lab::stray_store(&board.count, 99);
        }
    }

    #[test]
    fn a_stray_store_of_a_reader_hurts_nobody_else() {
        let _dog = lab::watchdog(60, "the reader does not end");
        let segment = make().expect("a segment");
        let board = segment.attach::<Board, ReadWrite>();
        segment.remove().expect("marked for destruction");
        let board = board.expect("attached by the writer");
        board.writer().field(|it| &it.count).store(7, Ordering::Relaxed);

        let mut reader = Process::start("reader", &[("ID", &segment.id().to_string())]);
        let ended = reader.end();

        let count = board.count.load(Ordering::Relaxed);
        assert!(count == 7, "the writer has stored 7, and a reader's mistake has made it {count}");
        assert!(ended == Ended::Killed(Signal::SIGSEGV), "the reader has stored, but {ended}");
    }
}
