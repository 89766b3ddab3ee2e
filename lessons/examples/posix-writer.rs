//! shm_open: a file in memory with a name for all processes. This one makes it and fills it.
//!
//! Partner: posix-reader. Start this one first.
//!
//! ```text
//! cargo run -p lessons --example posix-writer
//! cargo run -p lessons --example posix-reader
//! ```
//!
//! predict: how large is the object right after shm_open? What does `ls -l /dev/shm` show?

#![forbid(unsafe_code)]

use std::fs::File;

use common::Result;
use common::mapping::Region;
use common::proc::page_size;
use lessons::{On as _, answer};
use nix::fcntl::OFlag;
use nix::sys::mman::{MapFlags, ProtFlags, shm_open};
use nix::sys::stat::Mode;
use terminal::ended::in_child;

const NAME: &str = "/lessons-posix";

fn main() -> Result<()> {
    // A name of one's own as first argument, for tests and for two students on one machine.
    let name = std::env::args().nth(1).unwrap_or_else(|| NAME.into());
    // O_EXCL: never an object that somebody else has put there. 0600: for this user alone.
    let (new, mode) =
        (OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL, Mode::from_bits_truncate(0o600));
    let file = File::from(shm_open(name.as_str(), new, mode).on("shm_open", &name)?);
    let about = file.metadata().on("fstat", &name)?;
    println!("shm_open: {} bytes", about.len());
    println!("O_EXCL again: {}", answer(&shm_open(name.as_str(), new, mode).on("shm_open", &name)));
    println!("/a/b: {}", answer(&shm_open("/a/b", new, mode).on("shm_open", "/a/b")));

    // mmap before ftruncate succeeds; the touch does not. System V gives size and name in one call.
    let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let pages = Region::map(page_size(), rights, MapFlags::MAP_SHARED, Some((&file, 0)))?;
    let ended = in_child(|| {
        pages.store(0, 1);
        Ok(())
    })?;
    println!("store before ftruncate: {ended}");

    // ftruncate: the size. It gives zeros, and no memory yet: posix_fallocate(3) would reserve that.
    file.set_len(page_size() as u64).on("ftruncate", &name)?;
    pages.store(4, 42);
    // Last and in release order: a reader that finds the 1 in acquire order finds the 42 too.
    pages.store(0, 1);
    println!("stored 42");
    eprintln!("the name stays after this process: ls -l /dev/shm; posix-reader removes it");
    Ok(())
}
