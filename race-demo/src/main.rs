//! The race between a writer and its readers, and three cures, with and without `kill -9`.
//!
//! A writer publishes records as fast as it can; readers take snapshots and check them. The text of
//! a record is a function of its count, so a snapshot that mixes two publications gives itself away:
//! it is *torn*. Then the same with a writer that is killed and replaced, again and again.
//!
//! ```text
//! cargo run --release -p race-demo
//! ```
//!
//! Lay any two of `none.rs`, `semaphore.rs`, `mutex.rs` and `seqlock.rs` side by side: nothing
//! differs but the mechanism. `contest.rs` runs them all alike; `docs/the-race.md` explains what
//! comes out.

#![forbid(unsafe_code)]

mod contest;
mod mechanism;
mod mutex;
mod none;
mod record;
mod report;
mod semaphore;
mod seqlock;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use contest::Contest;
use terminal::{Stop, Terminal, args};
use terminal::{data, say};

/// Show the race between a writer and its readers, and three cures
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Run this mechanism alone
    #[arg(long)]
    mechanism: Option<Name>,

    /// How many readers take snapshots at once
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=31))]
    readers: u8,

    /// How long to measure each mechanism, such as 1s or 10s
    #[arg(long = "for", value_name = "DURATION", default_value = "1s", value_parser = args::duration)]
    time: Duration,

    /// How many times to kill the writer of each mechanism after that
    #[arg(long, default_value_t = 200)]
    kills: u32,

    /// A table for people, or JSON for programs
    #[arg(long, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    None,
    Semaphore,
    Mutex,
    Seqlock,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

fn main() -> ExitCode {
    terminal::run(compare)
}

fn compare(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    if cfg!(debug_assertions) {
        say!(
            terminal,
            "a debug build: with --release the figures are higher and the race is closer"
        );
    }
    let contest = Contest { readers: args.readers.into(), time: args.time, kills: args.kills };
    let mut rows = Vec::new();
    for name in Name::value_variants().iter().filter(|name| args.runs(**name)) {
        rows.push(match name {
            Name::None => contest.run::<none::Unguarded>(terminal)?,
            Name::Semaphore => contest.run::<semaphore::Guarded>(terminal)?,
            Name::Mutex => contest.run::<mutex::Guarded>(terminal)?,
            Name::Seqlock => contest.run::<seqlock::Versioned>(terminal)?,
        });
    }
    match args.format {
        Format::Table => report::table(&rows, args.kills, terminal),
        Format::Json => data!(terminal, "{}", report::json(&rows)?),
    }
}

impl Args {
    fn runs(&self, name: Name) -> bool {
        self.mechanism.is_none_or(|only| only as u8 == name as u8)
    }
}
