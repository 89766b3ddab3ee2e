//! Shows what another process counts in a file mapped into memory.
//!
//! Port of `map_read.c`; its partner is `mmap-file-writer`. Start them in either order: the reader
//! waits for the file.
//!
//! ```text
//! Terminal 1:  cargo run -p mmap-file-writer -- /tmp/conn_stat
//! Terminal 2:  cargo run -p mmap-file-reader -- /tmp/conn_stat
//! ```

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::time::Duration;

use clap::Parser;
use common::cli::{self, LookArgs, Stop, Terminal};
use common::follow::Changes;
use common::mapping::{RecordFile, is_awaited};
use common::text::shown;
use common::{ReadOnly, SharedConnStat, data, say};

/// Show the counts in a mapped file
#[derive(Parser)]
#[command(version)]
struct Args {
    /// File to map, such as /tmp/conn_stat
    file: PathBuf,

    #[command(flatten)]
    look: LookArgs,

    /// How long to wait for a file that is not there yet
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = cli::duration)]
    wait: Duration,
}

fn main() -> ExitCode {
    cli::run(observe)
}

fn observe(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "reader, pid {}, file {}", process::id(), shown(&args.file));

    if is_awaited(&args.file) && !args.wait.is_zero() {
        let (file, wait) = (shown(&args.file), cli::human(args.wait));
        say!(
            terminal,
            "no record there yet, waiting up to {wait}; in another terminal: cargo run -p mmap-file-writer -- {file}"
        );
        terminal.wait_until(args.wait, || !is_awaited(&args.file))?;
    }

    // open(2): open the file for reading only.
    let file = RecordFile::open::<ReadOnly>(&args.file, size_of::<SharedConnStat>())?;
    say!(terminal, "open: {file}");

    // mmap(2), PROT_READ and MAP_SHARED: make it part of this process's address
    // space, to load from only.
    let shared = file.map::<SharedConnStat, ReadOnly>()?;
    say!(terminal, "mmap: mapped at {:p}, read-only", shared.address());

    // Should somebody truncate the file, the next access is a SIGBUS: say so.
    shared.explain_sigbus(&args.file)?;

    let stopped = match args.look.follow {
        true => follow(args, &file, &shared, terminal),
        false => {
            // close(2): the mapping outlives the file descriptor.
            drop(file);
            say!(terminal, "close: the mapping stays");
            show(args, &shared, terminal)
        }
    };

    // munmap(2): take it out of the address space again.
    shared.unmap()?;
    say!(terminal, "munmap: unmapped");
    stopped
}

fn show(args: &Args, shared: &SharedConnStat, terminal: &mut Terminal) -> Result<(), Stop> {
    for _ in 0..args.look.ticks() {
        // Pairs with `increment_below` in mmap-file-writer: with its count
        // comes everything that it had stored before.
        let stat = shared.load();
        data!(terminal, "ip = {}, count: {}", stat.ip(), stat.count)?;
        terminal.pause(args.look.interval)?;
    }
    Ok(())
}

fn follow(
    args: &Args,
    file: &RecordFile,
    shared: &SharedConnStat,
    terminal: &mut Terminal,
) -> Result<(), Stop> {
    if let Err(error) = file.has_writer() {
        say!(terminal, "cannot tell when the writer goes: {error}");
    }
    let has_company = || Ok(file.has_writer().unwrap_or(true));
    let mut changes = Changes::of(shared);
    for _ in 0..args.look.ticks() {
        // Asleep until the count changes (futex); the interval is for writers that wake nobody.
        let Some(stat) = changes.next(terminal, args.look.interval, has_company)? else {
            say!(terminal, "the writer has gone: nobody has the file open for writing");
            break;
        };
        data!(terminal, "ip = {}, count: {}", stat.ip(), stat.count)?;
    }
    Ok(())
}
