//! What the others cost: readers of the same record, and a neighbour in the same cache line.

use std::array;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use common::mapping::Mapping;
use common::sync::mutex::{Lock, Mutex};
use common::sync::seqlock::SeqLock;
use common::{ReadWrite, SharedU32};
use terminal::{Stop, Terminal};

use crate::handover::Measured;
use crate::processes::{self, Control};
use crate::single::picoseconds;
use crate::way::{RECORD, Result, check, fill};
use crate::ways::locked::store;

/// The most readers.
pub const MOST: usize = 8;

/// A measurement with so many others: picoseconds of a step of the first process.
pub type Beside = fn(&mut Terminal, &Measured<'_>, usize) -> std::result::Result<Vec<u64>, Stop>;

/// Those whose writer is measured with readers beside it.
pub const WITH_READERS: [(&str, Beside); 2] = [("seqlock", seqlock), ("robust mutex", mutex)];

/// Two processes count, each in a word of its own.
pub const NEIGHBOURS: [(&str, Beside); 2] = [
    ("two counts in one cache line", |terminal, measured, _| count(terminal, measured, 1)),
    ("two counts in two cache lines", |terminal, measured, _| count(terminal, measured, 16)),
];

fn seqlock(
    terminal: &mut Terminal,
    measured: &Measured<'_>,
    readers: usize,
) -> std::result::Result<Vec<u64>, Stop> {
    let shared = Mapping::<SeqLock<RECORD>, ReadWrite>::anonymous()?;
    let read = || {
        // Without one the writer is too fast: that is no error.
        let Ok(words) = shared.snapshot(100) else { return Ok(()) };
        whole(&words)
    };
    let publish = |words: &[u32; RECORD]| {
        shared.writer().publish_with(|index| words[index]);
        Ok(())
    };
    with_readers(terminal, measured, readers, publish, read)
}

fn mutex(
    terminal: &mut Terminal,
    measured: &Measured<'_>,
    readers: usize,
) -> std::result::Result<Vec<u64>, Stop> {
    let shared = Mutex::<[SharedU32; RECORD]>::anonymous()?;
    let publish = |words: &[u32; RECORD]| {
        let Lock::Clean(guard) = shared.lock()? else { return Err("its owner died".into()) };
        store(guard.writer(), words);
        Ok(())
    };
    let read = || {
        let Lock::Clean(guard) = shared.lock()? else { return Err("its owner died".into()) };
        let words: [u32; RECORD] = array::from_fn(|index| guard.writer()[index].load(Relaxed));
        drop(guard);
        whole(&words)
    };
    with_readers(terminal, measured, readers, publish, read)
}

/// All zeros is what the pages hold before the first publication.
fn whole(words: &[u32; RECORD]) -> Result<()> {
    if *words == [0; RECORD] { Ok(()) } else { check(words, words[0]) }
}

fn with_readers(
    terminal: &mut Terminal,
    measured: &Measured<'_>,
    readers: usize,
    mut publish: impl FnMut(&[u32; RECORD]) -> Result<()>,
    mut read: impl FnMut() -> Result<()>,
) -> std::result::Result<Vec<u64>, Stop> {
    let mut number = 0;
    let mut words = [0; RECORD];
    together(terminal, measured, 1 + readers, |who| {
        if who > 0 {
            return read();
        }
        number += 1;
        fill(&mut words, number);
        publish(&words)
    })
}

fn count(
    terminal: &mut Terminal,
    measured: &Measured<'_>,
    apart: usize,
) -> std::result::Result<Vec<u64>, Stop> {
    let shared = Mapping::<[SharedU32; 32], ReadWrite>::anonymous()?;
    together(terminal, measured, 2, |who| {
        shared.writer().field(|words| &words[who * apart]).fetch_add(1, Relaxed);
        Ok(())
    })
}

/// All processes take their steps until the first has had its time. Returns picoseconds of one of its steps,
/// on average: a step that waits for a lock whose holder sleeps is rare and long, and belongs to the cost.
fn together(
    terminal: &mut Terminal,
    measured: &Measured<'_>,
    all: usize,
    mut step: impl FnMut(usize) -> Result<()>,
) -> std::result::Result<Vec<u64>, Stop> {
    const STEPS: u64 = 100;
    let mut steps = |who, control: &Control| {
        control.meet(all as u64);
        let (start, mut done) = (Instant::now(), 0);
        loop {
            for _ in 0..STEPS {
                step(who)?;
            }
            done += STEPS;
            if who > 0 && control.last() > 0 {
                return Ok(Vec::new());
            }
            if who == 0 && start.elapsed() >= measured.limit.time {
                let took = start.elapsed();
                control.end_with(1);
                return Ok(vec![picoseconds(took, done)]);
            }
        }
    };
    let name = (measured.name, all);
    Ok(processes::run(terminal, name, measured.processors, &mut steps)?.concat())
}
