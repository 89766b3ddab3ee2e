//! A writer and a reader of this project, started to be looked at.

use std::io;
use std::process::{self, Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use common::error::errno_of;
use common::sysv::{Key, Segment};
use common::{Error, Refusal};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use terminal::{Stop, Terminal};

const WRITER: &str = "shm-sysv-writer";
const READER: &str = "shm-sysv-reader";

/// How long the pair may take to start, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The two processes, and the key of their segment, which nobody else uses.
///
/// Dropping it ends them. Should this process be killed, the pipes that they print to close: then the
/// reader ends and removes the segment, as after `| head -1`.
#[derive(Debug)]
pub(crate) struct Demo {
    key: i32,
    children: Vec<Child>,
}

impl Demo {
    /// Starts both, the writer first.
    pub(crate) fn start(terminal: &mut Terminal) -> Result<Self, Stop> {
        let mut demo = Self { key: free_key(), children: Vec::new() };
        demo.spawn(WRITER, &["--exclusive", "--interval", "500ms"])?;
        let key = demo.key();
        // The reader would make the segment if there were none.
        terminal.wait_until(PATIENCE, || Segment::find(key).is_ok())?;
        demo.spawn(READER, &["--interval", "1s"])?;
        Ok(demo)
    }

    fn spawn(&mut self, program: &'static str, args: &[&str]) -> Result<(), Stop> {
        let failed = |error: &io::Error| Error::new("execve", program, errno_of(error));
        let own = std::env::current_exe().map_err(|error| failed(&error))?;
        let mut command = Command::new(own.with_file_name(program));
        command.args(["--key", &format!("0x{:x}", self.key), "-n", "4294967295"]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            let help = format!("build it first: cargo build -p {WRITER} -p {READER}");
            Stop::because(failed(&error), help)
        })?;
        // What they print is not shown, but it must go somewhere.
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        thread::spawn(move || stdout.map(|mut it| io::copy(&mut it, &mut io::sink())));
        thread::spawn(move || stderr.map(|mut it| io::copy(&mut it, &mut io::sink())));
        self.children.push(child);
        Ok(())
    }

    pub(crate) fn key(&self) -> Key {
        Key::Number(self.key)
    }

    /// Waits for those that have ended, so that everybody may know how.
    pub(crate) fn reap(&mut self) {
        for child in &mut self.children {
            let _ = child.try_wait();
        }
    }

    /// Ends both, the reader first, which removes the segment; and waits for them.
    pub(crate) fn end(mut self, terminal: &mut Terminal) -> Result<(), Stop> {
        // Also if the pause is cut short, dropping it ends what is left.
        for child in self.children.iter_mut().rev() {
            ask_to_end(child);
            let mut tries = 0..200;
            while child.try_wait().is_ok_and(|it| it.is_none()) && tries.next().is_some() {
                terminal.pause(Duration::from_millis(5))?;
            }
        }
        Ok(())
    }
}

fn ask_to_end(child: &mut Child) {
    // Not waited for yet, so the pid is still this child's.
    if child.try_wait().is_ok_and(|it| it.is_none()) {
        let pid = Pid::from_raw(child.id().cast_signed());
        let _ = kill(pid, Signal::SIGTERM);
        // One that is stopped would not hear it.
        let _ = kill(pid, Signal::SIGCONT);
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            ask_to_end(child);
        }
        for child in &mut self.children {
            let mut tries = 0..400;
            while child.try_wait().is_ok_and(|it| it.is_none()) && tries.next().is_some() {
                thread::sleep(Duration::from_millis(5));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        // The reader has done it, unless somebody killed it.
        if let Ok(segment) = Segment::find(self.key()) {
            let _ = segment.remove();
        }
    }
}

/// A key without a segment. Should somebody take it in the meantime, the writer says so (IPC_EXCL).
fn free_key() -> i32 {
    let first = 0x6400_0000 | (process::id().cast_signed() & 0xffff) << 8;
    let is_free = |key: &i32| {
        Segment::find(Key::Number(*key)).is_err_and(|it| it.errno() == Some(Errno::ENOENT))
    };
    (first..first + 0xff).find(is_free).unwrap_or(first)
}

/// What to say if the two are not there in time.
pub(crate) fn too_late() -> Stop {
    let refusal = Refusal::Other("the writer and the reader are not there in time".into());
    let help = format!("try them alone: cargo run -p {WRITER}");
    Stop::because(Error::refused("--demo", "the pair", refusal), help)
}
