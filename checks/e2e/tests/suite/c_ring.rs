//! C at either end of the ring of ring-send and ring-receive.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{DEADLINE, example};

use crate::c_partner::peers;

struct Half(Child);

impl Half {
    fn start(mut program: Command, ring: &Path, stdin: Stdio, stdout: Stdio) -> Self {
        program.arg(ring).stdin(stdin).stdout(stdout).stderr(Stdio::null());
        Self(program.spawn().expect("it starts"))
    }

    fn finish_well(mut self) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.0.try_wait().expect("our child") {
                return assert!(status.success(), "{status}");
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Carries bytes from `sender` to `receiver`, whichever is started first.
fn carry(sender: fn() -> Command, receiver: fn() -> Command) {
    let directory = tempfile::tempdir().expect("a directory");
    let [ring, input, output] = ["ring", "in", "out"].map(|it| directory.path().join(it));
    for (number, length) in [0, 1, 5, 4096, 70_001, 1_000_003].into_iter().enumerate() {
        let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(length).collect();
        fs::write(&input, &bytes).expect("a file");
        let stdin = || File::open(&input).expect("the file").into();
        let stdout = || File::create(&output).expect("a file").into();
        let send = || Half::start(sender(), &ring, stdin(), Stdio::null());
        let receive = || Half::start(receiver(), &ring, Stdio::null(), stdout());
        // Who comes first makes the ring, if there is none. What both do at once is a third order.
        let (sending, receiving) = if number % 2 == 0 {
            let sending = send();
            (sending, receive())
        } else {
            let receiving = receive();
            (send(), receiving)
        };
        sending.finish_well();
        receiving.finish_well();
        assert!(fs::read(&output).expect("the output") == bytes, "{length} bytes");
    }
    let left = fs::read_dir(directory.path()).expect("the directory").count();
    assert_eq!(left, 3, "a ring, what was sent and what was received");
}

fn c(name: &str) -> Command {
    Command::new(peers().expect("a C compiler").join(name))
}

#[test]
fn ring_from_c_to_rust() {
    if peers().is_some() {
        carry(|| c("ring_send"), || example("ring-receive"));
    }
}

#[test]
fn ring_from_rust_to_c() {
    if peers().is_some() {
        carry(|| example("ring-send"), || c("ring_receive"));
    }
}

#[test]
fn ring_from_c_to_c() {
    if peers().is_some() {
        carry(|| c("ring_send"), || c("ring_receive"));
    }
}
