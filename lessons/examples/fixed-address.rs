//! MAP_FIXED replaces what is mapped there. MAP_FIXED_NOREPLACE refuses. A reservation makes room.
//!
//! ```text
//! cargo run -p lessons --example fixed-address
//! ```
//!
//! predict: pages 1 and 0 of a file are put into one reservation, in that order. What do you read?

#![forbid(unsafe_code)]

use std::os::unix::fs::FileExt as _;

use common::Result;
use common::mapping::Region;
use common::proc::{maps, page_size};
use lessons::{On as _, answer, scratch_file};
use nix::sys::mman::{MapFlags as Map, ProtFlags as Prot};
use terminal::ended::in_child;

fn main() -> Result<()> {
    let page = page_size();
    let second = page.try_into().expect("a page is small");
    let file = scratch_file()?;
    file.write_all_at(&1_u32.to_ne_bytes(), 0).on("pwrite", "the file")?;
    file.write_all_at(&2_u32.to_ne_bytes(), page as u64).on("pwrite", "the file")?;
    file.set_len(2 * page as u64).on("ftruncate", "the file")?;

    // A reservation: addresses without memory, which nobody else gets from mmap. Who needs one address
    // in all processes reserves it early, before libraries and threads take what they need.
    let flags = Map::MAP_PRIVATE | Map::MAP_ANONYMOUS | Map::MAP_NORESERVE;
    let mut room = Region::map(3 * page, Prot::PROT_NONE, flags, None)?;
    let ended = in_child(|| load(&room))?;
    println!("load from the reservation: {ended}");

    // MAP_FIXED_NOREPLACE on taken addresses: even a reservation counts.
    let refused = room.replace(0, page, Map::MAP_SHARED | Map::MAP_FIXED_NOREPLACE, (&file, 0));
    println!("MAP_FIXED_NOREPLACE: {}", answer(&refused));

    // MAP_FIXED asks nobody: right inside one's own reservation. Elsewhere it takes away the pages of
    // a library or of another thread's heap, and says ok.
    room.replace(0, page, Map::MAP_SHARED | Map::MAP_FIXED, (&file, second))?;
    room.replace(page, page, Map::MAP_SHARED | Map::MAP_FIXED, (&file, 0))?;
    println!("pages 1 and 0 with MAP_FIXED: load {} {}", room.load(0), room.load(page));
    let start = room.address().addr().get();
    let lines = maps("self").on("read", "/proc/self/maps")?;
    for line in lines.iter().filter(|it| (start..start + 3 * page).contains(&it.addresses.start)) {
        eprintln!("{}", line.line);
    }
    Ok(())
}

fn load(room: &Region) -> Result<()> {
    let _ = room.load(0);
    Ok(())
}
