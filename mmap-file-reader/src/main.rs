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
use common::mapping::{RecordFile, is_awaited};
use common::printable::shown;
use common::{ReadOnly, SharedConnStat};
use terminal::args::{self, LookArgs};
use terminal::watch::{Watch, change, old_record};
use terminal::{Looks, Stop, Terminal, advice, data, say};

fn main() -> ExitCode {
    terminal::run(observe)
}

fn observe(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "reader, pid {}, file {}", process::id(), shown(&args.file));
    await_file(args, terminal)?;

    // open(2): open the file for reading only.
    let file = RecordFile::<ReadOnly>::open(&args.file, size_of::<SharedConnStat>())?;
    say!(terminal, "open: {file}");
    await_writer(args, &file, terminal)?;

    // mmap(2), PROT_READ and MAP_SHARED: make it part of this process's address
    // space, to load from only.
    let shared = file.map::<SharedConnStat>()?;
    say!(terminal, "mmap: mapped at {:p}, read-only", shared.address());

    // Should somebody truncate the file, the next access is a SIGBUS: say so.
    shared.explain_sigbus(advice::after_sigbus(&args.file))?;

    let stopped = look(args, &file, &shared, terminal);

    // munmap(2): take it out of the address space again.
    shared.unmap()?;
    say!(terminal, "munmap: unmapped");
    stopped
}

fn look(
    args: &Args,
    file: &RecordFile<ReadOnly>,
    shared: &SharedConnStat,
    terminal: &mut Terminal,
) -> Result<(), Stop> {
    let named = file.named()?;
    let mut watch = Watch::new(|| change(&named));
    let mut looks = Looks::at(shared, &args.look);
    // Where nobody can tell (see docs/waiting.md), a writer counts as there.
    let has_company = || Ok(file.has_writer().unwrap_or(true));
    while let Some(stat) = looks.next(terminal, has_company)? {
        data!(terminal, "ip = {}, count: {}", stat.ip(), stat.count)?;
        watch.tell(terminal);
    }
    if looks.are_alone() {
        say!(terminal, "the writer has gone: nobody has the file open for writing");
    }
    Ok(())
}

/// A writer may still be to come.
fn await_file(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    if is_awaited(&args.file) && !args.wait.is_zero() {
        let (wait, how) = (args::human(args.wait), advice::invite_file_writer(&shown(&args.file)));
        say!(terminal, "no record there yet, waiting up to {wait}; {how}");
        terminal.wait_until(args.wait, || !is_awaited(&args.file))?;
    }
    Ok(())
}

/// A file stays when its writer ends, so what is in it may be of long ago.
fn await_writer(
    args: &Args,
    file: &RecordFile<ReadOnly>,
    terminal: &mut Terminal,
) -> Result<(), Stop> {
    match file.has_writer() {
        Ok(true) => {}
        Ok(false) if args.wait.is_zero() => say!(terminal, "{}", old_record(file)),
        Ok(false) => {
            let (wait, how) =
                (args::human(args.wait), advice::invite_file_writer(&shown(&args.file)));
            say!(terminal, "{}; waiting up to {wait} for a writer; {how}", old_record(file));
            terminal.wait_until(args.wait, || !matches!(file.has_writer(), Ok(false)))?;
        }
        Err(error) if args.look.follow => {
            say!(terminal, "cannot tell when the writer goes: {error}");
        }
        Err(_) => {}
    }
    Ok(())
}

/// Show the counts in a mapped file
#[derive(Parser)]
#[command(version)]
struct Args {
    /// File to map, such as /tmp/conn_stat
    file: PathBuf,

    #[command(flatten)]
    look: LookArgs,

    /// How long to wait for a writer, if there is none yet
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = args::duration)]
    wait: Duration,
}
