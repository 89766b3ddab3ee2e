//! A pipe made of shared memory: sends stdin to another process, in messages through a ring.
//!
//! Partner: ring-receive. Start them in either order. Kill either one, and start it again: it goes on.
//!
//! ```text
//! cargo run -p lessons --example ring-send
//! cargo run -p lessons --example ring-receive
//! ```
//!
//! Both take a path, of a file on a disk or in /dev/shm, instead of the usual one. `--packed` makes a new
//! ring whose two indices lie in one cache line.
//!
//! predict: stdin is `yes`, and nobody receives. How many bytes are sent? What does top show then?

#![forbid(unsafe_code)]

use std::process::{self, ExitCode};
use std::time::Duration;

use common::ring::{self, Sender, Side, WORDS};
use lessons::{Company, path_and_flag};
use terminal::{Stop, Terminal, run_without_args, say};

/// One read(2), one message. As much as a pipe takes or gives at once.
const MESSAGE: usize = 4096;

fn main() -> ExitCode {
    run_without_args(send)
}

fn send(terminal: &mut Terminal) -> Result<(), Stop> {
    let (path, packed) = path_and_flag("/dev/shm/ring", Some("--packed"));
    say!(terminal, "sender, pid {}", process::id());

    // open(2); or linkat(2) of a new file, which has its header before it has a name.
    let file = ring::open_or_create::<WORDS>(&path, 0o600, packed)?;
    say!(terminal, "open: {file}");

    // mmap(2), and a look at the header; fcntl(2), F_OFD_SETLK: there is one sender.
    let mut ring = Sender::<WORDS>::claim(file)?;
    let lines =
        if ring.is_packed() { "64 and 68, one cache line" } else { "64 and 128, two lines" };
    say!(terminal, "mmap: mapped at {:p}, indices at bytes {lines}", ring.address());
    if let Some(killed) = ring.before() {
        say!(terminal, "before: {killed}; what it had read and not begun to send is lost too");
    }
    ring.explain_sigbus("error: SIGBUS: somebody has cut the ring's file off\n".into())?;

    let mut count = Count::default();
    let ended = stream(&mut ring, &mut count, terminal);
    let Count { read, sent, messages } = count;
    let sleeps = ring.sleeps();
    say!(
        terminal,
        "sent: {sent} bytes; messages: {messages}; asleep because it was full: {sleeps}"
    );
    if ended.is_err() {
        say!(terminal, "dropped: {} bytes; no end is sent, the next sender goes on", read - sent);
    }

    // munmap(2); close(2), with which the lock goes. The file stays: another process may need it.
    ring.leave()?;
    say!(terminal, "munmap: unmapped");
    ended
}

#[derive(Default)]
struct Count {
    read: u64,
    sent: u64,
    messages: u64,
}

fn stream(ring: &mut Sender, count: &mut Count, terminal: &mut Terminal) -> Result<(), Stop> {
    let mut receiver = Company::of(Side::Receiver);
    let mut bytes = [0; MESSAGE];
    loop {
        // read(2): what is there, or the end.
        let length = terminal.read(&mut bytes)?;
        count.read += length as u64;

        // Stores, and then the index: no system call, unless the receiver sleeps: futex(2), FUTEX_WAKE.
        // Pairs with `receive` in ring-receive.
        while !(if length == 0 { ring.end()? } else { ring.send(&bytes[..length])? }) {
            receiver.tell(terminal, ring.peer()?);
            // futex_waitv(2): asleep while it is full. A killed receiver wakes nobody: look now and then.
            // A real application looks some hundred times more before it sleeps.
            terminal.asleep(|flag| ring.wait(flag, Duration::from_secs(1)))?;
        }
        if length == 0 {
            return Ok(());
        }
        count.sent += length as u64;
        count.messages += 1;
    }
}
