//! Counts in a file mapped into memory, where another process sees each count arrive.
//!
//! Port of `map_write.c`; its partner is `mmap-file-reader`. Start them in either order; the
//! reader waits for the file.
//!
//! ```text
//! Terminal 1:  cargo run -p mmap-file-writer -- /tmp/conn_stat
//! Terminal 2:  cargo run -p mmap-file-reader -- /tmp/conn_stat
//! ```
//!
//! The file stays when the writer ends, with the last record in it: `od -A d -t d4 -N 4` shows its
//! count, and `rm` removes it.

#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::time::Duration;

use clap::Parser;
use common::mapping::{NamedFile, RecordFile};
use common::printable::shown;
use common::{ConnStat, SharedConnStat, Writer};
use terminal::args::{self, Mode};
use terminal::watch::{Watch, change};
use terminal::{Stop, Terminal, advice, data, say};

fn main() -> ExitCode {
    terminal::run(publish)
}

fn publish(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "writer, pid {}, file {}", process::id(), shown(&args.file));
    let start = ConnStat::new(args.ip);

    // open(2): open the file, or create it with the first record in it. It is
    // never truncated: a reader may have it mapped.
    let file = match args.force && args.file.exists() {
        true => RecordFile::take_over(&args.file, size_of::<SharedConnStat>())?,
        false => RecordFile::open_or_create(&args.file, args.mode.0, bytemuck::bytes_of(&start))?,
    };
    say!(terminal, "open: {file}");

    // mmap(2), MAP_SHARED: make it part of this process's address space, shared
    // with all who do so.
    let shared = file.map::<SharedConnStat>()?;
    say!(terminal, "mmap: mapped at {:p}", shared.address());

    // Should somebody truncate the file, the next access is a SIGBUS: say so.
    shared.explain_sigbus(advice::after_sigbus(&args.file))?;

    // close(2): the mapping outlives the file descriptor.
    let (named, created) = (file.named()?, file.created());
    drop(file);
    say!(terminal, "close: the mapping stays");

    // A new file has the first record already, and another writer may have counted since.
    if !args.join && !created {
        shared.writer().store(&start);
    }
    let stopped = count(args, &named, shared.writer(), terminal);

    // munmap(2): take it out of the address space again. The file itself stays.
    shared.unmap()?;
    match change(&named) {
        None => say!(terminal, "munmap: unmapped; {0} stays, rm {0} removes it", shown(&args.file)),
        Some(change) => say!(terminal, "munmap: unmapped; {change}"),
    }
    stopped
}

fn count(
    args: &Args,
    file: &NamedFile,
    shared: Writer<'_, SharedConnStat>,
    terminal: &mut Terminal,
) -> Result<(), Stop> {
    let mut watch = Watch::new(|| change(file));
    // Pairs with `load` in the reader: who sees this count sees all that was stored before it.
    while let Some(count) = shared.increment_below(args.ticks) {
        // Wake the readers that sleep until the count changes (--follow).
        shared.wake();
        data!(terminal, "count: {count}")?;
        watch.tell(terminal);
        terminal.pause(args.interval)?;
    }
    Ok(())
}

/// Count in a mapped file; mmap-file-reader shows the counts
#[derive(Parser)]
#[command(version)]
struct Args {
    /// File to map, such as /tmp/conn_stat; created if it is not there
    file: PathBuf,

    /// Address to publish beside the count: IPv4 or IPv6
    #[arg(long, default_value = "127.0.0.1")]
    ip: IpAddr,

    /// Count while the count is below this
    #[arg(short = 'n', long, default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    ticks: i32,

    /// Pause after each count, such as 1s, 10ms or 0s
    #[arg(short, long, default_value = "1s", value_parser = args::duration)]
    interval: Duration,

    /// Permission bits of a new file, octal, less the umask
    #[arg(short, long, default_value = "0644")]
    mode: Mode,

    /// Count on from what is there instead of starting again at 0
    #[arg(long)]
    join: bool,

    /// Give up what the file holds, whatever it is, and make it a record
    #[arg(long, conflicts_with = "join")]
    force: bool,
}
