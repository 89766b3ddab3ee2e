//! The race between processes that share memory, and its cures, with and without `kill -9`.
//!
//! First two writers count in one number, and counts get lost. Then a writer publishes records as
//! fast as it can, and readers take snapshots and check them. The text of a record is a function of
//! its count, so a snapshot that mixes two publications gives itself away: it is *torn*. Then the same
//! with a writer that is killed and replaced, again and again.
//!
//! ```text
//! cargo run --release -p race-demo
//! ```
//!
//! Lay any two of `none.rs`, `semaphore.rs`, `mutex.rs`, `seqlock.rs` and their like side by side:
//! nothing differs but the mechanism. `contest.rs` runs them all alike; `docs/the-race.md` explains
//! what comes out.

#![forbid(unsafe_code)]

mod contest;
mod lost_update;
mod mechanism;
mod mutex;
mod none;
mod posix_semaphore;
mod record;
mod record_lock;
mod report;
mod rwlock;
mod scores;
mod semaphore;
mod seqlock;
mod sleepers;
mod two_slots;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use contest::Contest;
use report::{Format, Report};
use terminal::say;
use terminal::{Stop, Terminal, args};

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
    let mut report = Report::new(args.format);
    let measured = measure(args, &mut report, terminal);
    report.end(terminal);
    measured
}

fn measure(args: &Args, report: &mut Report, terminal: &mut Terminal) -> Result<(), Stop> {
    let alone = args.mechanism.is_some();
    if !alone {
        report.counts(terminal)?;
        for way in &lost_update::WAYS {
            let count = lost_update::count(way, args.time, terminal)?;
            report.count(&count, terminal)?;
        }
    }
    let contest = Contest {
        readers: args.readers.into(),
        time: args.time,
        kills: args.kills,
        within: args.within,
    };
    report.mechanisms(&contest, alone, terminal)?;
    for name in Name::value_variants().iter().filter(|name| args.runs(**name)) {
        let row = match name {
            Name::None => contest.run::<none::Unguarded>(terminal),
            Name::PosixSemaphore => contest.run::<posix_semaphore::ByPosixSemaphore>(terminal),
            Name::Rwlock => contest.run::<rwlock::ByRwLock>(terminal),
            Name::Semaphore => contest.run::<semaphore::BySemaphore>(terminal),
            Name::RecordLock => contest.run::<record_lock::ByRecordLock>(terminal),
            Name::Mutex => contest.run::<mutex::ByMutex>(terminal),
            Name::Seqlock => contest.run::<seqlock::Versioned>(terminal),
            Name::TwoSlots => contest.run::<two_slots::Doubled>(terminal),
        };
        report.row(&row?, terminal)?;
    }
    Ok(())
}

/// Show the race between processes that share memory, and its cures
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Run this mechanism alone
    #[arg(long)]
    mechanism: Option<Name>,

    /// How many readers take snapshots at once
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=31))]
    readers: u8,

    /// How long to measure each mechanism undisturbed, such as 1s or 10s
    #[arg(long = "for", value_name = "DURATION", default_value = "500ms", value_parser = args::duration)]
    time: Duration,

    /// How many times to kill the writer of each mechanism after that
    #[arg(long, default_value_t = 100)]
    kills: u32,

    /// For how long to kill at most
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = args::duration)]
    within: Duration,

    /// Tables for people, or JSON for programs
    #[arg(long, default_value = "table")]
    format: Format,
}

/// The mechanisms, from those that a dead holder stops to those that need nothing made good.
#[derive(Clone, Copy, ValueEnum)]
enum Name {
    None,
    PosixSemaphore,
    Rwlock,
    Semaphore,
    RecordLock,
    Mutex,
    Seqlock,
    TwoSlots,
}

impl Args {
    fn runs(&self, name: Name) -> bool {
        self.mechanism.is_none_or(|only| only as u8 == name as u8)
    }
}
