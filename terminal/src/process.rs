//! fork(2) without `unsafe`, and waiting for children.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::thread;

use common::mapping::must_be_forkable;
use common::proc::is_single_threaded;
use common::process::has_had_threads;
use common::sync::owner::Owner;
use common::{Error, Refusal};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use crate::person::Terminal;
use crate::stop::Stop;

/// Which of the two processes this is, after a fork.
#[derive(Debug)]
#[must_use = "two processes go on from here"]
pub enum Fork {
    /// The new one.
    Child,
    /// The one that called fork, and the child that it has now.
    Parent(Child),
}

/// A forked child that has not been waited for.
///
/// Dropping it kills the child and waits for it, so that an error never leaves one behind. It comes
/// from a fork by this process, and from nowhere else, and it belongs to this process: a copy of it
/// that a later fork makes does nothing.
///
/// No number becomes one: -1 would be everybody.
///
/// ```compile_fail,E0451
/// use nix::unistd::Pid;
/// use terminal::process::Child;
///
/// fn adopt(mut child: Child) {
///     let everybody = Child { pid: Pid::from_raw(-1), ..child };
/// }
/// ```
#[derive(Debug)]
#[must_use = "a child that is dropped is killed"]
pub struct Child {
    pid: Pid,
    /// The process that it belongs to. Not its id, which a child in a PID namespace of its own may have too.
    parent: Owner,
    /// How it ended, once it has been waited for. Its id may be another child's from then on.
    ended: Option<WaitStatus>,
}

/// Makes two processes of one: fork(2).
///
/// The child inherits every attachment and mapping of the parent, and a copy of everything else, so it
/// returns from here into a copy of all the parent's functions. When it is done, it must not go on in
/// them: [`process::exit`] ends it.
///
/// # Errors
///
/// `EAGAIN` at the limit of processes, `ENOMEM`; refused if this process has more than one thread, or has had, and if
/// it has what would not be copied, of which another crate may believe that it has it alone:
/// [`must_be_forkable`]. What else other crates may believe of a fork, [`common::shared`] says.
pub fn fork() -> Result<Fork, Error> {
    // From the first call on, forks are counted.
    let parent = Owner::current();
    if !is_single_threaded() {
        let refusal = Refusal::Other("it has more than one thread".into());
        return Err(Error::refused("fork", "this process", refusal));
    }
    must_be_forkable()?;
    // The handle of a thread that has ended, and that nobody has joined, would mean memory in the child that the C
    // library there takes for free: it gives it to the next thread, or unmaps it. Asked last, since whatever
    // allocates may run code of the program.
    if has_had_threads() {
        let refusal = Refusal::Other("it has had more than one thread".into());
        return Err(Error::refused("fork", "this process", refusal));
    }
    // SAFETY: after a fork of a process with several threads the child may only make
    // async-signal-safe calls, because another thread may have held a lock. This process has a
    // single thread, the one that asks, and there has never been another. All memory is copied, but for what
    // `common` shares, where everybody keeps to atomics; and the kernel keeps no addresses for a crate that would
    // take the child's for its own.
    match unsafe { nix::unistd::fork() } {
        Ok(ForkResult::Child) => Ok(Fork::Child),
        Ok(ForkResult::Parent { child }) => {
            Ok(Fork::Parent(Child { pid: child, parent, ended: None }))
        }
        Err(errno) => Err(Error::new("fork", "this process", errno)),
    }
}

/// Runs `work` in a child, which then exits with the status that [`Terminal::conclude`] gives:
/// [`fork`].
///
/// # Errors
///
/// Those of [`fork`].
pub fn start_child(
    terminal: &mut Terminal,
    work: impl FnOnce(&mut Terminal) -> Result<(), Stop>,
) -> Result<Child, Error> {
    match fork()? {
        Fork::Parent(child) => Ok(child),
        Fork::Child => {
            let status = catch_unwind(AssertUnwindSafe(|| {
                let ended = work(terminal);
                terminal.conclude(ended)
            }));
            process::exit(status_after(status, Into::into));
        }
    }
}

/// The exit status of a child whose work has been done, or has panicked: then 101, as Rust's own main has it.
pub(crate) fn status_after<T>(ended: thread::Result<T>, status: impl FnOnce(T) -> i32) -> i32 {
    match ended {
        Ok(done) => status(done),
        Err(payload) => {
            // Dropping it may panic a second time, and that would go on in the parent's functions.
            let _never_dropped = ManuallyDrop::new(payload);
            101
        }
    }
}

impl Child {
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
        let ended = match self.ended {
            Some(ended) => ended,
            None => terminal.wait_for(self.pid)?,
        };
        self.ended = Some(ended);
        Ok(self.verdict(ended)?)
    }

    /// Whether the child still runs: waitpid(2) with `WNOHANG`.
    ///
    /// # Errors
    ///
    /// Refused if it has ended otherwise than with status 0; those of waitpid(2).
    pub fn is_running(&mut self) -> Result<bool, Error> {
        let looked = match self.ended {
            Some(ended) => Ok(ended),
            None => waitpid(self.pid, Some(WaitPidFlag::WNOHANG)),
        };
        match looked {
            Ok(ended @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..))) => {
                self.ended = Some(ended);
                self.verdict(ended).map(|()| false)
            }
            // A debugger may have stopped it.
            Ok(_) => Ok(true),
            Err(errno) => Err(Error::new("waitpid", format_args!("child {}", self.pid), errno)),
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
        Err(Error::refused("waitpid", object, Refusal::Other(reason)))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Somebody else may have waited for it, and then its id is a stranger's.
        if self.parent.is_current() && matches!(self.is_running(), Ok(true)) {
            let _ = kill(self.pid, Signal::SIGKILL);
            while waitpid(self.pid, None) == Err(Errno::EINTR) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_s_payload_does_not_panic_again() {
        struct Again;
        impl Drop for Again {
            fn drop(&mut self) {
                panic!("a second time");
            }
        }
        let ended = catch_unwind(|| std::panic::panic_any(Again));
        assert_eq!(status_after(ended, |()| 0), 101);
        assert_eq!(status_after(Ok(3_u8), Into::into), 3);
    }

    #[test]
    fn a_process_with_threads_does_not_fork() {
        // libtest runs each test in a thread of its own.
        let error = fork().expect_err("more than one thread");
        assert_eq!(error.refusal(), Some(&Refusal::Other("it has more than one thread".into())));
    }
}
