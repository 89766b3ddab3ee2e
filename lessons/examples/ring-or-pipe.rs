//! The same messages through a ring, through a ring packed into too few cache lines, and through a pipe.
//!
//! ```text
//! cargo run -p lessons --example ring-or-pipe
//! cargo run --release -p lessons --example ring-or-pipe
//! ```
//!
//! predict: which system calls does a message of 8 bytes cost in a pipe, and which in a ring?

#![forbid(unsafe_code)]

use std::io::{Read as _, Write as _, pipe};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::ring::{Received, Receiver, Sender, WORDS, open_or_create};
use lessons::On as _;
use terminal::process::start_child;
use terminal::{Stop, Terminal, data, run_without_args, say};

const MESSAGES: u64 = 1_000_000;
const SECOND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    run_without_args(|terminal| {
        through_ring(terminal, "ring, indices 64 bytes apart", false)?;
        through_ring(terminal, "ring, indices in one cache line", true)?;

        // pipe(2), read(2) and write(2): the kernel copies each message in, and out.
        let (mut reader, mut writer) = pipe().on("pipe", "for messages")?;
        let send = |_: &mut Terminal, it: &_| Ok(writer.write_all(it).on("write", "the pipe")?);
        let receive = |_: &mut Terminal, it: &mut Vec<u8>| {
            it.resize(8, 0);
            Ok(reader.read_exact(it).on("read", "the pipe")?)
        };
        compare(terminal, "pipe", send, receive)
    })
}

fn through_ring(terminal: &mut Terminal, name: &str, packed: bool) -> Result<(), Stop> {
    let path = format!("/dev/shm/ring-or-pipe-{}", std::process::id());
    let open = || open_or_create::<WORDS>(path.as_ref(), 0o600, packed);
    let mut sender = Sender::<WORDS>::claim(open()?)?;
    let mut receiver = Receiver::<WORDS>::claim(open()?)?;
    std::fs::remove_file(&path).on("unlink", &path)?;
    let send = |terminal: &mut Terminal, it: &_| {
        while !sender.send(it)? {
            terminal.asleep(|flag| sender.wait(flag, SECOND))?;
        }
        Ok(())
    };
    let receive = |terminal: &mut Terminal, it: &mut _| {
        while receiver.receive(it)? == Received::Empty {
            terminal.asleep(|flag| receiver.wait(flag, SECOND))?;
        }
        receiver.release();
        Ok(())
    };
    compare(terminal, name, send, receive)
}

fn compare(
    terminal: &mut Terminal,
    name: &str,
    mut send: impl FnMut(&mut Terminal, &[u8]) -> Result<(), Stop>,
    mut receive: impl FnMut(&mut Terminal, &mut Vec<u8>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let start = Instant::now();
    let all = |terminal: &mut Terminal| {
        (0..MESSAGES).try_for_each(|number| send(terminal, &number.to_ne_bytes()))
    };
    let child = start_child(terminal, all)?;
    let mut bytes = Vec::new();
    for number in 0..MESSAGES {
        receive(terminal, &mut bytes)?;
        assert_eq!(bytes, number.to_ne_bytes(), "another message than was sent");
    }
    child.wait(terminal)?;
    let each = start.elapsed().as_nanos() / u128::from(MESSAGES);
    say!(terminal, "{name}: {each} ns a message");
    data!(terminal, "{name}: {MESSAGES} messages, all in order")
}
