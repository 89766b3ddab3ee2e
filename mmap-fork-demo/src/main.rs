//! A parent and its forked child share a page that no other process can name.
//!
//! Port of a well-known C example, whose `create_shared_memory` maps 128 anonymous bytes. It needs no
//! partner: it forks its own.
//!
//! ```text
//! cargo run -p mmap-fork-demo
//! ```
//!
//! Fork copies the address space, so an ordinary variable that the child changes stays as it was
//! in the parent. Pages mapped with `MAP_SHARED` are not copied: both see the same ones.

#![deny(unsafe_code)]

use std::process::{self, ExitCode};
use std::time::Duration;

use clap::Parser;
use common::cli::{self, Stop, Terminal};
use common::mapping::Mapping;
use common::process::{Child, fork_failed};
use common::{Error, ReadWrite, SharedText, data, say};
use nix::unistd::{ForkResult, fork};

/// 128 bytes of text: `create_shared_memory(128)` in C.
type Message = SharedText<32>;

/// Share memory between a parent and its forked child
#[derive(Parser)]
#[command(version)]
struct Args {
    /// How long the parent waits before it looks again
    #[arg(long, default_value = "1s", value_parser = cli::duration)]
    delay: Duration,

    /// What the parent writes, at most 127 bytes
    #[arg(long, default_value = "hello", value_parser = Message::fits)]
    parent_message: String,

    /// What the child writes, at most 127 bytes
    #[arg(long, default_value = "goodbye", value_parser = Message::fits)]
    child_message: String,
}

fn main() -> ExitCode {
    cli::run(share)
}

fn share(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "parent, pid {}", process::id());

    // mmap(2), MAP_SHARED and MAP_ANONYMOUS: new pages, shared with the children from here on, and with nobody else.
    let shared = Mapping::<Message, ReadWrite>::anonymous()?;
    say!(terminal, "mmap: 128 bytes, anonymous, mapped at {:p}", shared.address());

    // The same text in an ordinary variable, which fork copies.
    let mut ordinary = args.parent_message.clone();
    shared.writer().store(&args.parent_message);
    data!(terminal, "Parent read: {}", shared.load())?;

    // fork(2): two processes from here on. All that the parent stored so far is there for
    // the child to load.
    match split()? {
        ForkResult::Child => {
            ordinary.clone_from(&args.child_message);
            say!(terminal, "ordinary variable, child: {ordinary:?}");
            let ended = answer(args, &shared, terminal);
            process::exit(terminal.conclude(ended).into());
        }
        ForkResult::Parent { child } => {
            let child = Child::adopt(child);
            say!(terminal, "fork: child {}", child.pid());
            terminal.pause(args.delay)?;

            // waitpid(2): reap the child, which would stay a zombie otherwise.
            child.wait(terminal)?;
            say!(terminal, "waitpid: the child has exited");

            // The delay alone would prove nothing: a slow machine may take longer. That the
            // child has ended proves that all its stores are here.
            data!(terminal, "After {}, parent read: {}", cli::human(args.delay), shared.load())?;
            say!(terminal, "ordinary variable, parent: {ordinary:?}");
            shared.unmap()?;
            say!(terminal, "munmap: unmapped");
            Ok(())
        }
    }
}

fn answer(
    args: &Args,
    shared: &Mapping<Message, ReadWrite>,
    terminal: &mut Terminal,
) -> Result<(), Stop> {
    say!(
        terminal,
        "child, pid {}: the mapping is at {:p} here too",
        process::id(),
        shared.address()
    );
    data!(terminal, "Child read: {}", shared.load())?;
    shared.writer().store(&args.child_message);
    data!(terminal, "Child wrote: {}", shared.load())
}

#[allow(unsafe_code)]
fn split() -> Result<ForkResult, Error> {
    // SAFETY: a child of a process with several threads may only make async-signal-safe calls.
    // This process has started no thread, so the child is a whole copy and may do anything.
    unsafe { fork() }.map_err(fork_failed)
}
