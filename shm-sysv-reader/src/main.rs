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
use common::sysv::Segment;
use common::{ReadOnly, SharedConnStat};
use terminal::args::{KeyArgs, LookArgs};
use terminal::watch::{Watch, nobody_counts, removal, what_remains};
use terminal::{Looks, Stop, Terminal, data, say};

fn main() -> ExitCode {
    terminal::run(observe)
}

fn observe(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    let segment = find(args, terminal)?;

    // shmat(2), SHM_RDONLY: make it part of this process's address space, to load from only.
    let attached = segment.attach::<SharedConnStat, ReadOnly>();
    let shared = attached.map_err(|error| segment.abandon(error))?;
    say!(terminal, "shmat: Memory attached at {:p}, read-only", shared.address());

    if let Some(line) = nobody_counts(&segment, &shared) {
        say!(terminal, "{line}");
    }
    let stopped = look(args, &segment, &shared, terminal);

    // shmdt(2): take it out of the address space again.
    shared.detach()?;
    say!(terminal, "shmdt: detached");

    // shmctl(2), IPC_RMID: remove it. The key is free at once, the memory goes with the last detach.
    if !args.keep && segment.remove()? {
        say!(terminal, "shmctl(IPC_RMID): segment {} removed", segment.id());
    } else {
        say!(terminal, "{}", what_remains(&segment));
    }
    stopped
}

fn find(args: &Args, terminal: &mut Terminal) -> Result<Segment, Stop> {
    let (pid, size) = (process::id(), size_of::<SharedConnStat>());
    if let Some(id) = args.id {
        say!(terminal, "reader, pid {pid}, segment {id}");

        // shmctl(2), IPC_STAT: whoever knows the shmid needs no shmget.
        let segment = Segment::from_id(id)?;
        segment.must_have(size)?;
        say!(terminal, "shmctl(IPC_STAT): {segment}");
        Ok(segment)
    } else {
        let key = args.key.key_to_find()?;
        say!(terminal, "reader, pid {pid}, {key}");

        // shmget(2): find the segment, or create it for a writer that is still to come.
        let segment = Segment::open_or_create(key, size, 0o600)?;
        say!(terminal, "shmget: {segment}");
        Ok(segment)
    }
}

fn look(
    args: &Args,
    segment: &Segment,
    shared: &SharedConnStat,
    terminal: &mut Terminal,
) -> Result<(), Stop> {
    let mut watch = Watch::new(|| removal(segment));
    let mut looks = Looks::at(shared, &args.look);
    let has_company = || Ok(segment.status()?.attached > 1);
    while let Some(stat) = looks.next(terminal, has_company)? {
        data!(terminal, "ip = {}, count: {}", stat.ip(), stat.count)?;
        watch.tell(terminal);
    }
    if looks.are_alone() {
        say!(terminal, "the writer has gone: nobody else is attached");
    }
    Ok(())
}

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
