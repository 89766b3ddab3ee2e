//! The picture in the textbook, alive: processes, and the page of memory that they share.
//!
//! It shows who has a segment or a file in its address space, where, with which rights, and what is in
//! the page, all from the kernel's own evidence. It changes nothing. Start it beside a pair:
//!
//! ```text
//! Terminal 1:  cargo run -p shm-sysv-writer
//! Terminal 2:  cargo run -p shm-sysv-reader
//! Terminal 3:  cargo run -p shm-viewer
//! ```
//!
//! or alone, as `cargo run -p shm-viewer -- --demo`.
//!
//! Read `memory.rs` (how it looks at the page), `sharers.rs` (who has it, from /proc/PID/maps),
//! `frame.rs` (that it is one page), `state.rs` (what has happened), then how it is shown.

#![forbid(unsafe_code)]

mod demo;
mod describe;
mod frame;
mod hex;
mod memory;
mod overview;
mod picture;
mod plain;
mod screen;
mod sharers;
mod state;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use demo::Demo;
use memory::Target;
use screen::Page;
use state::State;
use terminal::args::{self, KeyArgs};
use terminal::{Stop, Terminal};

fn main() -> ExitCode {
    terminal::run(start)
}

fn start(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    let mut demo = if args.demo { Some(Demo::start(terminal)?) } else { None };
    let target = match (&demo, args.id, &args.file) {
        (Some(demo), ..) => Target::Key(demo.key()),
        (_, Some(id), _) => Target::Id(id),
        (_, _, Some(path)) => Target::File(path.clone()),
        _ => Target::Key(args.key.key_to_find()?),
    };
    let mut state = State::new(target);
    let whole_screen = !args.once && io::stdin().is_terminal() && io::stdout().is_terminal();
    let ended = match (whole_screen, args.list) {
        (true, list) => {
            let page = if list { Page::Overview } else { Page::Picture };
            screen::watch(&mut state, page, args.interval, demo.as_mut(), terminal)
        }
        (false, true) => plain::overview(terminal),
        (false, false) => plain::picture(&mut state, demo.as_mut(), terminal),
    };
    match (demo, ended) {
        // The demo ends in any case; a signal that asks for our own end is the answer that counts.
        (Some(demo), ended) => ended.and(demo.end(terminal)),
        (None, ended) => ended,
    }
}

/// Show a segment or a mapped file, and the processes that share it, as they are now
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    key: KeyArgs,

    /// Segment to show, by its shmid instead of a key
    #[arg(long, value_name = "SHMID", conflicts_with_all = ["key", "ftok"])]
    id: Option<i32>,

    /// Mapped file to show, instead of a segment
    #[arg(long, value_name = "PATH", conflicts_with_all = ["key", "ftok", "id"])]
    file: Option<PathBuf>,

    /// Start a writer and a reader, show them, and end them again
    #[arg(long, conflicts_with_all = ["key", "ftok", "id", "file", "list"])]
    demo: bool,

    /// Show everything shared on this machine: segments, objects in /dev/shm, memfds
    #[arg(long)]
    list: bool,

    /// Print the picture once, as plain text, and exit; so it does where there is no terminal
    #[arg(long)]
    once: bool,

    /// Pause between two looks, at least 10ms
    #[arg(short, long, default_value = "100ms", value_parser = interval)]
    interval: Duration,
}

fn interval(text: &str) -> Result<Duration, String> {
    match args::duration(text)? {
        short if short < Duration::from_millis(10) => Err("at least 10ms".into()),
        interval => Ok(interval),
    }
}
