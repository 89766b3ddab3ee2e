//! The other end of the pipe made of shared memory: writes the messages in a ring to stdout.
//!
//! Partner: ring-send. Start them in either order. Kill either one, and start it again: it goes on.
//!
//! ```text
//! cargo run -p lessons --example ring-receive
//! cargo run -p lessons --example ring-send
//! ```
//!
//! predict: this process is killed with kill -9, and started again. What is lost? What comes twice?

#![forbid(unsafe_code)]

use std::process::{self, ExitCode};
use std::time::Duration;

use common::ring::{self, Received, Receiver, Side, WORDS};
use lessons::{Company, path_and_flag};
use terminal::{Stop, Terminal, run_without_args, say};

fn main() -> ExitCode {
    run_without_args(receive)
}

fn receive(terminal: &mut Terminal) -> Result<(), Stop> {
    let (path, _) = path_and_flag("/dev/shm/ring", None);
    say!(terminal, "receiver, pid {}", process::id());

    // open(2); or linkat(2) of a new file: whoever comes first makes it.
    let file = ring::open_or_create::<WORDS>(&path, 0o600, false)?;
    say!(terminal, "open: {file}");

    // mmap(2), for stores too, because the receiver has an index; fcntl(2), F_OFD_SETLK.
    let mut ring = Receiver::<WORDS>::claim(file)?;
    say!(terminal, "mmap: mapped at {:p}", ring.address());
    if let Some(killed) = ring.before() {
        say!(terminal, "before: {killed}");
    }
    ring.explain_sigbus("error: SIGBUS: somebody has cut the ring's file off\n".into())?;

    let (mut bytes, mut messages) = (0, 0);
    let ended = stream(&mut ring, terminal, |message| {
        bytes += message.len();
        messages += 1;
    });
    let sleeps = ring.sleeps();
    say!(
        terminal,
        "received: {bytes} bytes; messages: {messages}; asleep because it was empty: {sleeps}"
    );
    if ended.is_ok() {
        say!(terminal, "the end of the stream");
    }

    // munmap(2); close(2), with which the lock goes. The file stays: another process may need it.
    ring.leave()?;
    say!(terminal, "munmap: unmapped; rm {} removes the ring", path.display());
    ended
}

fn stream(
    ring: &mut Receiver,
    terminal: &mut Terminal,
    mut written: impl FnMut(&[u8]),
) -> Result<(), Stop> {
    let mut sender = Company::of(Side::Sender);
    let mut message = Vec::new();
    loop {
        // Loads: the index, and then the message. No system call. Pairs with `send` in ring-send.
        match ring.receive(&mut message)? {
            Received::Message => {
                // write(2)
                terminal.write(&message)?;
                written(&message);
                // Behind the write: who is killed between the two has written it, and the next receiver
                // writes it again. Before the write it would be lost instead. futex(2), FUTEX_WAKE.
                ring.release();
            }
            Received::Empty => {
                sender.tell(terminal, ring.peer()?);
                // futex_waitv(2): asleep while it is empty. A killed sender wakes nobody.
                terminal.asleep(|flag| ring.wait(flag, Duration::from_secs(1)))?;
            }
            Received::End => {
                ring.release();
                return Ok(());
            }
        }
    }
}
