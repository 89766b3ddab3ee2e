//! Asleep or ended: the kernel's evidence that a process waits.

use std::fs;
use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use crate::process::{Ended, Process};

/// What has become of a process that no longer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// It has ended.
    Ended(Ended),
    /// It sleeps in the system call that was asked about.
    Asleep,
}

impl Process {
    /// Waits until it sleeps in the system call with the number `syscall`, or has ended, and says which
    /// of the two: /proc/PID/task/TID/syscall, see proc_pid_syscall(5).
    ///
    /// # Panics
    ///
    /// Where that file must not be read, with what is needed.
    pub fn settles(&mut self, syscall: i64) -> Now {
        loop {
            // Once waited for, it is nobody's child any more.
            if let Some(ended) = self.ended {
                return Now::Ended(ended);
            }
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
            if let Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) =
                waitid(Id::Pid(self.pid), flags)
            {
                return Now::Ended(self.end());
            }
            if self.threads().iter().any(|thread| self.sleeps_in(thread, syscall)) {
                return Now::Asleep;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The threads that may play the part. The harness' own thread, which has the process's id, waits
    /// for the other one, and so sleeps in a futex itself.
    fn threads(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten();
        let names = tasks.flatten().map(|it| it.file_name().to_string_lossy().into_owned());
        names.filter(|name| *name != self.pid.to_string()).collect()
    }

    pub(crate) fn sleeps_in(&self, thread: &str, syscall: i64) -> bool {
        // The call's number while it sleeps, `running` while it does not.
        match fs::read_to_string(format!("/proc/{}/task/{thread}/syscall", self.pid)) {
            Ok(line) => line.split(' ').next() == Some(&syscall.to_string()),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => panic!(
                "This check needs /proc/PID/task/TID/syscall of its own child, and may not read it: {error}. \
                 sysctl kernel.yama.ptrace_scope must be 0 or 1, for root also 2."
            ),
            // The thread has just ended.
            Err(_) => false,
        }
    }
}
