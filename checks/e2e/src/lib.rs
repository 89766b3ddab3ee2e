//! What the tests need to run the real programs: binaries, deadlines, keys of their own.
//!
//! Nothing here sleeps and hopes: a test waits for a line that the program prints, and fails with
//! all that was printed if the line does not come in time.

pub mod forking;
pub mod screen;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError as Silence};
use std::sync::{Once, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use common::proc::Listed;
use common::sysv::{Key, Segment};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::Pid;

/// How long anything may take before the test gives up on it: long, because a busy machine is not
/// an error.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The directory of the workspace.
///
/// # Panics
///
/// Never: the package lies in a directory of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a directory").to_owned()
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
    static BUILT: OnceLock<Programs> = OnceLock::new();
    command(BUILT.get_or_init(|| build(&["--workspace", "--bins"])), name)
}

/// A command that runs the example `name` of the package lessons, built as for [`program`].
///
/// # Panics
///
/// If the examples do not build or `name` is none of them.
#[must_use]
pub fn example(name: &str) -> Command {
    static BUILT: OnceLock<Programs> = OnceLock::new();
    command(BUILT.get_or_init(|| build(&["-p", "lessons", "--examples"])), name)
}

/// The paths of built programs, by their names.
type Programs = HashMap<String, PathBuf>;

fn build(what: &[&str]) -> Programs {
    let manifest = workspace().join("Cargo.toml");
    let build = escargot::CargoBuild::new().manifest_path(manifest).args(what);
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
}

fn command(built: &Programs, name: &str) -> Command {
    let path = built.get(name).unwrap_or_else(|| panic!("no program {name} among {built:?}"));
    let mut command = Command::new(path);
    // A panic's backtrace would only be in the way, and must not appear anyhow.
    command.env("RUST_BACKTRACE", "0");
    command
}

/// Compiles `NAME.c` of checks/e2e/peers into `directory`, and returns the program; `None`, after a message,
/// without a C compiler, which is a failure where the environment variable `CI` is set.
///
/// # Panics
///
/// If it does not compile without a warning.
#[must_use]
pub fn peer(name: &str, directory: &Path) -> Option<PathBuf> {
    static COMPILED: AtomicI32 = AtomicI32::new(0);
    if Command::new("cc").arg("--version").output().is_err() {
        skip_without("cc", &format!("what needs {name}.c"));
        return None;
    }
    std::fs::create_dir_all(directory).expect("a directory for the C programs");
    let source = workspace().join("checks/e2e/peers").join(name).with_extension("c");
    // Under another name first: another test may be using the program.
    let number = COMPILED.fetch_add(1, Ordering::Relaxed);
    let unfinished = directory.join(format!("{name}.{}.{number}", std::process::id()));
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-o"]).arg(&unfinished).arg(source);
    // Before version 2.34 of glibc, shm_open is in a library of its own.
    let _ = Running::start(cc.arg("-lrt")).finish().exited(0);
    let program = directory.join(name);
    std::fs::rename(&unfinished, &program).expect("the C program");
    Some(program)
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
    segments_before: Vec<i32>,
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
        heed_sigint();
        let segments_before = segments().iter().map(|it| it.id).collect();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Lines::of(child.stdout.take().expect("piped"));
        let stderr = Lines::of(child.stderr.take().expect("piped"));
        Self { segments_before, child, stdout, stderr }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// The segments that the process creates.
    #[must_use]
    pub fn created(&self) -> CreatedBy {
        CreatedBy { pid: self.pid(), before: self.segments_before.clone() }
    }

    /// Waits for a line on stdout that contains `needle`, and returns the line. Lines before it
    /// count as read: the next wait begins after it.
    ///
    /// # Panics
    ///
    /// If the line does not come before the [`DEADLINE`].
    #[track_caller]
    pub fn wait_stdout(&mut self, needle: &str) -> String {
        match self.stdout.wait(needle) {
            Ok(line) => line,
            Err(why) => self.give_up("stdout", &format!("{needle:?}"), why),
        }
    }

    /// Waits for a line on stderr that contains `needle`, and returns the line.
    ///
    /// # Panics
    ///
    /// If the line does not come before the [`DEADLINE`].
    #[track_caller]
    pub fn wait_stderr(&mut self, needle: &str) -> String {
        match self.stderr.wait(needle) {
            Ok(line) => line,
            Err(why) => self.give_up("stderr", &format!("{needle:?}"), why),
        }
    }

    #[track_caller]
    fn give_up(&mut self, stream: &str, needle: &str, why: Silence) -> ! {
        let _ = self.child.kill();
        let status = self.child.wait();
        // A moment for what is still in the pipes; a child of the process may hold them open.
        let soon = Instant::now() + Duration::from_secs(1);
        let _ = self.stdout.read_to_end(soon);
        let _ = self.stderr.read_to_end(soon);
        let (stdout, stderr) = (&self.stdout.seen, &self.stderr.seen);
        panic!("no {needle} on {stream}: {why:?}; {status:?}\nstdout:\n{stdout}\nstderr:\n{stderr}")
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
    /// If it does not end before the [`DEADLINE`], or leaves a child that holds on to its output.
    #[must_use]
    #[track_caller]
    pub fn finish(self) -> Outcome {
        self.finish_within(DEADLINE)
    }

    /// As [`Running::finish`], for what takes long by itself.
    ///
    /// # Panics
    ///
    /// As [`Running::finish`], with `patience` as the deadline.
    #[must_use]
    #[track_caller]
    pub fn finish_within(mut self, patience: Duration) -> Outcome {
        let deadline = Instant::now() + patience;
        if let Err(why) = self.stdout.read_to_end(deadline) {
            self.give_up("stdout", "end", why);
        }
        if let Err(why) = self.stderr.read_to_end(deadline) {
            self.give_up("stderr", "end", why);
        }
        // With its output at an end the process is too, or will be in a moment.
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("our child") {
                let stdout = std::mem::take(&mut self.stdout.seen);
                let stderr = std::mem::take(&mut self.stderr.seen);
                return Outcome { pid: self.pid(), status, stdout, stderr };
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.give_up("exit", "status", Silence::Timeout)
    }
}

/// Has what the tests start heed SIGINT, also where a script has put the tests into the background:
/// its shell ignores SIGINT for them, and a process hands that on.
fn heed_sigint() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: the default action runs none of our code.
        let before = unsafe { sigaction(Signal::SIGINT, &default) };
        before.expect("SIGINT has a default action");
    });
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

    /// The next line that contains `needle`.
    fn wait(&mut self, needle: &str) -> Result<String, Silence> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let line = self.next(deadline)?;
            if line.contains(needle) {
                return Ok(line.trim_end().to_owned());
            }
        }
    }

    fn read_to_end(&mut self, deadline: Instant) -> Result<(), Silence> {
        loop {
            match self.next(deadline) {
                Ok(_) => {}
                Err(Silence::Disconnected) => return Ok(()),
                Err(Silence::Timeout) => return Err(Silence::Timeout),
            }
        }
    }

    fn next(&mut self, deadline: Instant) -> Result<String, Silence> {
        let line = self.coming.recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
        self.seen.push_str(&line);
        Ok(line)
    }
}

