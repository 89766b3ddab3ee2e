//! mremap makes a mapping longer, and may move it. It does not make the object behind it longer.
//!
//! ```text
//! cargo run -p lessons --example remap
//! ```
//!
//! predict: mremap doubles a shared anonymous mapping and says ok. What is in the new half?

#![forbid(unsafe_code)]

use common::Result;
use common::mapping::Region;
use common::proc::page_size;
use lessons::{On as _, scratch_file};
use nix::sys::mman::{MapFlags as Map, ProtFlags as Prot};
use terminal::ended::in_child;

fn main() -> Result<()> {
    let page = page_size();
    let both = Prot::PROT_READ | Prot::PROT_WRITE;
    let shared = Map::MAP_SHARED;

    // A file: ftruncate makes the object longer, mremap the view of it. Both are needed.
    let file = scratch_file()?;
    file.set_len(page as u64).on("ftruncate", "the file")?;
    let mut pages = Region::map(page, both, shared, Some((&file, 0)))?;
    pages.store(0, 7);
    let before = pages.address();
    file.set_len(2 * page as u64).on("ftruncate", "the file")?;
    // With MREMAP_FIXED, to a place that has just been reserved. With MREMAP_MAYMOVE alone the kernel decides.
    pages.resize(4 * page)?;
    println!("file: the first word is {}, the second page has {}", pages.load(0), pages.load(page));
    // In C every pointer into the old place dangles now. Offsets from the start stay right.
    eprintln!("mremap: {before:p} before, {:p} now", pages.address());
    println!("file: behind its end: {}", in_child(|| load(&pages, 2 * page))?);

    // Shared anonymous memory is an object too, of the size that mmap gave it for ever. There is no
    // descriptor for ftruncate. Whoever wants to grow takes memfd_create(2).
    let mut pages = Region::map(page, both, shared | Map::MAP_ANONYMOUS, None)?;
    pages.resize(2 * page)?;
    println!("shared anonymous: the new half: {}", in_child(|| load(&pages, page))?);

    // Private anonymous memory has no such limit: realloc(3) of large blocks is mremap.
    let mut pages = Region::map(page, both, Map::MAP_PRIVATE | Map::MAP_ANONYMOUS, None)?;
    pages.resize(2 * page)?;
    println!("private anonymous: the new half: {}", in_child(|| load(&pages, page))?);
    Ok(())
}

fn load(pages: &Region, offset: usize) -> Result<()> {
    let _ = pages.load(offset);
    Ok(())
}
