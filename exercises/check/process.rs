//! This test program, started once more to play a part.

use std::env;
use std::fmt;
use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, getppid};

/// The part that this process plays; empty in the test itself.
#[must_use]
pub fn role() -> String {
    env::var("LAB_ROLE").unwrap_or_default()
}

/// What the test has passed to this process under `name`.
///
/// # Panics
///
/// If it has passed nothing.
#[must_use]
pub fn argument(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("the test has passed no {name}"))
}

/// The descriptor that the test has given to this process: see [`Process::start_with`].
///
/// # Panics
///
/// If there is no room for one more descriptor.
#[must_use]
pub fn given() -> OwnedFd {
    std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor")
}

/// Stops this process until the test lets it go on: SIGSTOP.
///
/// # Panics
///
/// Never: nobody can ignore this signal.
pub fn stop_here() {
    raise(Signal::SIGSTOP).expect("stopped");
}

/// How a process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It has exited with this status: 0 if all went well, 101 after a panic.
    Exited(i32),
    /// A signal has killed it.
    Killed(Signal),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(0) => write!(f, "it ended well"),
            Self::Exited(101) => write!(f, "it has panicked"),
            Self::Exited(status) => write!(f, "it exited with status {status}"),
            Self::Killed(signal) => write!(f, "it was killed by {signal}"),
        }
    }
}

impl std::error::Error for Ended {}

/// A process that plays a part. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    pub(crate) pid: Pid,
    /// The thread that is traced, from its first step on.
    pub(crate) traced: Option<Pid>,
    pub(crate) ended: Option<Ended>,
}

impl Process {
    /// Starts a process that plays `role`: it runs the test `tests::role`, which finds the arguments
    /// with [`argument`].
    pub fn start(role: &str, arguments: &[(&str, &str)]) -> Self {
        Self::run(role, arguments, Stdio::null())
    }

    /// The same, and gives it a descriptor, which it finds with [`given`].
    pub fn start_with(role: &str, arguments: &[(&str, &str)], descriptor: OwnedFd) -> Self {
        Self::run(role, arguments, descriptor.into())
    }

    #[expect(clippy::zombie_processes, reason = "`Drop` waits for it")]
    fn run(role: &str, arguments: &[(&str, &str)], stdin: Stdio) -> Self {
        let parent = getpid();
        // A process of its own, and no fork: after a fork in a process of many threads, the child may
        // do next to nothing. The same file, so it can't be an old one.
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.args(["--exact", "tests::role", "--nocapture", "--test-threads=1"]);
        command.env("LAB_ROLE", role).envs(arguments.iter().copied());
        command.stdin(stdin).stdout(Stdio::null());
        let end_with_parent = move || {
            set_pdeathsig(Signal::SIGKILL)?;
            // It may have ended before the call.
            if getppid() == parent { Ok(()) } else { Err(std::io::ErrorKind::NotFound.into()) }
        };
        // SAFETY: prctl(2) and getppid(2) are async-signal-safe, and nothing is allocated.
        unsafe { command.pre_exec(end_with_parent) };
        let child = command.spawn().expect("this program starts");
        Self { pid: Pid::from_raw(child.id().cast_signed()), traced: None, ended: None }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until it stops at [`stop_here`].
    ///
    /// # Errors
    ///
    /// How it has ended instead.
    pub fn until_stopped(&mut self) -> Result<(), Ended> {
        match self.wait(WaitPidFlag::WUNTRACED) {
            Some(ended) => Err(ended),
            None => Ok(()),
        }
    }

    /// Lets it go on after a stop: SIGCONT.
    ///
    /// # Panics
    ///
    /// If it has been waited for.
    pub fn go_on(&self) {
        kill(self.pid, Signal::SIGCONT).expect("it is there");
    }

    /// Waits until it has ended.
    pub fn end(&mut self) -> Ended {
        loop {
            if let Some(ended) = self.wait(WaitPidFlag::empty()) {
                return ended;
            }
        }
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let _ = kill(self.pid, Signal::SIGKILL);
        // A traced thread must be waited for before its process. Before the first step nobody but itself
        // knows which one that is.
        while self.wait(WaitPidFlag::WNOHANG).is_none() {
            let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten();
            for task in tasks.flatten() {
                let Ok(thread) = task.file_name().to_string_lossy().parse() else { continue };
                if thread != self.pid.as_raw() {
                    let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
                    let _ = waitpid(Pid::from_raw(thread), Some(flags));
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.traced = None;
    }

    fn wait(&mut self, flags: WaitPidFlag) -> Option<Ended> {
        if self.ended.is_none() {
            self.ended = match waitpid(self.pid, Some(flags)).expect("a child") {
                WaitStatus::Exited(_, status) => Some(Ended::Exited(status)),
                WaitStatus::Signaled(_, signal, _) => Some(Ended::Killed(signal)),
                _ => None,
            };
        }
        self.ended
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
