//! Memory for somebody you do not trust: memfd_create, seals, a descriptor over a socket.
//!
//! Partner: memfd-guest, in a second terminal. Start either first. Ctrl-C ends this one.
//!
//! ```text
//! cargo run -p lessons --example memfd-owner
//! cargo run -p lessons --example memfd-guest
//! ```
//!
//! predict: with `-- --unsealed` no seal is set. Does the guest map the memory?

#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::time::Duration;

use common::{Result, descriptor, mapping::Region, printable::shown, proc::page_size};
use lessons::On as _;
use lessons::meeting::{self, Ended};
use nix::fcntl::{FcntlArg, SealFlag as Seal, fcntl};
use nix::sys::memfd::{MFdFlags as Memfd, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags as Prot};
use terminal::{Terminal, data, say};

fn main() -> ExitCode {
    meeting::run(own)
}

fn own(terminal: &mut Terminal) -> Ended {
    let args = meeting::Args::parse("--unsealed")?;

    // memfd_create: a file in memory, without a name. It can be sealed only if it is made for that.
    let sealing = if args.flag { Memfd::empty() } else { Memfd::MFD_ALLOW_SEALING };
    let memory = memfd_create("message", sealing | Memfd::MFD_CLOEXEC);
    let memory = File::from(memory.on("memfd_create", "message")?);
    memory.set_len(page_size() as u64).on("ftruncate", "message")?;

    // mmap: before the seals, which allow no new writable mapping, not even to us.
    let both = Prot::PROT_READ | Prot::PROT_WRITE;
    let pages = Region::map(page_size(), both, MapFlags::MAP_SHARED, Some((&memory, 0)))?;

    // F_ADD_SEALS: for the guest SHRINK, so that we can't truncate it. For us FUTURE_WRITE: nobody else
    // ever stores. SEAL: nobody adds another one.
    if !args.flag {
        let seals = Seal::F_SEAL_SHRINK | Seal::F_SEAL_GROW | Seal::F_SEAL_FUTURE_WRITE;
        let seals = FcntlArg::F_ADD_SEALS(seals | Seal::F_SEAL_SEAL);
        fcntl(&memory, seals).on("fcntl", "F_ADD_SEALS")?;
    }
    let seals = fcntl(&memory, FcntlArg::F_GET_SEALS).on("fcntl", "F_GET_SEALS")?;
    say!(terminal, "seals: {:?}", Seal::from_bits_truncate(seals));

    // bind, listen: the socket's directory decides who can connect. Its name stays until unlink.
    let listener = meeting::listen(&args.path)?;
    say!(terminal, "listening: {}", shown(&args.path));
    let ended = serve(terminal, &listener, &memory, &pages);
    fs::remove_file(&args.path).on("unlink", shown(&args.path))?;
    ended
}

/// Counts, and gives the memory to whoever has come.
fn serve(terminal: &mut Terminal, from: &UnixListener, memory: &File, pages: &Region) -> Ended {
    let mut guests: Vec<UnixStream> = Vec::new();
    for count in 1.. {
        store(pages, count, &format!("message {count}"));
        data!(terminal, "count: {count}")?;
        guests.retain(meeting::is_there);
        // Until nobody is waiting, or there are no descriptors left for more.
        while let Ok((guest, _)) = from.accept() {
            match give(terminal, &guest, memory) {
                Ok(()) => guests.push(guest),
                Err(error) => say!(terminal, "a guest has gone: {error}"),
            }
        }
        terminal.pause(Duration::from_millis(200))?;
    }
    Ok(())
}

fn give(terminal: &mut Terminal, guest: &UnixStream, memory: &File) -> Result<()> {
    guest.set_nonblocking(true).on("fcntl", "O_NONBLOCK")?;
    // SO_PEERCRED: the kernel's word, not the guest's. A real owner decides by the uid.
    let peer = descriptor::peer(guest)?;

    // sendmsg, SCM_RIGHTS: the guest gets a descriptor of its own for the same memory.
    descriptor::send(guest, memory)?;
    say!(terminal, "descriptor sent: to pid {}, uid {} (SO_PEERCRED)", peer.pid, peer.uid);
    Ok(())
}

/// The text, its length, and last the count, in release order. Pairs with `copy` in memfd-guest.
fn store(pages: &Region, count: u32, text: &str) {
    for (index, word) in text.as_bytes().chunks(4).enumerate() {
        let bytes = std::array::from_fn(|it| word.get(it).copied().unwrap_or(0));
        pages.store(meeting::TEXT + 4 * index, u32::from_ne_bytes(bytes));
    }
    pages.store(meeting::LENGTH, u32::try_from(text.len()).expect("a short text"));
    pages.store(meeting::COUNT, count);
}
