//! A file ends in the middle of a page; its mapping does not.
//!
//! ```text
//! cargo run -p lessons --example page-edge
//! ```
//!
//! predict: the file has one page and 904 bytes, and three pages are mapped. What is behind its end in
//! the second page, and what in the third? What does a store behind the end leave in the file?

#![forbid(unsafe_code)]

use std::os::unix::fs::FileExt as _;

use common::mapping::Region;
use common::proc::page_size;
use lessons::{On as _, scratch_file};
use nix::sys::mman::{MapFlags as Map, ProtFlags as Prot};
use terminal::ended::in_child;

fn main() -> common::Result<()> {
    let (page, both) = (page_size(), Prot::PROT_READ | Prot::PROT_WRITE);
    let file = scratch_file()?;
    let size = page as u64 + 904;
    file.set_len(size).on("ftruncate", "the file")?;
    eprintln!("the file has {size} bytes; pages have {page}");

    // The kernel maps as many pages as you ask for. It looks at the file's size at each fault.
    let pages = Region::map(3 * page, both, Map::MAP_SHARED, Some((&file, 0)))?;
    println!("last word of page 2: {}", pages.load(2 * page - 4));

    // Only a child can take this. A real reader asks fstat(2) first, and still needs a SIGBUS handler,
    // because the file can be truncated afterwards.
    let ended = in_child(|| {
        println!("first word of page 3: {}", pages.load(2 * page));
        Ok(())
    })?;
    println!("first word of page 3: {ended}");

    // Behind the end, in the last page: memory, but not the file.
    pages.store(2 * page - 4, 1);
    let mut word = [0; 4];
    let read = file.read_at(&mut word, 2 * page as u64 - 4).on("pread", "the file")?;
    println!("stored 1 behind the end: pread returns {read} bytes");

    // ftruncate makes the same mapping reach further, and clears what lay behind the old end.
    file.set_len(3 * page as u64).on("ftruncate", "the file")?;
    println!("ftruncate to 3 pages: behind the old end {}", pages.load(2 * page - 4));
    println!("ftruncate to 3 pages: first word of page 3: {}", pages.load(2 * page));
    Ok(())
}
