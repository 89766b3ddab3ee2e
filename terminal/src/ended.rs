//! A child that may end by a fault, and what the kernel says about its end.

use std::fmt;
use std::io::{Read as _, pipe};
use std::os::fd::IntoRawFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::atomic::{AtomicI32, Ordering};

use common::error::errno_of;
use common::{Error, Result};
use nix::errno::Errno;
use nix::libc::{self, c_int, c_void, siginfo_t};
use nix::sys::prctl::set_dumpable;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use crate::process::{Fork, fork, status_after};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By exit(3), with this status.
    Exited(i32),
    /// By a signal, with the `si_code` that the child's own handler has seen: 0 if it saw none.
    By(Signal, i32),
}

impl fmt::Display for Ended {
    /// Such as `SIGBUS, BUS_ADRERR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::By(signal, 0) => write!(f, "{signal}"),
            Self::By(signal, code) => match code_name(signal, code) {
                Some(name) => write!(f, "{signal}, {name}"),
                None => write!(f, "{signal}, si_code {code}"),
            },
        }
    }
}

/// The name in sigaction(2).
fn code_name(signal: Signal, code: i32) -> Option<&'static str> {
    match (signal, code) {
        (Signal::SIGSEGV, 1) => Some("SEGV_MAPERR"),
        (Signal::SIGSEGV, 2) => Some("SEGV_ACCERR"),
        (Signal::SIGBUS, 1) => Some("BUS_ADRALN"),
        (Signal::SIGBUS, 2) => Some("BUS_ADRERR"),
        _ => None,
    }
}

/// Where the handler of the child reports to.
static REPORT: AtomicI32 = AtomicI32::new(-1);

/// Runs `work` in a child, and waits for its end: fork(2), waitid(2). A SIGSEGV or SIGBUS is no error
/// here, and dumps no core.
///
/// # Errors
///
/// Those of [`fork`] and pipe(2). An error of `work` is printed by the child, which exits with 1.
pub fn in_child(work: impl FnOnce() -> Result<()>) -> Result<Ended> {
    let (mut report, to_report) =
        pipe().map_err(|it| Error::new("pipe", "for the report", errno_of(&it)))?;
    let child = match fork()? {
        Fork::Parent(child) => child,
        Fork::Child => {
            REPORT.store(to_report.into_raw_fd(), Ordering::Relaxed);
            // A panic must not go on in the parent's functions, of which this is a copy.
            let ended = catch_unwind(AssertUnwindSafe(|| {
                let ended = catch_faults().and_then(|()| work());
                ended.inspect_err(|error| eprintln!("error: {error}")).is_err()
            }));
            process::exit(status_after(ended, Into::into));
        }
    };
    drop(to_report);
    let mut code = Vec::new();
    // End of file comes at the latest when the child ends.
    report
        .read_to_end(&mut code)
        .map_err(|it| Error::new("read", "the child's report", errno_of(&it)))?;
    let code = code.first_chunk().map_or(0, |it| i32::from_ne_bytes(*it));

    // WNOWAIT leaves the child to be reaped by the guard, which does so when it is dropped.
    let how = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    loop {
        match waitid(Id::Pid(child.pid()), how) {
            Ok(WaitStatus::Exited(_, status)) => return Ok(Ended::Exited(status)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Ended::By(signal, code)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                return Err(Error::new("waitid", format_args!("child {}", child.pid()), errno));
            }
        }
    }
}

fn catch_faults() -> Result<()> {
    // Nobody wants a core dump of a lesson.
    set_dumpable(false).map_err(|it| Error::new("prctl", "PR_SET_DUMPABLE", it))?;
    // SA_RESETHAND: once the handler has returned, the same access faults again, and ends the child.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_RESETHAND;
    let action = SigAction::new(SigHandler::SigAction(report_code), flags, SigSet::empty());
    for signal in [Signal::SIGSEGV, Signal::SIGBUS] {
        // SAFETY: the handler makes one load of an atomic and one write(2), which are
        // async-signal-safe.
        unsafe { sigaction(signal, &action) }
            .map_err(|errno| Error::new("sigaction", signal, errno))?;
    }
    Ok(())
}

extern "C" fn report_code(_signal: c_int, info: *mut siginfo_t, _context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a siginfo_t that is valid while the handler runs.
    let code = unsafe { &(*info).si_code };
    let report = REPORT.load(Ordering::Relaxed);
    // SAFETY: the pointer and the length are those of `code`.
    unsafe { libc::write(report, std::ptr::from_ref(code).cast(), size_of_val(code)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_means_something_only_beside_its_signal() {
        let text = |signal, code| Ended::By(signal, code).to_string();
        assert_eq!(text(Signal::SIGSEGV, 1), "SIGSEGV, SEGV_MAPERR");
        assert_eq!(text(Signal::SIGSEGV, 2), "SIGSEGV, SEGV_ACCERR");
        assert_eq!(text(Signal::SIGBUS, 1), "SIGBUS, BUS_ADRALN");
        assert_eq!(text(Signal::SIGBUS, 2), "SIGBUS, BUS_ADRERR");
        assert_eq!(text(Signal::SIGKILL, 0), "SIGKILL");
        assert_eq!(text(Signal::SIGSEGV, 9), "SIGSEGV, si_code 9");
        assert_eq!(Ended::Exited(3).to_string(), "exit status 3");
    }

    #[test]
    fn a_process_with_threads_gets_no_child() {
        // libtest runs each test in a thread of its own.
        let error = in_child(|| Ok(())).expect_err("more than one thread");
        assert_eq!(error.call(), "fork");
    }
}
