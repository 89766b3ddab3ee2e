//! memfd_create: shared memory without a name, and seals that its receivers can rely on.
//!
//! ```text
//! cargo run -p lessons --example sealed-memfd
//! ```
//!
//! predict: F_SEAL_FUTURE_WRITE is set. Who can still store?

#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;

use common::Result;
use common::mapping::Region;
use common::proc::page_size;
use lessons::{On as _, answer};
use nix::fcntl::{FcntlArg, SealFlag as Seal, fcntl};
use nix::sys::memfd::{MFdFlags as Memfd, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags as Prot};

fn main() -> Result<()> {
    let page = page_size();
    let flags = Memfd::MFD_ALLOW_SEALING | Memfd::MFD_CLOEXEC;
    let file = File::from(memfd_create("lesson", flags).on("memfd_create", "lesson")?);
    file.set_len(page as u64).on("ftruncate", "lesson")?;
    let map = |rights| Region::map(page, rights, MapFlags::MAP_SHARED, Some((&file, 0)));
    let owner = map(Prot::PROT_READ | Prot::PROT_WRITE)?;
    owner.store(0, 1);

    // The strongest seal asks for more than the owner has: nobody may have a writable mapping.
    let seal = |seals| fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).on("fcntl", "F_ADD_SEALS");
    println!("F_SEAL_WRITE while mapped writable: {}", answer(&seal(Seal::F_SEAL_WRITE)));
    // SHRINK is the one that a receiver needs: without it the owner can truncate the file, SIGBUS.
    seal(Seal::F_SEAL_SHRINK | Seal::F_SEAL_GROW | Seal::F_SEAL_FUTURE_WRITE)?;

    println!("ftruncate to 0: {}", answer(&file.set_len(0).on("ftruncate", "lesson")));
    let larger = file.set_len(2 * page as u64);
    println!("ftruncate to 2 pages: {}", answer(&larger.on("ftruncate", "lesson")));
    println!("pwrite: {}", answer(&file.write_at(&[1], 0).on("pwrite", "lesson")));
    println!("new writable mapping: {}", answer(&map(Prot::PROT_READ | Prot::PROT_WRITE)));
    let guest = map(Prot::PROT_READ)?;
    let more = guest.protect(0, page, Prot::PROT_READ | Prot::PROT_WRITE);
    println!("mprotect of a read-only one: {}", answer(&more));
    owner.store(0, 2);
    println!("the owner's old mapping stores 2: load {}", guest.load(0));

    // A receiver asks for the seals it needs by name. "Has any seal" is the wrong question: a memfd
    // without MFD_ALLOW_SEALING has F_SEAL_SEAL, and can be truncated.
    let plain = memfd_create("plain", Memfd::MFD_CLOEXEC).on("memfd_create", "plain")?;
    let seals = fcntl(&plain, FcntlArg::F_GET_SEALS).on("fcntl", "F_GET_SEALS")?;
    println!("without MFD_ALLOW_SEALING: {:?}", Seal::from_bits_truncate(seals));
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    let target = std::fs::read_link(&link).on("readlink", &link)?;
    eprintln!("{link} -> {}: a name in /proc only, for this user", target.display());
    Ok(())
}
