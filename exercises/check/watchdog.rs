//! An end for checks that never come to one.

use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// How to clean up in this process. What a watchdog ends runs no destructors.
static CLEANERS: Mutex<Vec<Box<dyn Fn() + Send>>> = Mutex::new(Vec::new());

/// Notes what is to be done if a watchdog bites, maybe long after there was anything to do.
///
/// For what outlives all processes, and can't be marked for removal at once, such as a semaphore set.
pub fn at_the_bite(clean: impl Fn() + Send + 'static) {
    CLEANERS.lock().unwrap_or_else(|it| it.into_inner()).push(Box::new(clean));
}

/// Ends the whole test program with `message`, unless what this returns is dropped within `seconds`.
///
/// It is for code that hangs, and judges nothing else: let it have many times what a busy machine needs.
#[must_use = "dropped at once, it watches nothing"]
pub fn watchdog(seconds: u64, message: &'static str) -> impl Drop {
    let (sender, receiver) = mpsc::channel::<()>();
    thread::spawn(move || {
        if receiver.recv_timeout(Duration::from_secs(seconds)) == Err(RecvTimeoutError::Timeout) {
            // Not `eprintln`: the harness keeps that until the end of a test, and this one has none.
            print(&format!("\nStopped after {seconds} s: {message}\n"));
            for clean in CLEANERS.lock().unwrap_or_else(|it| it.into_inner()).iter() {
                clean();
            }
            std::process::exit(124);
        }
    });
    Dog { _ends_the_wait: sender }
}

struct Dog {
    _ends_the_wait: Sender<()>,
}

impl Drop for Dog {
    fn drop(&mut self) {}
}

/// Writes to standard error: write(2), without a buffer and past the harness.
pub(crate) fn print(text: &str) {
    let _ = nix::unistd::write(std::io::stderr(), text.as_bytes());
}
