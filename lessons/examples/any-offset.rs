//! mmap works in whole pages: the offset must be a page's, the length is rounded up.
//!
//! ```text
//! cargo run -p lessons --example any-offset
//! ```
//!
//! predict: you want the 8 bytes at offset 10000 of a file. What do you map, and where are they in it?

#![forbid(unsafe_code)]

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use common::Result;
use common::mapping::Region;
use common::proc::page_size;
use lessons::{On as _, answer, scratch_file};
use nix::sys::mman::{MapFlags, ProtFlags};

const WANTED: usize = 10000;

fn main() -> Result<()> {
    let page = page_size();
    let file = scratch_file()?;
    file.set_len((WANTED + page) as u64).on("ftruncate", "the file")?;
    file.write_all_at(&7_u32.to_ne_bytes(), WANTED as u64).on("pwrite", "the file")?;
    println!("mmap, offset 100: {}", answer(&map(&file, 8, 100)));
    println!("mmap, 0 bytes: {}", answer(&map(&file, 0, 0)));

    // Round the offset down, and remember by how much. The length grows by as much.
    let ahead = WANTED % page;
    let start = WANTED - ahead;
    let pages = map(&file, ahead + 8, start)?;
    eprintln!("pages have {page} bytes: offset {start}, the bytes are at {ahead} in the mapping");
    println!("mmap, the page of offset {WANTED}: load {}", pages.load(ahead));

    // Ask for the page size: a program that says 4096 fails where pages have 16 or 64 KiB.
    println!("8 bytes wanted: whole pages mapped: {}", pages.size().is_multiple_of(page));
    let half = page / 2;
    println!("mmap, offset of half a page: {}", answer(&map(&file, 8, half)));
    Ok(())
}

fn map(file: &File, length: usize, offset: usize) -> Result<Region> {
    let offset = offset.try_into().expect("a small file");
    Region::map(length, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, Some((file, offset)))
}
