//! `fork` without `unsafe`, for programs whose lesson is not the fork itself.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use crate::cli::{Stop, Terminal};
use crate::error::Error;

/// A forked child that has not been waited for.
///
/// Dropping it kills the child and waits for it, so that an error never leaves one behind.
#[derive(Debug)]
#[must_use = "a child that is dropped is killed"]
pub struct Child {
    pid: Pid,
    reaped: bool,
}

/// Runs `child` in a copy of this process: fork(2).
///
/// The child inherits every attachment and mapping of the parent. When `child` returns, the copy
/// exits at once, with the status that [`Terminal::conclude`] gives: the guards in the parent's
/// frames are copies too, and the kernel cleans up after them.
///
/// # Errors
///
/// `EAGAIN` at the limit of processes, `ENOMEM`; refused if this process has more than one thread.
pub fn fork(
    terminal: &mut Terminal,
    child: impl FnOnce(&mut Terminal) -> Result<(), Stop>,
) -> Result<Child, Error> {
    let threads = fs::read_dir("/proc/self/task").map(Iterator::count);
    if !matches!(threads, Ok(1)) {
        let help = "fork before starting threads";
        return Err(Error::refused("fork", "this process", "it has more than one thread", help));
    }
    // SAFETY: after a fork of a process with several threads the child may only make
    // async-signal-safe calls, because another thread may have held a lock. This process has a
    // single thread, the one that asks, so there is nobody who could start another in between.
    let forked = unsafe { nix::unistd::fork() };
    match forked {
        Ok(ForkResult::Child) => {
            let status = catch_unwind(AssertUnwindSafe(|| {
                let ended = child(terminal);
                terminal.conclude(ended)
            }));
            // 101 is what Rust's own main exits with after a panic.
            process::exit(status.unwrap_or(101).into());
        }
        Ok(ForkResult::Parent { child }) => Ok(Child::adopt(child)),
        Err(errno) => Err(fork_failed(errno)),
    }
}

/// The error of a fork(2) that failed with `errno`.
#[must_use]
pub fn fork_failed(errno: Errno) -> Error {
    let help = "the limit of processes is reached: `ulimit -u` shows it";
    Error::new("fork", "this process", errno, help)
}

/// The error of a waitpid(2) for the child `pid` that failed with `errno`.
pub(crate) fn waitpid_failed(pid: Pid, errno: Errno) -> Error {
    Error::new("waitpid", format_args!("child {pid}"), errno, "see waitpid(2)")
}

impl Child {
    /// Takes charge of the child `pid`, which this process has forked by itself.
    pub fn adopt(pid: Pid) -> Self {
        Self { pid, reaped: false }
    }

    /// The child's process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until the child has ended: waitpid(2).
    ///
    /// # Errors
    ///
    /// [`Stop::Signal`] as soon as a signal asks this process to end, whereupon the child is
    /// killed; refused if the child did not exit with status 0.
    pub fn wait(mut self, terminal: &mut Terminal) -> Result<(), Stop> {
        let ended = terminal.wait_for(self.pid)?;
        self.reaped = true;
        Ok(self.verdict(ended)?)
    }

    /// Whether the child still runs: waitpid(2) with `WNOHANG`.
    ///
    /// # Errors
    ///
    /// Refused if it has ended otherwise than with status 0; those of waitpid(2).
    pub fn is_running(&mut self) -> Result<bool, Error> {
        match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => Ok(true),
            Ok(ended) => {
                self.reaped = true;
                self.verdict(ended).map(|()| false)
            }
            Err(errno) => Err(waitpid_failed(self.pid, errno)),
        }
    }

    fn verdict(&self, ended: WaitStatus) -> Result<(), Error> {
        let reason = match ended {
            WaitStatus::Exited(_, 0) => return Ok(()),
            WaitStatus::Exited(_, status) => format!("it exited with status {status}"),
            WaitStatus::Signaled(_, signal, _) => format!("{signal} ended it"),
            other => format!("{other:?}"),
        };
        let object = format_args!("child {}", self.pid);
        let help = "what it wrote to stderr, if anything, says why";
        Err(Error::refused("waitpid", object, reason, help))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = kill(self.pid, Signal::SIGKILL);
            while waitpid(self.pid, None) == Err(Errno::EINTR) {}
        }
    }
}
