//! One machine instruction at a time: ptrace(2), `PTRACE_SINGLESTEP`.
//!
//! What it shows is exhaustive: every point at which a process can be killed, or another one come in
//! between. What it does not show is the order in which another processor sees the stores: that is
//! what loom is for.

use std::fs;
use std::panic;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::process::{Ended, Process, stop_here};
use crate::watchdog::print;

/// With what status a process exits that may not be traced.
const REFUSED: i32 = 77;

/// After so many instructions, code does not come to an end. The longest solution has 5000.
const MOST: u32 = 100_000;

/// Runs `work` while the test looks on after each machine instruction: see [`Process::step_through`].
///
/// `work` must not wait for anything. A panic in it ends the process with status 101.
pub fn one_step_at_a_time(work: impl FnOnce()) {
    // A panic that is unwound and printed one instruction at a time would take minutes.
    panic::set_hook(Box::new(|info| {
        print(&format!("\nin the process that is stepped through: {info}\n"));
        // SAFETY: it does not return, and there is nothing to clean up.
        unsafe { libc::_exit(101) };
    }));
    if let Err(errno) = ptrace::traceme() {
        print(&format!("\n{}", what_it_needs(errno)));
        // SAFETY: as above.
        unsafe { libc::_exit(REFUSED) };
    }
    stop_here();
    work();
    stop_here();
}

impl Process {
    /// Has the process run what it calls [`one_step_at_a_time`], and calls `look` with the number of
    /// instructions so far after each single one. Returns how many there were.
    ///
    /// # Errors
    ///
    /// How it has ended on the way.
    ///
    /// # Panics
    ///
    /// Where ptrace(2) is refused or the processor cannot do it, with what is needed; and if the code
    /// comes to no end.
    pub fn step_through(&mut self, mut look: impl FnMut(u32)) -> Result<u32, Ended> {
        refuse_where_atomics_never_succeed();
        let thread = self.until_traced()?;
        self.traced = Some(thread);
        for steps in 0..MOST {
            if let Err(errno) = ptrace::step(thread, None) {
                panic!("ptrace(PTRACE_SINGLESTEP): {errno}: this machine cannot do it");
            }
            match waitpid(thread, Some(WaitPidFlag::__WALL)).expect("a traced thread") {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => look(steps + 1),
                WaitStatus::Stopped(_, Signal::SIGSTOP) => {
                    self.let_go(None);
                    return Ok(steps);
                }
                // Such as a SIGSEGV: let it have its effect.
                WaitStatus::Stopped(_, signal) => {
                    self.let_go(Some(signal));
                    return Err(self.end());
                }
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                    self.traced = None;
                    return Err(self.end());
                }
                other => panic!("not a step: {other:?}"),
            }
        }
        panic!(
            "not at its end after {MOST} machine instructions: it waits, or goes round for ever"
        );
    }

    /// Waits until one of its threads has stopped for us. Only that one is traced, and only itself
    /// knows which it is; the others are not ours to wait for.
    fn until_traced(&mut self) -> Result<Pid, Ended> {
        let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
        loop {
            let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten();
            for task in tasks.flatten() {
                let Ok(thread) = task.file_name().to_string_lossy().parse() else { continue };
                match waitpid(Pid::from_raw(thread), Some(flags)) {
                    Ok(WaitStatus::Stopped(thread, Signal::SIGSTOP)) => return Ok(thread),
                    Ok(WaitStatus::Exited(_, REFUSED)) => {
                        self.ended = Some(Ended::Exited(REFUSED));
                        panic!("{}", what_it_needs(Errno::EPERM));
                    }
                    Ok(WaitStatus::Exited(_, status)) => {
                        self.ended = Some(Ended::Exited(status));
                        return Err(Ended::Exited(status));
                    }
                    Ok(WaitStatus::Signaled(_, signal, _)) => {
                        self.ended = Some(Ended::Killed(signal));
                        return Err(Ended::Killed(signal));
                    }
                    // It runs (StillAlive), or is not traced (ECHILD).
                    _ => {}
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn let_go(&mut self, signal: Option<Signal>) {
        if let Some(thread) = self.traced.take() {
            ptrace::detach(thread, signal).expect("detached");
        }
    }
}

/// What to say where ptrace(2) is refused.
fn what_it_needs(errno: Errno) -> String {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    let scope = scope.map_or("not there".into(), |it| it.trim().to_owned());
    format!(
        "This check needs ptrace(2), to run your code one machine instruction at a time: {errno}.\n\
         - kernel.yama.ptrace_scope must be 2 or less, 1 unless you are root; here it is {scope}. \
         A 3 stays until the next boot.\n\
         - A container needs a seccomp profile that allows ptrace, or --cap-add SYS_PTRACE.\n"
    )
}

/// Without LSE, an AArch64 processor makes an atomic addition of a load and a store, and the store
/// fails if anything came in between. A single step is something: the code would go round for ever.
fn refuse_where_atomics_never_succeed() {
    #[cfg(target_arch = "aarch64")]
    assert!(
        std::arch::is_aarch64_feature_detected!("lse"),
        "This check needs a processor with LSE atomics (ARMv8.1 or later), to run your code one \
         machine instruction at a time. This one has none: take another machine for this exercise."
    );
}
