//! One process walks one System V segment through its whole life.
//!
//! Port of Listing 5.1 of "Advanced Linux Programming". It needs no partner. After the listing come
//! the other claims of the book's section on shared memory, each tried out, with the kernel's own
//! evidence: see `claims.rs`.
//!
//! ```text
//! cargo run -p shm-sysv-lifecycle
//! ```

#![forbid(unsafe_code)]

mod claims;

use std::process::{self, ExitCode};

use clap::Parser;
use common::proc::page_size;
use common::sysv::{Key, Segment};
use common::{ReadWrite, SharedText};
use terminal::{Stop, Terminal, data, say};

/// 0x6400 bytes of text: the size of the listing's segment, not a whole number of pages.
type Text = SharedText<{ 0x6400 / 4 }>;

fn main() -> ExitCode {
    terminal::run(|args: &Args, terminal| match args.after_exec {
        Some(id) => claims::after_exec(id, terminal),
        None => live(args, terminal),
    })
}

fn live(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "lifecycle, pid {}, {}", process::id(), Key::Private);

    // shmget(2), IPC_PRIVATE: create a segment without a key.
    let segment = Segment::create(Key::Private, size_of::<Text>(), 0o600)?;
    say!(terminal, "shmget: {segment}");

    let stopped =
        listing(args, &segment, terminal).and_then(|()| claims::try_all(args, &segment, terminal));

    // shmctl(2), IPC_RMID: remove it. Without this it would stay when the process ends.
    segment.remove()?;
    say!(terminal, "shmctl(IPC_RMID): segment {} removed", segment.id());
    stopped
}

fn listing(args: &Args, segment: &Segment, terminal: &mut Terminal) -> Result<(), Stop> {
    // shmat(2): attach it where the system likes.
    let shared = segment.attach::<Text, ReadWrite>()?;
    data!(terminal, "shared memory attached at address {:p}", shared.address())?;

    // shmctl(2), IPC_STAT: ask the kernel how large it is.
    let status = segment.status()?;
    data!(terminal, "segment size: {}", status.size)?;

    shared.writer().store("Hello, world.");
    args.pause(terminal)?;

    // shmdt(2): detach it. The segment and the text in it stay.
    shared.detach()?;
    say!(terminal, "shmdt: detached");

    // shmat(2), at an address of our choice this time.
    let shared = segment.attach_at::<Text, ReadWrite>(args.address)?;
    data!(terminal, "shared memory reattached at address {:p}", shared.address())?;

    data!(terminal, "{}", shared.load())?;
    args.pause(terminal)?;

    shared.detach()?;
    say!(terminal, "shmdt: detached");
    Ok(())
}

/// Walk one System V segment through its whole life
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to attach the segment the second time
    #[arg(long, default_value = "0x5000000", value_parser = address)]
    address: usize,

    /// Wait for Enter after each step, to look at ipcs -m and /proc in a second terminal
    #[arg(long)]
    step: bool,

    /// What `claims.rs` starts after exec: look at this segment from the new program
    #[arg(long, value_name = "SHMID", hide = true)]
    after_exec: Option<i32>,
}

fn address(text: &str) -> Result<usize, String> {
    text.strip_prefix("0x")
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .filter(|address| *address > 0 && address.is_multiple_of(page_size()))
        .ok_or_else(|| {
            "an address is hexadecimal and a multiple of the page size, such as 0x5000000".into()
        })
}

impl Args {
    /// With `--step`, the end of a step.
    fn pause(&self, terminal: &mut Terminal) -> Result<(), Stop> {
        if self.step { terminal.wait_for_enter() } else { Ok(()) }
    }
}
