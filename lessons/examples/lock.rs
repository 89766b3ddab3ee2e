//! mlock: these pages stay in memory. How much a user may lock is limited.
//!
//! ```text
//! cargo run -p lessons --example lock
//! ```
//!
//! predict: 64 new pages are locked. How many are in memory, although nobody has touched them?

#![forbid(unsafe_code)]

use std::fs;

use common::Result;
use common::mapping::Region;
use common::proc::page_size;
use lessons::{On as _, answer};
use nix::sys::mman::{MapFlags as Map, ProtFlags as Prot};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::unistd::geteuid;

const PAGES: usize = 64;

fn main() -> Result<()> {
    let size = PAGES * page_size();
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK).on("getrlimit", "RLIMIT_MEMLOCK")?;
    eprintln!("RLIMIT_MEMLOCK: {soft} bytes, at most {hard}; pages: {size} bytes");
    let both = Prot::PROT_READ | Prot::PROT_WRITE;
    let pages = Region::map(size, both, Map::MAP_SHARED | Map::MAP_ANONYMOUS, None)?;

    // A lock has to bring the pages first. Real-time programs do this before they start, and programs
    // with a key in memory, so that it never lies on the swap device.
    let locked = pages.lock();
    let in_memory = pages.resident()?.iter().filter(|it| **it).count();
    println!("mlock: {}, {in_memory} of {PAGES} pages in memory", answer(&locked));
    eprintln!("{}", status_line("VmLck")?);

    // The limit counts the bytes of one process. CAP_IPC_LOCK stands above it; root has it, but not in
    // every container. After fork(2) the child has the pages, and not the lock.
    let limit = rlim_t::try_from(size / 2).unwrap_or(hard).min(hard);
    setrlimit(Resource::RLIMIT_MEMLOCK, limit, hard).on("setrlimit", "RLIMIT_MEMLOCK")?;
    let more = Region::map(size, both, Map::MAP_SHARED | Map::MAP_ANONYMOUS, None)?;
    let who = if geteuid().is_root() { "root" } else { "a user" };
    println!("mlock above the limit, as {who}: {}", answer(&more.lock()));
    Ok(())
}

/// A line of /proc/self/status.
fn status_line(name: &str) -> Result<String> {
    let status = fs::read_to_string("/proc/self/status").on("read", "/proc/self/status")?;
    let line = status.lines().find(|it| it.starts_with(name)).unwrap_or_default();
    Ok(line.split_whitespace().collect::<Vec<_>>().join(" "))
}