/// How a process ended, and what it printed.
#[derive(Debug)]
pub struct Outcome {
    /// The process id that it had.
    pub pid: Pid,
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

    /// The outcome itself, if `signal` ended the process.
    ///
    /// # Panics
    ///
    /// If it did not, with all that the process printed.
    #[track_caller]
    #[must_use]
    pub fn ended_by(self, signal: Signal) -> Self {
        assert_eq!(self.status.signal(), Some(signal as i32), "{self:#?}");
        self
    }

    /// The exit status as a shell shows it: 128 + n for signal n.
    #[must_use]
    pub fn shell_status(&self) -> Option<i32> {
        self.status.code().or(self.status.signal().map(|it| 128 + it))
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
        segments().iter().filter(|it| it.key == self.0).for_each(remove);
    }
}

/// The segments that a process creates; those that are left are removed when this is dropped.
///
/// For segments that no [`TestKey`] names: private ones, and those with a key from ftok(3).
#[derive(Debug)]
pub struct CreatedBy {
    pid: Pid,
    /// Process ids come round again, so a person's old segment may bear this one too.
    before: Vec<i32>,
}

impl CreatedBy {
    /// The segments that are there now.
    #[must_use]
    pub fn segments(&self) -> Vec<Listed> {
        let is_new = |it: &Listed| it.creator == self.pid.as_raw() && !self.before.contains(&it.id);
        segments().into_iter().filter(is_new).collect()
    }
}

impl Drop for CreatedBy {
    fn drop(&mut self) {
        self.segments().iter().for_each(remove);
    }
}

/// All segments of the system.
///
/// # Panics
///
/// If the kernel does not list them, because a test that looks for what is left would see nothing.
#[must_use]
pub fn segments() -> Vec<Listed> {
    common::proc::segments().expect("the kernel's list of segments")
}

/// Removes a segment, whatever its size, if it is still there.
pub fn remove(listed: &Listed) {
    if let Ok(segment) = Segment::from_id(listed.id) {
        let _ = segment.remove();
    }
}

/// Whether the kernel tells this process in which frame a page lies: /proc/self/pagemap.
#[must_use]
pub fn may_see_frames() -> bool {
    let touched = 1_u8;
    let page = std::ptr::from_ref(&touched).addr() / common::proc::page_size();
    let mut entry = [0; 8];
    let read = File::open("/proc/self/pagemap")
        .and_then(|it| it.read_exact_at(&mut entry, (page * size_of::<u64>()) as u64));
    read.is_ok() && u64::from_ne_bytes(entry) & ((1 << 55) - 1) != 0
}

/// Says on stderr that something can't be tested here, because the kernel, the file system or the rights do
/// not allow it. The caller returns.
pub fn skip(why: &str) {
    // Not with eprintln!, which the test harness holds back when the test passes.
    let _ = io::stderr().write_all(format!("skipped: {why}\n").as_bytes());
}

/// Says on stderr that `what` can't be tested here, because `tool` is not installed. The caller returns.
///
/// # Panics
///
/// If the environment variable `CI` is set: there tools are installed.
pub fn skip_without(tool: &str, what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}: there is no {tool}, and CI is set");
    skip(&format!("{what}: there is no {tool}"));
}
