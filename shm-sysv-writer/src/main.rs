//! Counts in a System V shared memory segment, where another process sees each count arrive.
//!
//! Port of `shmwrite.c`; its partner is `shm-sysv-reader`. Start them in either order:
//!
//! ```text
//! Terminal 1:  cargo run -p shm-sysv-writer
//! Terminal 2:  cargo run -p shm-sysv-reader
//! ```
//!
//! The segment stays when the writer ends: a segment lives in the kernel, not in a process. The
//! reader removes it, or `ipcrm -m SHMID` does.

#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::process::{self, ExitCode};
use std::time::Duration;

use clap::Parser;
use common::sysv::Segment;
use common::{ConnStat, ReadWrite, SharedConnStat, Writer};
use terminal::args::{self, KeyArgs, Mode};
use terminal::watch::{Watch, removal, what_remains};
use terminal::{Stop, Terminal, data, say};

fn main() -> ExitCode {
    terminal::run(publish)
}

fn publish(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    let key = args.key.key()?;
    say!(terminal, "writer, pid {}, {key}", process::id());

    // shmget(2): find the segment that the key names, or create one (IPC_CREAT).
    let size = size_of::<SharedConnStat>();
    let segment = match args.exclusive {
        true => Segment::create(key, size, args.mode.0)?,
        false => Segment::open_or_create(key, size, args.mode.0)?,
    };
    say!(terminal, "shmget: {segment}");

    // shmat(2): make it part of this process's address space.
    let attached = segment.attach::<SharedConnStat, ReadWrite>();
    let shared = attached.map_err(|error| segment.abandon(error))?;
    say!(terminal, "shmat: Memory attached at {:p}", shared.address());

    let start = ConnStat::new(args.ip);
    match args.join {
        false => shared.writer().store(&start),
        // Others may be counting: leave the count, and the text too if there is one.
        true if shared.load().ip().is_empty() => shared.writer().store_ip(&start),
        true => {}
    }
    let stopped = count(args, &segment, shared.writer(), terminal);

    // shmdt(2): take it out of the address space again. The segment itself stays.
    shared.detach()?;
    say!(terminal, "shmdt: detached");
    say!(terminal, "{}", what_remains(&segment));
    stopped
}

fn count(
    args: &Args,
    segment: &Segment,
    shared: Writer<'_, SharedConnStat>,
    terminal: &mut Terminal,
) -> Result<(), Stop> {
    let mut watch = Watch::new(|| removal(segment));
    for _ in 0..args.ticks {
        // Pairs with `load` in the reader: who sees this count sees all that was stored before it.
        let count = shared.increment();
        // Wake the readers that sleep until the count changes (--follow).
        shared.wake();
        data!(terminal, "count: {count}")?;
        watch.tell(terminal);
        terminal.pause(args.interval)?;
    }
    Ok(())
}

/// Count in a System V shared memory segment; shm-sysv-reader shows the counts
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    key: KeyArgs,

    /// Address to publish beside the count: IPv4 or IPv6
    #[arg(long, default_value = "127.0.0.1")]
    ip: IpAddr,

    /// How many times to count
    #[arg(short = 'n', long, default_value_t = 50)]
    ticks: u32,

    /// Pause after each count, such as 1s, 10ms or 0s
    #[arg(short, long, default_value = "1s", value_parser = args::duration)]
    interval: Duration,

    /// Permission bits of a new segment, octal
    #[arg(short, long, default_value = "0600")]
    mode: Mode,

    /// Fail if the key has a segment already (IPC_EXCL)
    #[arg(long, conflicts_with = "join")]
    exclusive: bool,

    /// Count on from what is there instead of starting again at 0
    #[arg(long)]
    join: bool,
}
