//! What the tests need to run the real programs: binaries, deadlines, keys of their own.
//!
//! Nothing here sleeps and hopes: a test waits for a line that the program prints, and fails with
//! all that was printed if the line does not come in time.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use common::sysv::{Key, Segment};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything may take before the test gives up on it: long, because a busy machine is not
/// an error.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The folder of the workspace.
///
/// # Panics
///
/// Never: the package lies in a folder of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder").to_owned()
}

/// A command that runs the program `name` of this workspace, which is built first if it must be.
///
/// `cargo test` builds no plain binaries of other packages, so the first call has cargo build them
/// all.
///
/// # Panics
///
/// If the workspace does not build or has no such program.
#[must_use]
pub fn program(name: &str) -> Command {
    static BUILT: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let manifest = workspace().join("Cargo.toml");
        let build =
            escargot::CargoBuild::new().manifest_path(manifest).args(["--workspace", "--bins"]);
        let build = if cfg!(debug_assertions) { build } else { build.release() };
        let mut programs = HashMap::new();
        for message in build.exec().expect("cargo starts") {
            let message = message.expect("the workspace builds");
            if let escargot::format::Message::CompilerArtifact(artifact) =
                message.decode().expect("cargo's messages")
                && let Some(path) = artifact.executable
            {
                programs.insert(artifact.target.name.into_owned(), path.into_owned());
            }
        }
        programs
    });
    let path = built.get(name).unwrap_or_else(|| panic!("no program {name} among {built:?}"));
    let mut command = Command::new(path);
    // A panic's backtrace would only be in the way, and must not appear anyhow.
    command.env("RUST_BACKTRACE", "0");
    command
}

/// Runs `program` with `args` to its end, with nothing on stdin.
///
/// # Panics
///
/// If it does not end before the [`DEADLINE`].
pub fn run<S: AsRef<OsStr>>(program_name: &str, args: impl IntoIterator<Item = S>) -> Outcome {
    Running::start(program(program_name).args(args)).finish()
}

/// Starts `program` with `args`.
///
/// # Panics
///
/// If it cannot be started.
pub fn start<S: AsRef<OsStr>>(program_name: &str, args: impl IntoIterator<Item = S>) -> Running {
    Running::start(program(program_name).args(args))
}

/// A process that runs; dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Running {
    /// Starts `command` and collects what it prints.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Lines::of(child.stdout.take().expect("piped"));
        let stderr = Lines::of(child.stderr.take().expect("piped"));
        Self { child, stdout, stderr }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Waits for a line on stdout that contains `needle`, and returns the line. Lines before it
    /// count as read: the next wait begins after it.
    ///
    /// # Panics
    ///
    /// If the line does not come before the [`DEADLINE`].
    pub fn wait_stdout(&mut self, needle: &str) -> String {
        self.stdout.wait(needle).unwrap_or_else(|why| self.give_up("stdout", needle, why))
    }

    /// Waits for a line on stderr that contains `needle`, and returns the line.
    ///
    /// # Panics
    ///
    /// If the line does not come before the [`DEADLINE`].
    pub fn wait_stderr(&mut self, needle: &str) -> String {
        self.stderr.wait(needle).unwrap_or_else(|why| self.give_up("stderr", needle, why))
    }

    fn give_up(&mut self, stream: &str, needle: &str, why: RecvTimeoutError) -> ! {
        let _ = self.child.kill();
        let status = self.child.wait();
        let (stdout, stderr) = (self.stdout.rest(), self.stderr.rest());
        panic!(
            "no {needle:?} on {stream} ({why}), {status:?}\nstdout:\n{stdout}\nstderr:\n{stderr}"
        )
    }

    /// Sends the process a signal.
    ///
    /// # Panics
    ///
    /// If the process has been waited for.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process is there");
    }

    /// Waits until the process has ended, and returns all that it printed from the beginning on.
    ///
    /// # Panics
    ///
    /// If it does not end before the [`DEADLINE`].
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                let (stdout, stderr) = (self.stdout.rest(), self.stderr.rest());
                return Outcome { status, stdout, stderr };
            }
            if Instant::now() > deadline {
                self.give_up("exit", "", RecvTimeoutError::Timeout);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has printed so far, line by line.
#[derive(Debug)]
struct Lines {
    coming: Receiver<String>,
    seen: String,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, coming) = mpsc::channel();
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Self { coming, seen: String::new() }
    }

    fn wait(&mut self, needle: &str) -> Result<String, RecvTimeoutError> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let line =
                self.coming.recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
            self.seen.push_str(&line);
            if line.contains(needle) {
                return Ok(line.trim_end().to_owned());
            }
        }
    }

    /// All of it, up to the end of the stream.
    fn rest(&mut self) -> String {
        while let Ok(line) = self.coming.recv_timeout(DEADLINE) {
            self.seen.push_str(&line);
        }
        std::mem::take(&mut self.seen)
    }
}

/// How a process ended, and what it printed.
#[derive(Debug)]
pub struct Outcome {
    /// The exit status or the signal.
    pub status: ExitStatus,
    /// All of stdout; what is not UTF-8 is replaced.
    pub stdout: String,
    /// All of stderr; what is not UTF-8 is replaced.
    pub stderr: String,
}

impl Outcome {
    /// The outcome itself, if the process exited with `status`.
    ///
    /// # Panics
    ///
    /// If it did not, with all that it printed.
    #[track_caller]
    #[must_use]
    pub fn exited(self, status: i32) -> Self {
        assert_eq!(self.status.code(), Some(status), "{self:#?}");
        self
    }
}

/// A System V key that no other test and no person uses, as an argument; whatever segment it names
/// at the end of the test is removed, however the test ends.
#[derive(Debug)]
pub struct TestKey(i32);

impl TestKey {
    /// A key without a segment.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        static NEXT: AtomicI32 = AtomicI32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let key =
                0x5e00_0000 | ((std::process::id().cast_signed() & 0xfff) << 12) | (number & 0xfff);
            if Segment::open(Key::Number(key), 0)
                .is_err_and(|it| it.errno() == Some(nix::errno::Errno::ENOENT))
            {
                return Self(key);
            }
        }
    }

    /// The key for `common`.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::Number(self.0)
    }

    /// The key for a command line.
    #[must_use]
    pub fn arg(&self) -> String {
        self.0.to_string()
    }

    /// The segment under the key, if there is one and it is a record's size.
    #[must_use]
    pub fn segment(&self) -> Option<Segment> {
        Segment::open(self.key(), size_of::<common::ConnStat>()).ok()
    }
}

impl Drop for TestKey {
    fn drop(&mut self) {
        // Whatever its size: the error of a segment of another size names its id, so ask for all.
        if let Ok(list) = std::fs::read_to_string("/proc/sysvipc/shm") {
            for line in list.lines().skip(1) {
                let mut fields = line.split_whitespace();
                let key: Option<i32> = fields.next().and_then(|it| it.parse().ok());
                let id: Option<i32> = fields.next().and_then(|it| it.parse().ok());
                if let (Some(key), Some(id)) = (key, id)
                    && key == self.0
                {
                    remove(id);
                }
            }
        }
    }
}

/// Removes the segment `id`, whatever its size, if it is there.
pub fn remove(id: i32) {
    let size = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let size = size.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        (*fields.get(1)? == id.to_string()).then(|| fields.get(3)?.parse().ok()).flatten()
    });
    if let Some(segment) = size.and_then(|size| Segment::from_id(id, size).ok()) {
        let _ = segment.remove();
    }
}
