//! Who has the lease, and does this very process still live? A pid is no answer; pid and start time are.
//!
//! ```text
//! cargo run -p lessons --example dead-owner
//! ```
//!
//! predict: kill(pid, 0) asks whether there is such a process. What does it say of one that is dead?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use common::mapping::Mapping;
use common::{ReadWrite, Result, SharedU32};
use lessons::{On as _, another_with, answer, held_by_child, state_and_start};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag as Wait, waitid};
use nix::unistd::Pid;

common::shared_record! { struct Lease { started: SharedU32, pid: SharedU32 } }

fn main() -> Result<()> {
    let lease = Mapping::<Lease, ReadWrite>::anonymous()?;
    let child = held_by_child(|| {
        let (lease, started) = (lease.writer(), state_and_start(std::process::id()).1);
        lease.field(|it| &it.started).store(started, Relaxed);
        lease.field(|it| &it.pid).store(std::process::id(), Release);
        Ok(())
    })?;
    show("at first", &lease)?;

    // A process that is stopped lives. Whoever takes over its work finds out when it goes on.
    let turn = |signal, how| {
        kill(child.pid(), signal).on("kill", child.pid())?;
        waitid(Id::Pid(child.pid()), how | Wait::WNOWAIT).on("waitid", child.pid())
    };
    turn(Signal::SIGSTOP, Wait::WSTOPPED)?;
    show("it is stopped", &lease)?;

    // A zombie: dead, but its parent has not waited for it. Its number is still taken.
    turn(Signal::SIGKILL, Wait::WEXITED)?;
    show("it is a zombie", &lease)?;
    drop(child);
    show("its parent has waited", &lease)?;

    // Numbers are given out again: some day another process has it, and for root at once.
    let (pid, _other) = another_with(lease.pid.load(Acquire))?;
    lease.writer().field(|it| &it.pid).store(pid, Release);
    show("another has its pid", &lease)
}

fn show(when: &str, lease: &Lease) -> Result<()> {
    let (pid, noted) = (lease.pid.load(Acquire), lease.started.load(Relaxed));
    let asked = kill(Pid::from_raw(pid.cast_signed()), None).on("kill", pid);
    let (state, started) = state_and_start(pid);
    let lives = started == noted && !matches!(state, 'Z' | 'X' | '-');
    println!("{when}: kill(pid, 0) {}, the owner lives: {lives}", answer(&asked));
    eprintln!("pid {pid}, state {state}, started at {started}, in the lease {noted}");
    Ok(())
}
