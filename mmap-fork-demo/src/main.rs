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

#![forbid(unsafe_code)]

use std::process::{self, ExitCode};
use std::time::Duration;

use clap::Parser;
use common::mapping::Mapping;
use common::{ReadWrite, SharedText};
use terminal::process::{Fork, fork};
use terminal::{Stop, Terminal, args, data, say};

/// 128 bytes of text: `create_shared_memory(128)` in C.
type Message = SharedText<32>;

fn main() -> ExitCode {
    terminal::run(share)
}

fn share(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "parent, pid {}", process::id());

    // mmap(2), MAP_SHARED and MAP_ANONYMOUS: new pages, shared with the children from here on, and
    // with nobody else.
    let shared = Mapping::<Message, ReadWrite>::anonymous()?;
    say!(terminal, "mmap: 128 bytes, anonymous, mapped at {:p}", shared.address());

    // The same text in an ordinary variable, which fork copies.
    let mut ordinary = args.parent_message.clone();
    say!(terminal, "ordinary variable, parent: {ordinary:?}");
    shared.writer().store(&args.parent_message);
    data!(terminal, "Parent read: {}", shared.load())?;

    // fork(2): two processes from here on. All that the parent stored so far is there for
    // the child to load.
    match fork()? {
        Fork::Child => {
            say!(terminal, "ordinary variable, child: {ordinary:?}");
            let ended = answer(args, &shared, terminal);
            ordinary.clone_from(&args.child_message);
            say!(terminal, "ordinary variable, child: {ordinary:?}");
            // It must not return: the functions that called this one are copies too, and would do
            // the parent's work a second time.
            process::exit(terminal.conclude(ended).into());
        }
        Fork::Parent(child) => {
            say!(terminal, "fork: child {}", child.pid());
            terminal.pause(args.delay)?;

            // waitpid(2): reap the child, which would stay a zombie otherwise.
            child.wait(terminal)?;
            say!(terminal, "waitpid: the child has exited");

            // The delay alone would prove nothing: a slow machine may take longer. That the
            // child has ended proves that all its stores are here.
            data!(terminal, "After {}, parent read: {}", args::human(args.delay), shared.load())?;
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
    let (pid, address) = (process::id(), shared.address());
    say!(terminal, "child, pid {pid}: the mapping is at {address:p} here too");
    data!(terminal, "Child read: {}", shared.load())?;
    shared.writer().store(&args.child_message);
    data!(terminal, "Child wrote: {}", shared.load())
}

/// Share memory between a parent and its forked child
#[derive(Parser)]
#[command(version)]
struct Args {
    /// How long the parent waits before it looks again
    #[arg(long, default_value = "1s", value_parser = args::duration)]
    delay: Duration,

    /// What the parent writes, at most 127 bytes
    #[arg(long, default_value = "hello", value_parser = Message::fits)]
    parent_message: String,

    /// What the child writes, at most 127 bytes
    #[arg(long, default_value = "goodbye", value_parser = Message::fits)]
    child_message: String,
}
