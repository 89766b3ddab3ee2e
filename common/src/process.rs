//! Another process, held by a descriptor: pidfd_open(2), `PIDFD_GET_INFO`.
//!
//! A pid may be another process's as soon as the first has gone. A descriptor never means another one,
//! and since Linux 6.15 it also says how the process ended, to anybody who had it open before.

use std::fmt;
use std::mem;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use crate::error::{Error, Result};

/// A descriptor of a process. Dropping it closes it, and does nothing to the process.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    fd: OwnedFd,
}

/// How a process ended, as far as a process that is not its parent may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It runs.
    Runs,
    /// It has ended, and its parent has not waited for it yet: nobody else learns how.
    NotWaitedFor,
    /// By exit(3), with this status.
    Exited(i32),
    /// By this signal.
    Killed(Signal),
    /// It has ended; before Linux 6.15 only its parent learns how.
    Unknown,
}

impl fmt::Display for Ending {
    /// What the process did, such as `exited with status 0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs => f.write_str("runs"),
            Self::NotWaitedFor => f.write_str("has ended, and its parent has not waited for it"),
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Killed(signal) => write!(f, "was killed by {signal}"),
            Self::Unknown => f.write_str("has ended"),
        }
    }
}

impl Process {
    /// Gets a descriptor of the process: pidfd_open(2).
    ///
    /// # Errors
    ///
    /// `ESRCH` if there is no such process, `EINVAL` for a number that is no pid, `ENOSYS` before
    /// Linux 5.3, `EMFILE` at the limit of open files.
    pub fn open(pid: i32) -> Result<Self> {
        let failed = |errno| Error::new("pidfd_open", format_args!("pid {pid}"), errno);
        // SAFETY: pidfd_open takes two numbers and touches no memory of ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = Errno::result(fd).map_err(failed)?;
        let fd = i32::try_from(fd).map_err(|_| failed(Errno::EBADF))?;
        // SAFETY: the kernel has just opened it for us, and nobody else knows of it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { pid: Pid::from_raw(pid), fd })
    }

    /// Whether the process runs, and if not, how it ended: poll(2), ioctl(2) `PIDFD_GET_INFO`.
    #[must_use]
    pub fn ending(&self) -> Ending {
        let mut polled = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        // A descriptor of a process is readable once the process has ended.
        if poll(&mut polled, PollTimeout::ZERO) != Ok(1) {
            return Ending::Runs;
        }
        match self.wait_status() {
            Ok(Some(status)) => match WaitStatus::from_raw(self.pid, status) {
                Ok(WaitStatus::Exited(_, status)) => Ending::Exited(status),
                Ok(WaitStatus::Signaled(_, signal, _)) => Ending::Killed(signal),
                _ => Ending::Unknown,
            },
            Ok(None) => Ending::NotWaitedFor,
            Err(_) => Ending::Unknown,
        }
    }

    /// What waitpid(2) gave the parent; `None` if that has not called it.
    fn wait_status(&self) -> nix::Result<Option<i32>> {
        // SAFETY: all fields of `pidfd_info` are numbers, for which zero is valid.
        let mut info: libc::pidfd_info = unsafe { mem::zeroed() };
        info.mask = libc::PIDFD_INFO_EXIT.into();
        // SAFETY: the pointer is to a `pidfd_info` that outlives the call. The number of the call has
        // the size of the struct in it, and the kernel writes no more than that.
        let done = unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
        match Errno::result(done) {
            Ok(_) if info.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0 => Ok(Some(info.exit_code)),
            // Linux 6.13 and 6.14 know the call, but not this answer: ESRCH once it is waited for.
            Ok(_) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// Whether a thread was ever started in this process. glibc may learn to tell that there is a single one again; so far
/// (2.36) it does not.
#[must_use]
pub fn has_had_threads() -> bool {
    __libc_single_threaded.load(Ordering::Relaxed) == 0
}

unsafe extern "C" {
    /// A char of the C library, which stores 0 there when a thread is started: in glibc since 2.32, see
    /// "Single-Threaded" in its manual.
    safe static __libc_single_threaded: AtomicU8;
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    use std::process::{Command, Stdio};

    #[test]
    fn how_a_process_ended_can_be_asked() {
        let kill = "kill -KILL $$";
        let ends = [("exit 3", Ending::Exited(3)), (kill, Ending::Killed(Signal::SIGKILL))];
        for (end, ending) in ends {
            // It runs until its stdin is closed.
            let mut command = Command::new("sh");
            command.args(["-c", &format!("read line; {end}")]).stdin(Stdio::piped());
            let mut child = command.spawn().expect("sh");
            let pid = child.id().cast_signed();
            let process = match Process::open(pid) {
                Ok(process) => process,
                Err(error) => {
                    child.wait().expect("ours");
                    assert_eq!(error.errno(), Some(Errno::ENOSYS), "{error}");
                    eprintln!("skipped: {error}");
                    return;
                }
            };
            assert_eq!(process.ending(), Ending::Runs);
            drop(child.stdin.take());
            let how = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
            waitid(Id::Pid(Pid::from_raw(pid)), how).expect("ours");
            let (asked, before) = (process.wait_status(), process.ending());
            child.wait().expect("ours");
            // ENOTTY before Linux 6.13, which does not know the call.
            match asked {
                Ok(_) => assert_eq!(before, Ending::NotWaitedFor),
                Err(_) => assert_eq!(before, Ending::Unknown),
            }
            // ESRCH before Linux 6.15, which does not give the answer.
            match process.wait_status() {
                Ok(_) => assert_eq!(process.ending(), ending),
                Err(errno) => eprintln!("skipped: PIDFD_GET_INFO: {errno}"),
            }
        }
        let error = Process::open(0).expect_err("no pid");
        assert_eq!(error.errno(), Some(Errno::EINVAL));
    }
}
