//! What a step costs within one process, with nobody beside it. The bench measures each for a moment, and
//! benches/in_process.rs has criterion measure it.

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

use common::mapping::Mapping;
use common::sync::mutex::{Lock, Mutex};
use common::sync::posix_semaphore::PosixSemaphore;
use common::sync::seqlock::SeqLock;
use common::sysv::{Attachment, Key, Segment};
use common::{ReadWrite, SharedU32};
use nix::sys::mman::MapFlags;
use terminal::{Stop, Terminal};

use crate::handover::Measured;
use crate::processes;
use crate::raw::{Plain, count_in_c};
use crate::way::{RECORD, Result, fill};
use crate::ways::locked::{Set, store};

/// Takes a step so many times.
pub type Work = Box<dyn FnMut(u32)>;

/// A step.
pub struct Single {
    /// As on the page.
    pub name: &'static str,
    /// What is counted: pages, if the step is taken for many of them.
    pub units: u32,
    /// Makes ready what the step needs.
    pub make: fn() -> Result<Work>,
}

/// Pages that are touched one after the other.
const PAGES: u32 = 256;
/// The words of a page. Where pages are larger, some of the touches are second ones.
const PAGE: usize = 1024;
const SMALL: usize = PAGE;
const LARGE: usize = 4096 * PAGE;

/// All steps, in the order of the page.
pub const SINGLES: &[Single] = &[
    single("copy of 68 bytes", 1, || {
        let (from, mut to) = (record(), [0; RECORD]);
        repeat(move || *black_box(&mut to) = *black_box(&from))
    }),
    single("publish, seqlock", 1, || {
        let (shared, words) = (Mapping::<SeqLock<RECORD>, ReadWrite>::anonymous()?, record());
        repeat(move || shared.writer().publish(*black_box(&words)))
    }),
    single("snapshot, seqlock", 1, || {
        let shared = Mapping::<SeqLock<RECORD>, ReadWrite>::anonymous()?;
        repeat(move || {
            // Seen where it is: whoever wants one of the words does not copy all of them once more.
            black_box(&shared.snapshot(1));
        })
    }),
    single("publish, robust mutex", 1, || {
        let (shared, words) = (Mutex::<[SharedU32; RECORD]>::anonymous()?, record());
        repeat(move || match shared.lock() {
            Ok(Lock::Clean(guard)) => store(guard.writer(), black_box(&words)),
            other => panic!("{other:?}"),
        })
    }),
    single("publish, POSIX semaphore", 1, || {
        let (semaphore, words) = (PosixSemaphore::anonymous()?, record());
        let shared = Mapping::<[SharedU32; RECORD], ReadWrite>::anonymous()?;
        repeat(move || {
            let _held = semaphore.lock().expect("a lock");
            store(shared.writer(), black_box(&words));
        })
    }),
    single("publish, System V semaphore", 1, || {
        let (set, words) = (Set::new()?, record());
        let shared = Mapping::<[SharedU32; RECORD], ReadWrite>::anonymous()?;
        repeat(move || {
            let _held = set.0.lock().expect("a lock");
            store(shared.writer(), black_box(&words));
        })
    }),
    single("increment", 1, || {
        let shared = Mapping::<SharedU32, ReadWrite>::anonymous()?;
        repeat(move || {
            shared.writer().fetch_add(1, Release);
        })
    }),
    single("increment in C", 1, || {
        let count = AtomicI32::new(0);
        Ok(Box::new(move |times| {
            black_box(count_in_c(&count, times));
        }))
    }),
    single("attach and detach", 1, || {
        let segment = Segment::create(Key::Private, size_of::<SharedU32>(), 0o600)?;
        let kept = segment.attach::<SharedU32, ReadWrite>()?;
        // It is there for as long as somebody has it attached, and leaves nothing behind.
        segment.remove()?;
        repeat(move || {
            let attached = segment.attach::<SharedU32, ReadWrite>();
            attached.and_then(Attachment::detach).expect("attached and detached");
            let _ = &kept;
        })
    }),
    single("map and unmap", 1, || {
        repeat(|| drop(Mapping::<SharedU32, ReadWrite>::anonymous().expect("pages")))
    }),
    single("map, touch a page first, unmap", PAGES, || {
        repeat(|| touch(&mut pages(MapFlags::empty())))
    }),
    single("the same, MAP_POPULATE", PAGES, || {
        repeat(|| touch(&mut pages(MapFlags::MAP_POPULATE)))
    }),
    single("touch a page again", PAGES, || {
        let mut pages = pages(MapFlags::empty());
        repeat(move || touch(&mut pages))
    }),
    single("read 4 KiB", 1, || read(SMALL)),
    single("map 4 KiB", 1, || map(SMALL, MapFlags::empty())),
    single("4 KiB, still mapped", 1, || mapped(SMALL)),
    single("read 16 MiB", 1, || read(LARGE)),
    single("map 16 MiB", 1, || map(LARGE, MapFlags::empty())),
    single("map 16 MiB, MAP_POPULATE", 1, || map(LARGE, MapFlags::MAP_POPULATE)),
    single("16 MiB, still mapped", 1, || mapped(LARGE)),
];

