//! Memory from somebody you do not trust: the seals first, then mmap, and each load may be a lie.
//!
//! Partner: memfd-owner. Start either first. `-- --hostile` tries to do harm to the owner.
//!
//! ```text
//! cargo run -p lessons --example memfd-guest
//! ```
//!
//! predict: which of the ten attacks of `-- --hostile` succeeds?

#![forbid(unsafe_code)]

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use common::{Result, Text, descriptor, mapping::Region, proc::page_size};
use lessons::{On as _, answer, meeting, refused};
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag as Seal, fallocate, fcntl};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags as Prot};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use terminal::{Terminal, data, say};

fn main() -> std::process::ExitCode {
    meeting::run(visit)
}

fn visit(terminal: &mut Terminal) -> meeting::Ended {
    let args = meeting::Args::parse("--hostile")?;
    let socket = meeting::connect(&args.path, terminal)?;
    let owner = descriptor::peer(&socket)?;
    say!(terminal, "owner: pid {}, uid {} (SO_PEERCRED)", owner.pid, owner.uid);

    // recvmsg, SCM_RIGHTS: a descriptor of our own, for whatever the owner likes.
    let memory = meeting::patiently(terminal, || descriptor::receive(&socket))?;
    let pages = accept(terminal, &memory)?;
    if args.flag {
        attack(terminal, &memory, &pages)?;
    }
    for _ in 0..args.looks.unwrap_or(u32::MAX) {
        // Each word once: its owner may store at any moment. Pairs with `store` in memfd-owner.
        let copy = std::array::from_fn(|word| pages.load(meeting::COUNT + 4 * word));
        data!(terminal, "{}", message(copy))?;
        if !meeting::is_there(&socket) {
            say!(terminal, "the owner has gone; its memory stays while it is mapped here");
            break;
        }
        terminal.pause(args.pause())?;
    }
    Ok(())
}

/// Maps the memory, if nobody can ever truncate it: a load behind its end would be a SIGBUS.
fn accept(terminal: &mut Terminal, memory: &File) -> Result<Region> {
    // F_GET_SEALS: ask for the one you need. EINVAL says that it is no memfd. Seals are never taken away.
    let seals = fcntl(memory, FcntlArg::F_GET_SEALS).map(Seal::from_bits_truncate);
    let seals = seals.on("fcntl", "F_GET_SEALS")?;
    say!(terminal, "seals: {seals:?}");
    // Only then the size: it cannot get smaller any more. Huge pages may run out, also a SIGBUS.
    let size = memory.metadata().on("fstat", "what came")?.len();
    let system = fstatfs(memory).on("fstatfs", "what came")?.filesystem_type();
    if !seals.contains(Seal::F_SEAL_SHRINK) {
        return Err(refused("fcntl", "what came", "no F_SEAL_SHRINK: its owner can truncate it"));
    } else if size < page_size() as u64 || system != TMPFS_MAGIC {
        return Err(refused("fstat", "what came", "too small, or of huge pages"));
    }
    Region::map(page_size(), Prot::PROT_READ, MapFlags::MAP_SHARED, Some((memory, 0)))
}

/// What a copy says. Without the pages, nothing here can be loaded a second time, and be another number.
fn message([count, length, text @ ..]: [u32; meeting::WORDS]) -> String {
    if length as usize > meeting::ROOM {
        return format!("refused: a text of {length} bytes");
    }
    let bytes = text.into_iter().flat_map(u32::to_ne_bytes).take(length as usize);
    format!("count: {count}, {}", Text::from_c(&bytes.collect::<Vec<_>>()))
}

/// What a guest may try: also with the file opened again, which no read-only descriptor prevents.
fn attack(terminal: &mut Terminal, memory: &File, pages: &Region) -> meeting::Ended {
    let (page, both) = (page_size(), Prot::PROT_READ | Prot::PROT_WRITE);
    let map = |it: &File| Region::map(page, both, MapFlags::MAP_SHARED, Some((it, 0)));
    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let seal = FcntlArg::F_ADD_SEALS(Seal::F_SEAL_WRITE);
    let again = lessons::open_again(memory);
    let attacks = [
        ("ftruncate to 0", answer(&memory.set_len(0).on("ftruncate", ""))),
        ("ftruncate to 2 pages", answer(&memory.set_len(2 * page as u64).on("ftruncate", ""))),
        ("pwrite", answer(&memory.write_at(&[1], 0).on("pwrite", ""))),
        ("punch a hole", answer(&fallocate(memory, hole, 0, 4096).on("fallocate", ""))),
        ("new writable mapping", answer(&map(memory))),
        ("mprotect of ours", answer(&pages.protect(0, page, both))),
        ("MADV_REMOVE", answer(&pages.advise(0, page, MmapAdvise::MADV_REMOVE))),
        ("F_ADD_SEALS", answer(&fcntl(memory, seal).on("fcntl", ""))),
        ("open again for writing", answer(&again)),
        ("new writable mapping of that", answer(&again.and_then(|it| map(&it)))),
    ];
    attacks.into_iter().try_for_each(|(what, answer)| data!(terminal, "{what}: {answer}"))
}
