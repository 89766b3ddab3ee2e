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
use std::time::{Duration, Instant};

use clap::Parser;
use common::cli::{self, Stop, Terminal};
use common::mapping::{RecordFile, is_awaited};
use common::text::shown;
use common::{ReadOnly, SharedConnStat, data, say};

/// Show the counts in a mapped file
#[derive(Parser)]
#[command(version, allow_negative_numbers = true)]
struct Args {
    /// File to map
    file: PathBuf,

    /// How many times to look
    #[arg(short = 'n', long, default_value_t = 10)]
    ticks: u32,

    /// Pause after each look, such as 1s, 10ms or 0s
    #[arg(short, long, default_value = "1s", value_parser = cli::duration)]
    interval: Duration,

    /// How long to wait for a file that is not there yet
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = cli::duration)]
    wait: Duration,
}

fn main() -> ExitCode {
    cli::run(observe)
}

fn observe(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "reader, pid {}, file {}", process::id(), shown(&args.file));

    // Open the file for reading only.
    let file = open(args, terminal)?;
    say!(terminal, "open: {file}");

    // Make it part of this process's address space, to load from only (PROT_READ).
    let shared = file.map::<SharedConnStat, ReadOnly>()?;
    say!(terminal, "mmap: mapped at {:p}, read-only", shared.address());

    // Should somebody truncate the file, the next access is a SIGBUS: say so.
    shared.explain_sigbus(&args.file)?;

    // The mapping outlives the file descriptor.
    drop(file);
    say!(terminal, "close: the mapping stays");

    let stopped = show(args, &shared, terminal);

    // Take it out of the address space again.
    shared.unmap()?;
    say!(terminal, "munmap: unmapped");
    stopped
}

fn open(args: &Args, terminal: &mut Terminal) -> Result<RecordFile, Stop> {
    let start = Instant::now();
    if is_awaited(&args.file) && !args.wait.is_zero() {
        say!(
            terminal,
            "no record there yet, waiting up to {}; in another terminal: cargo run -p mmap-file-writer -- {}",
            cli::human(args.wait),
            shown(&args.file)
        );
    }
    while is_awaited(&args.file) && start.elapsed() < args.wait {
        terminal.pause(Duration::from_millis(20))?;
    }
    Ok(RecordFile::open::<ReadOnly>(&args.file, size_of::<SharedConnStat>())?)
}

fn show(args: &Args, shared: &SharedConnStat, terminal: &mut Terminal) -> Result<(), Stop> {
    for _ in 0..args.ticks {
        // Pairs with `increment_below` in mmap-file-writer: with its count
        // comes everything that it had stored before.
        let stat = shared.load();
        data!(terminal, "ip = {}, count: {}", stat.ip(), stat.count)?;
        terminal.pause(args.interval)?;
    }
    Ok(())
}