const fn single(name: &'static str, units: u32, make: fn() -> Result<Work>) -> Single {
    Single { name, units, make }
}

/// Measures a step, in a process of its own. What it needs is made ready before the fork: so this process
/// removes it whatever happens to the other. Returns picoseconds of a unit.
///
/// # Errors
///
/// Those of the calls that make it ready.
pub fn alone(
    single: &'static Single,
    terminal: &mut Terminal,
    measured: &Measured<'_>,
) -> std::result::Result<Vec<u64>, Stop> {
    let time = measured.limit.time;
    let mut work = (single.make)().map_err(|error| {
        common::Error::refused("prepare", single.name, common::Refusal::Other(error.to_string()))
    })?;
    let found = processes::run(terminal, (single.name, 1), measured.processors, |_, _| {
        let mut run = |times| {
            let start = Instant::now();
            work(times);
            start.elapsed()
        };
        // Batches that the clock does not lengthen, and not so long that there are only a few.
        let mut batch = 1;
        while run(batch) < time / 50 && batch < 1 << 24 {
            batch *= 2;
        }
        let mut batches = Vec::new();
        let start = Instant::now();
        while batches.is_empty() || start.elapsed() < time {
            batches.push(run(batch));
        }
        batches.sort();
        let median = batches[batches.len() / 2];
        Ok(vec![picoseconds(median, u64::from(batch) * u64::from(single.units))])
    })?;
    Ok(found.concat())
}

/// Picoseconds of each, if all of them took this time.
pub(crate) fn picoseconds(time: Duration, all: u64) -> u64 {
    u64::try_from(time.as_nanos() * 1000 / u128::from(all.max(1))).unwrap_or(u64::MAX)
}

fn repeat(mut step: impl FnMut() + 'static) -> Result<Work> {
    Ok(Box::new(move |times| {
        for _ in 0..times {
            step();
        }
    }))
}

fn record() -> [u32; RECORD] {
    let mut words = [0; RECORD];
    fill(&mut words, 1);
    words
}

fn pages(more: MapFlags) -> Plain {
    Plain::anonymous(PAGES as usize * PAGE, more).expect("pages")
}

fn touch(pages: &mut Plain) {
    // SAFETY: nobody else has these pages: no process is forked after they were mapped.
    let words = unsafe { pages.write() };
    for first in words.iter_mut().step_by(PAGE) {
        *black_box(first) += 1;
    }
}

/// A file without a name, whose bytes are in the page cache since they were just written.
fn file(words: usize) -> Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytemuck::cast_slice(&vec![1_u32; words]))?;
    Ok(file)
}

fn read(words: usize) -> Result<Work> {
    let (file, mut buffer) = (file(words)?, vec![0_u32; words]);
    repeat(move || {
        file.read_exact_at(bytemuck::cast_slice_mut(&mut buffer), 0).expect("read");
        add(&buffer);
    })
}

fn map(words: usize, more: MapFlags) -> Result<Work> {
    let file = file(words)?;
    repeat(move || {
        // SAFETY: the file has no name, and nobody but this function has its descriptor.
        let pages = unsafe { Plain::of_file(&file, words, more) }.expect("mapped");
        // SAFETY: as above, so nobody stores.
        add(unsafe { pages.read() });
    })
}

fn mapped(words: usize) -> Result<Work> {
    // SAFETY: the file has no name, and its descriptor is gone after this.
    let pages = unsafe { Plain::of_file(&file(words)?, words, MapFlags::empty()) }?;
    // SAFETY: as above, so nobody stores.
    repeat(move || add(unsafe { pages.read() }))
}

/// Looks at every word, as whoever reads a file does.
fn add(words: &[u32]) {
    let sum = black_box(words).iter().fold(0_u32, |sum, word| sum.wrapping_add(*word));
    assert_eq!(sum as usize, words.len(), "what was written is there");
}
