//! mmap gives addresses; the first touch of each page gives memory, and costs a page fault.
//!
//! ```text
//! cargo run -p lessons --example first-touch
//! ```
//!
//! predict: of 64 new pages, how many are in memory before you store to the first?

#![forbid(unsafe_code)]

use common::mapping::Region;
use common::proc::page_size;
use lessons::minor_faults;
use nix::sys::mman::{MapFlags as Map, ProtFlags as Prot};

const PAGES: usize = 64;

fn main() -> common::Result<()> {
    // So mmap says nothing about whether there is memory enough: that shows at the touch, too late for
    // an error code.
    touch("MAP_SHARED", Map::MAP_SHARED | Map::MAP_ANONYMOUS)?;
    // A program that must not be interrupted later takes all faults at once.
    touch("MAP_SHARED | MAP_POPULATE", Map::MAP_SHARED | Map::MAP_ANONYMOUS | Map::MAP_POPULATE)
}

fn touch(name: &str, flags: Map) -> common::Result<()> {
    let both = Prot::PROT_READ | Prot::PROT_WRITE;
    let pages = Region::map(PAGES * page_size(), both, flags, None)?;
    println!("{name}: mmap: {} of {PAGES} pages in memory", in_memory(&pages)?);

    let before = minor_faults()?;
    for number in 0..PAGES {
        pages.store(number * page_size(), 1);
    }
    let faults = minor_faults()? - before;
    // Where huge pages are in use for shared memory, one fault brings many pages.
    println!("{name}: {PAGES} stores: {} of {PAGES} in memory", in_memory(&pages)?);
    eprintln!("{name}: getrusage: {faults} page faults for {PAGES} stores");
    Ok(())
}

/// mincore(2): which pages an access would find in memory, now. It may be old when it returns.
fn in_memory(pages: &Region) -> common::Result<usize> {
    Ok(pages.resident()?.iter().filter(|it| **it).count())
}
