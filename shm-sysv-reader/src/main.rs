//! Shows what another process counts in a System V shared memory segment, then removes it.
//!
//! Port of `shmread.c`; its partner is `shm-sysv-writer`. Start them in either order: whoever
//! comes first creates the segment.
//!
//! ```text
//! Terminal 1:  cargo run -p shm-sysv-writer
//! Terminal 2:  cargo run -p shm-sysv-reader
//! ```

#![forbid(unsafe_code)]

use std::process::{self, ExitCode};

use clap::Parser;
use common::cli::{self, KeyArgs, LookArgs, Stop, Terminal};
use common::follow::Changes;
use common::sysv::Segment;
use common::{ReadOnly, SharedConnStat, data, say};

/// Show the counts in a System V shared memory segment, then remove it
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    key: KeyArgs,

    /// Segment to read, by its shmid instead of a key
    #[arg(long, value_name = "SHMID", conflicts_with_all = ["key", "ftok"])]
    id: Option<i32>,

    #[command(flatten)]
    look: LookArgs,

    /// Leave the segment there; without this, the reader removes it at the end, also after Ctrl-C
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    cli::run(observe)
}

fn observe(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    let (pid, size) = (process::id(), size_of::<SharedConnStat>());

    // shmget(2): find the segment, or create it for a writer that is still to come.
    let segment = if let Some(id) = args.id {
        say!(terminal, "reader, pid {pid}, segment {id}");
        Segment::from_id(id, size)?
    } else {
        let key = args.key.key_to_find()?;
        say!(terminal, "reader, pid {pid}, {key}");
        Segment::open_or_create(key, size, 0o600)?
    };
    say!(terminal, "shmget: {segment}");

    // shmat(2), SHM_RDONLY: make it part of this process's address space, to load
    // from only. If that fails, remove it if it is new.
    let shared =
        segment.attach::<SharedConnStat, ReadOnly>().map_err(|error| segment.abandon(error))?;
    say!(terminal, "shmat: Memory attached at {:p}, read-only", shared.address());

    if shared.load().ip().is_empty() {
        let how = cli::invite_writer(segment.status()?.key);
        say!(terminal, "no writer has been here yet; {how}");
    }
    let stopped = match args.look.follow {
        true => follow(args, &segment, &shared, terminal),
        false => show(args, &shared, terminal),
    };

    // shmdt(2): take it out of the address space again.
    shared.detach()?;
    say!(terminal, "shmdt: detached");

    // shmctl(2), IPC_RMID: remove it. The key is free at once, the memory goes with the last detach.
    if !args.keep && segment.remove()? {
        say!(terminal, "shmctl(IPC_RMID): segment {} removed", segment.id());
    } else {
        say!(terminal, "{}", segment.what_remains());
    }
    stopped
}

fn show(args: &Args, shared: &SharedConnStat, terminal: &mut Terminal) -> Result<(), Stop> {
    for _ in 0..args.look.ticks() {
        // Pairs with `increment` in shm-sysv-writer: with its count comes
        // everything that it had stored before.
        let stat = shared.load();
        data!(terminal, "ip = {}, count: {}", stat.ip(), stat.count)?;
        terminal.pause(args.look.interval)?;
    }
    Ok(())
}

fn follow(
    args: &Args,
    segment: &Segment,
    shared: &SharedConnStat,
    terminal: &mut Terminal,
) -> Result<(), Stop> {
    let has_company = || Ok(segment.status()?.attached > 1);
    let mut changes = Changes::of(shared);
    for _ in 0..args.look.ticks() {
        // Asleep until the count changes (futex); the interval is for writers that wake nobody.
        let Some(stat) = changes.next(terminal, args.look.interval, has_company)? else {
            say!(terminal, "the writer has gone: nobody else is attached");
            break;
        };
        data!(terminal, "ip = {}, count: {}", stat.ip(), stat.count)?;
    }
    Ok(())
}
