//! One machine instruction at a time: ptrace(2), `PTRACE_SINGLESTEP`.
//!
//! What it shows is exhaustive: every point at which a process can be killed, or another one come in
//! between. What it does not show is the order in which another processor sees the stores: that is
//! what loom is for.

use std::fs;
use std::panic;
use std::thread;
use std::time::Duration;

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::process::{Ended, Process, stop_here};
use crate::watchdog::print;

/// With what status a process exits that may not be traced.
const REFUSED: i32 = 77;

/// After so many instructions, code does not come to an end. A long solution has some thousands.
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
    if ptrace::traceme().is_err() {
        // The test says what is needed.
        // SAFETY: as above.
        unsafe { libc::_exit(REFUSED) };
    }
    stop_here();
    work();
    stop_here();
}

/// What a process has come to that is stepped through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// One more instruction is done, or one more half of a system call.
    Instruction,
    /// The end of what it calls [`one_step_at_a_time`]. It runs on from there.
    End,
    /// It sleeps in the system call that was asked about.
    Sleep,
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
        for steps in 0..MOST {
            match self.step()? {
                Reached::Instruction => look(steps + 1),
                Reached::End => return Ok(steps),
                Reached::Sleep => unreachable!("`step` waits"),
            }
        }
        panic!(
            "not at its end after {MOST} machine instructions: it waits, or goes round for ever"
        );
    }

    /// Has it run `number` more instructions, and leaves it there: [`Reached::Instruction`], or
    /// [`Reached::End`] if there were not so many.
    ///
    /// # Errors
    ///
    /// How it has ended on the way.
    pub fn steps(&mut self, number: u32) -> Result<Reached, Ended> {
        for _ in 0..number {
            if self.step()? == Reached::End {
                return Ok(Reached::End);
            }
        }
        Ok(Reached::Instruction)
    }

    /// The same, but up to the beginning or the end of its system call: 1 is the beginning of the first
    /// one, 2 its end, and so on. For code that others see only by its system calls, this is every point.
    ///
    /// # Errors
    ///
    /// How it has ended on the way.
    ///
    /// # Panics
    ///
    /// As [`Process::step_through`].
    pub fn system_calls(&mut self, number: u32) -> Result<Reached, Ended> {
        for _ in 0..number {
            let thread = self.traced_thread()?;
            ptrace::syscall(thread, None).expect("it stands still");
            if self.reached(thread, None)? == Reached::End {
                return Ok(Reached::End);
            }
        }
        Ok(Reached::Instruction)
    }

    /// Has it run one instruction after the other until it sleeps in the system call with the number
    /// `syscall`, or comes to its end, and says how many there were. [`Reached::Instruction`] if neither
    /// has come after `most`. After [`Reached::Sleep`] it can only be killed.
    ///
    /// # Errors
    ///
    /// How it has ended on the way.
    pub fn steps_until_asleep(&mut self, syscall: i64, most: u32) -> Result<(Reached, u32), Ended> {
        for steps in 1..=most {
            let thread = self.begin_step()?;
            match self.reached(thread, Some(syscall))? {
                Reached::Instruction => {}
                other => return Ok((other, steps)),
            }
        }
        Ok((Reached::Instruction, most))
    }

    /// Has it run on at its own speed, after [`Process::steps`], and waits until it comes to its end or
    /// sleeps in the system call with the number `syscall`. After [`Reached::Sleep`] it can only be
    /// killed.
    ///
    /// # Errors
    ///
    /// How it has ended on the way.
    ///
    /// # Panics
    ///
    /// If it is not being stepped through.
    pub fn run_on(&mut self, syscall: i64) -> Result<Reached, Ended> {
        let thread = self.traced.expect("it is stepped through");
        ptrace::cont(thread, None).expect("it stands still");
        self.reached(thread, Some(syscall))
    }

    fn step(&mut self) -> Result<Reached, Ended> {
        let thread = self.begin_step()?;
        self.reached(thread, None)
    }

    fn begin_step(&mut self) -> Result<Pid, Ended> {
        if self.traced.is_none() {
            refuse_where_atomics_never_succeed();
        }
        let thread = self.traced_thread()?;
        if let Err(errno) = ptrace::step(thread, None) {
            panic!("ptrace(PTRACE_SINGLESTEP): {errno}: this machine cannot do it");
        }
        Ok(thread)
    }

    fn traced_thread(&mut self) -> Result<Pid, Ended> {
        let thread = match self.traced {
            Some(thread) => thread,
            None => self.until_traced()?,
        };
        self.traced = Some(thread);
        Ok(thread)
    }

    /// Waits for what `thread`, which we have let go on, comes to.
    fn reached(&mut self, thread: Pid, sleep: Option<i64>) -> Result<Reached, Ended> {
        let flags = match sleep {
            Some(_) => WaitPidFlag::__WALL | WaitPidFlag::WNOHANG,
            None => WaitPidFlag::__WALL,
        };
        loop {
            match waitpid(thread, Some(flags)).expect("a traced thread") {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => return Ok(Reached::Instruction),
                WaitStatus::Stopped(_, Signal::SIGSTOP) => {
                    self.let_go(None);
                    return Ok(Reached::End);
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
                WaitStatus::StillAlive => {
                    if sleep.is_some_and(|it| self.sleeps_in(&thread.to_string(), it)) {
                        return Ok(Reached::Sleep);
                    }
                    thread::yield_now();
                }
                other => panic!("not a step: {other:?}"),
            }
        }
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
                        panic!("{}", what_it_needs());
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

/// What to say where ptrace(2) is refused: traceme(2) has no other error than EPERM.
fn what_it_needs() -> String {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    let scope = scope.map_or("has none".into(), |it| format!("says {}", it.trim()));
    format!(
        "This check needs ptrace(2), to run your code one machine instruction at a time, and gets EPERM.\n\
         - sysctl kernel.yama.ptrace_scope must be 0 or 1, for root also 2; this kernel {scope}. \
         A 3 stays until the next boot.\n\
         - A container needs a seccomp profile that allows ptrace, such as Docker's own since Linux 4.8, \
         or --cap-add SYS_PTRACE.\n"
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
