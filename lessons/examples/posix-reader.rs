//! shm_unlink: the name goes at once, the memory with the last mapping.
//!
//! Partner: posix-writer. Start that one first.
//!
//! ```text
//! cargo run -p lessons --example posix-reader
//! ```
//!
//! predict: after shm_unlink, can this process still load? Can the next one open the name?

#![forbid(unsafe_code)]

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;

use common::mapping::Region;
use common::proc::page_size;
use common::{Error, Refusal, Result};
use lessons::{On as _, answer};
use nix::fcntl::OFlag;
use nix::sys::mman::{MapFlags, ProtFlags, shm_open, shm_unlink};
use nix::sys::stat::Mode;

const NAME: &str = "/lessons-posix";

fn main() -> Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| NAME.into());
    let open = || shm_open(name.as_str(), OFlag::O_RDONLY, Mode::empty()).on("shm_open", &name);
    let file = File::from(open()?);

    // The creator may be between shm_open and ftruncate: a load would be a SIGBUS then. A real reader
    // waits and looks again.
    let found = file.metadata().on("fstat", &name)?.len();
    if found < page_size() as u64 {
        let refusal = Refusal::Size { found, wanted: page_size() };
        return Err(Error::refused("mmap", &name, refusal));
    }
    let map = |rights| Region::map(page_size(), rights, MapFlags::MAP_SHARED, Some((&file, 0)));
    let writable = map(ProtFlags::PROT_READ | ProtFlags::PROT_WRITE);
    println!("PROT_WRITE of an O_RDONLY descriptor: {}", answer(&writable));
    let pages = map(ProtFlags::PROT_READ)?;
    println!("ready {}, load {}", pages.load(0), pages.load(4));

    // The last one removes the name; nobody else does, not even the end of all programs.
    shm_unlink(name.as_str()).on("shm_unlink", &name)?;
    println!("shm_unlink, then shm_open: {}", answer(&open()));
    let links = file.metadata().on("fstat", &name)?.nlink();
    println!("names left: {links}, load {}", pages.load(4));
    Ok(())
}
