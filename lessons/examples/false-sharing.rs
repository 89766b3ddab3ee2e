//! Two counters that nobody shares, and that slow each other down: they lie in one cache line.
//!
//! ```text
//! cargo run -p lessons --example false-sharing
//! ```
//!
//! predict: two processes count, each its own word. Does it matter how far apart the words are?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use common::mapping::Mapping;
use common::{ReadWrite, Result, SharedU32, Writer};
use terminal::process::{Fork, fork};

/// The bytes of a cache line of most processors; some have 128.
const LINE: usize = 64;
const ADDS: u32 = 50_000;

fn main() -> Result<()> {
    eprintln!("measured, not certain: another machine, or a busy one, has other figures");
    for distance in [4, 60, 64, 128] {
        // mmap: whole pages, so the first word begins a cache line.
        let shared = Mapping::<[SharedU32; 64], ReadWrite>::anonymous()?;
        let words = [0, distance].map(|it| shared.writer().field(|all| &all[it / 4]));
        let lines = words.map(|it| std::ptr::from_ref(&*it).addr() / LINE);
        let same = if lines[0] == lines[1] { "the same line" } else { "two lines" };
        println!("{distance} bytes apart: {same}");

        // fork: the child counts its word while we count ours. It ends at last in any case.
        let child = match fork()? {
            Fork::Child => {
                count(words[1], 10_000 * ADDS);
                std::process::exit(0)
            }
            Fork::Parent(child) => child,
        };
        // A slice counts only if the other one has counted too, at the same time or nearly so.
        let (mut slices, start) = (Vec::new(), Instant::now());
        while slices.len() < 100 && start.elapsed().as_secs() < 3 {
            let (before, slice) = (words[1].load(Relaxed), Instant::now());
            count(words[0], ADDS);
            let elapsed = slice.elapsed().as_secs_f64() * 1e9 / f64::from(ADDS);
            if words[1].load(Relaxed).wrapping_sub(before) > ADDS / 2 {
                slices.push(elapsed);
            }
        }
        drop(child); // which kills it
        slices.sort_by(f64::total_cmp);
        let median = slices.get(slices.len() / 2).map(|it| format!("{it:.1} ns for each add"));
        eprintln!("   {}", median.unwrap_or_else(|| "never both at once".into()));
    }
    Ok(())
}

fn count(word: Writer<'_, SharedU32>, times: u32) {
    (0..times).for_each(|_| _ = word.fetch_add(1, Relaxed));
}
