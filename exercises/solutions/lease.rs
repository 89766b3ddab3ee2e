//! A segment says which process owns it. If that one is dead, the next one takes over. After a reboot of
//! everything else, the segment belongs to a web server that has never heard of it.
//!
//! Question: pidfd_open(2) gives a descriptor of a process, which is never confused with another one. Why
//! can it not lie in the segment instead?
//!
//! Answer: a descriptor is a number that means something in the process that has it, and in no other.
//! Whoever holds a pidfd may wait for the process with poll(2), and never takes another one for it; but it
//! must have got the descriptor while the process lived, by pidfd_open(2) or over a socket. In a segment
//! that outlives everybody, number and start time are what is left.

#![forbid(unsafe_code)]

use std::fs;

/// What stands in the segment.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Owner {
    pid: i32,
    /// When the process started, in clock ticks since the boot.
    start: u64,
}

impl Owner {
    fn me() -> Self {
        let pid = std::process::id().cast_signed();
        Self { pid, start: stat(pid).expect("/proc is mounted").start }
    }

    /// Whether this very process lives.
    fn lives(self) -> bool {
        // Numbers are given out again, and no two processes of one number have started at the same time. A
        // zombie is a process that has ended, of which only the exit status is left for its parent.
        stat(self.pid).is_some_and(|it| it.start == self.start && !matches!(it.state, 'Z' | 'X'))
    }
}

/// Two fields of /proc/PID/stat, see proc_pid_stat(5).
struct Stat {
    /// Field 3: such as 'R', runs; 'S', sleeps; 'T', stopped; 'Z', a zombie; 'X', dead.
    state: char,
    /// Field 22.
    start: u64,
}

/// `None` if there is no process of this number.
fn stat(pid: i32) -> Option<Stat> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in field 2 may hold spaces and brackets, so begin behind its last bracket.
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat { state: fields.first()?.chars().next()?, start: fields.get(19)?.parse().ok()? })
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let me = Owner::me();
    let state = stat(me.pid).map_or('X', |it| it.state);
    println!("{me:?}, state {state}, lives: {}", me.lives());
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::Process;
    use nix::sys::signal::{Signal, kill};
    use nix::sys::wait::{Id, WaitPidFlag, waitid};

    #[test]
    fn role() {
        if lab::role() == "owner" {
            lab::stop_here();
        }
    }

    #[test]
    fn whoever_has_its_number_now_is_somebody_else() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let me = Owner::me();
        assert!(me.lives(), "`lives` says no of {me:?}, which is this process");
        for start in [me.start - 1, me.start + 1] {
            let other = Owner { start, ..me };
            assert!(
                !other.lives(),
                "`lives` says yes of {other:?}, but who has this number now started at {}",
                me.start
            );
        }
    }

    #[test]
    fn a_dead_owner_is_dead_also_while_nobody_has_waited_for_it() {
        let _dog = lab::watchdog(60, "the owner neither stops nor ends");
        let mut process = Process::start("owner", &[]);
        process.until_stopped().expect("it stops");
        let pid = process.pid().as_raw();
        let owner = Owner { pid, start: stat(pid).expect("it is there").start };
        assert!(owner.lives(), "`lives` says no of {owner:?}, which is stopped, but not dead");

        kill(process.pid(), Signal::SIGKILL).expect("killed");
        let dead = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(process.pid()), dead).expect("it is dead");
        assert!(
            !owner.lives(),
            "`lives` says yes of {owner:?}, a zombie: dead, only not waited for"
        );

        process.end();
        assert!(!owner.lives(), "`lives` says yes of {owner:?}, which is dead and gone");
    }
}
