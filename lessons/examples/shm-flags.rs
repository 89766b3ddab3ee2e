//! The flags of shmget, shmat and shmctl that are rarely seen, and what the kernel says to each.
//!
//! ```text
//! cargo run -p lessons --example shm-flags
//! ```
//!
//! predict: is there a segment of 64 TiB on this machine?

#![forbid(unsafe_code)]

use common::mapping::Region;
use common::proc::page_size;
use common::sysv::{Key, Segment};
use lessons::{answer, rights};
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags};

/// 64 TiB, where addresses have 64 bits.
const LARGE: usize = usize::MAX >> 18;

fn main() -> common::Result<()> {
    let segment = Segment::create(Key::Private, page_size(), 0o700)?;
    let tried = flags(&segment);
    segment.remove().and(tried)?;

    // SHM_HUGETLB takes huge pages from a reserve: /proc/sys/vm/nr_hugepages, empty by default.
    println!("SHM_HUGETLB: {}", answer(&special(1, libc::SHM_HUGETLB)));
    // shmget asks whether there could be so much memory. With SHM_NORESERVE a store finds out.
    println!("64 TiB: {}", answer(&special(LARGE, 0)));
    println!("64 TiB, SHM_NORESERVE: {}", answer(&special(LARGE, libc::SHM_NORESERVE)));
    Ok(())
}

fn flags(segment: &Segment) -> common::Result<()> {
    // SHM_REMAP: in the place of what is there. Without it the kernel refuses an address that is taken.
    println!("shmat where pages are: {}", answer(&segment.attach_over(room()?, 0, 0)));
    let pages = segment.attach_over(room()?, 0, libc::SHM_REMAP)?;
    println!("SHM_REMAP: ok, the page had 5 and has {}", pages.load(0));

    // SHM_EXEC: code in a segment. Mode 0600 would not do. Some systems forbid it anyhow.
    let pages = segment.attach_over(room()?, 0, libc::SHM_REMAP | libc::SHM_EXEC);
    let start = pages.as_ref().map_or(0, |it| it.address().addr().get());
    println!("SHM_EXEC: {}", answer(&pages));
    eprintln!("/proc/self/maps: {}", rights(start)?);

    // SHM_LOCK: pages that are in memory stay there. The lock belongs to the segment, not to a process.
    println!("SHM_LOCK: {}, SHM_LOCKED {}", answer(&segment.lock()), segment.status()?.locked);
    Ok(())
}

fn special(size: usize, flags: i32) -> common::Result<bool> {
    Segment::create_with(Key::Private, size, 0o600, flags)?.remove()
}

fn room() -> common::Result<Region> {
    let (both, private) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE);
    let room = Region::map(page_size(), both, private | MapFlags::MAP_ANONYMOUS, None)?;
    room.store(0, 5);
    Ok(room)
}
