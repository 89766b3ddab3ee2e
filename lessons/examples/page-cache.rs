//! A mapping and read(2), write(2) use the same page: the page cache. Only the notices differ.
//!
//! ```text
//! cargo run -p lessons --example page-cache
//! ```
//!
//! predict: without msync, does read(2) see your store? Does inotify report it?

#![forbid(unsafe_code)]

use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;

use common::mapping::Region;
use common::proc::page_size;
use lessons::{On as _, answer, scratch_file};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::mman::{MapFlags as Map, MsFlags, ProtFlags as Prot};

fn main() -> common::Result<()> {
    let page = page_size();
    let file = scratch_file()?;
    file.set_len(page as u64).on("ftruncate", "the file")?;
    let both = Prot::PROT_READ | Prot::PROT_WRITE;
    let pages = Region::map(page, both, Map::MAP_SHARED, Some((&file, 0)))?;
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK).on("inotify_init1", "")?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let watched = inotify.add_watch(path.as_str(), AddWatchFlags::IN_MODIFY);
    watched.on("inotify_add_watch", path)?;

    // No msync in between: there is one page, and both look at it.
    pages.store(0, 5);
    let mut word = [0; 4];
    file.read_exact_at(&mut word, 0).on("pread", "the file")?;
    println!("store 5, pread {}: {}", u32::from_ne_bytes(word), notices(&inotify)?);

    // msync is for the disk, that is for a power failure. MS_SYNC waits until it is written; no
    // other process sees more or less because of it. A database calls it, or fdatasync(2).
    pages.sync(0, page, MsFlags::MS_SYNC)?;
    println!("msync: {}", notices(&inotify)?);
    println!("msync from inside a page: {}", answer(&pages.sync(4, 4, MsFlags::MS_SYNC)));

    // write(2) tells those who watch the file. So `tail -f` never learns of a store.
    file.write_all_at(&6_u32.to_ne_bytes(), 0).on("pwrite", "the file")?;
    println!("pwrite 6, load {}: {}", pages.load(0), notices(&inotify)?);
    Ok(())
}

fn notices(inotify: &Inotify) -> common::Result<&'static str> {
    match inotify.read_events() {
        Ok(_) => Ok("inotify: IN_MODIFY"),
        Err(Errno::EAGAIN) => Ok("inotify: no event"),
        Err(errno) => Err(common::Error::new("read", "the inotify descriptor", errno)),
    }
}
