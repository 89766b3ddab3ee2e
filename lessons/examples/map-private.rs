//! MAP_PRIVATE: a page follows the file until your own first store; then it is your copy.
//!
//! ```text
//! cargo run -p lessons --example map-private
//! ```
//!
//! predict: a child stores 1 in six places. In which of them does the parent find the 1?

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::os::unix::fs::FileExt as _;

use common::mapping::Region;
use common::proc::page_size;
use lessons::{On as _, scratch_file};
use nix::sys::mman::{MapFlags as Map, ProtFlags as Prot};
use terminal::ended::in_child;

fn main() -> common::Result<()> {
    let (page, both) = (page_size(), Prot::PROT_READ | Prot::PROT_WRITE);
    let file = scratch_file()?;
    file.set_len(2 * page as u64).on("ftruncate", "the file")?;

    // MAP_PRIVATE: copy on write. A program file and its libraries are mapped like this.
    let private = Region::map(2 * page, both, Map::MAP_PRIVATE, Some((&file, 0)))?;
    private.store(page, 5);
    for (what, page_number) in [("untouched", 0), ("after an own store", 1)] {
        let _ = private.load(page_number * page);
        file.write_at(&7_u32.to_ne_bytes(), (page_number * page) as u64)
            .on("pwrite", "the file")?;
        // POSIX leaves it open whether an untouched page follows the file; on Linux it does.
        println!("MAP_PRIVATE page, {what}: pwrite 7, load {}", private.load(page_number * page));
    }

    // Another page of the file: an untouched private page would follow the shared one's store.
    let second = page.try_into().expect("a page is small");
    let map = |flags, file| Region::map(page, both, flags, file);
    let (shared_file, private_file) =
        (map(Map::MAP_SHARED, Some((&file, 0)))?, map(Map::MAP_PRIVATE, Some((&file, second)))?);
    let anonymous = Map::MAP_ANONYMOUS;
    let (shared_pages, private_pages) =
        (map(Map::MAP_SHARED | anonymous, None)?, map(Map::MAP_PRIVATE | anonymous, None)?);
    let (stack, heap) = (Cell::new(0), Box::new(Cell::new(0)));
    let ended = in_child(|| {
        for pages in [&shared_file, &private_file, &shared_pages, &private_pages] {
            pages.store(4, 1);
        }
        stack.set(1);
        heap.set(1);
        Ok(())
    })?;
    eprintln!("child: {ended}");
    println!("variables on stack and heap: {}, {}", stack.get(), heap.get());
    println!("private anonymous page: {}", private_pages.load(4));
    println!("private page of the file: {}", private_file.load(4));
    println!("shared anonymous page: {}", shared_pages.load(4));
    println!("shared page of the file: {}", shared_file.load(4));
    Ok(())
}
