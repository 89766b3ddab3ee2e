//! A segment says which process owns it. If that one is dead, the next one takes over. After a reboot of
//! everything else, the segment belongs to a web server that has never heard of it.
//!
//! Question: pidfd_open(2) gives a descriptor of a process, which is never confused with another one. Why
//! can it not lie in the segment instead?

#![forbid(unsafe_code)]

use std::fs;

use nix::sys::signal::kill;
use nix::unistd::Pid;

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
        // TODO: signal 0 asks whether there is a process of this number. Which one? And has it not
        // ended already, though nobody has waited for it? Ask `stat` instead of kill(2).
        kill(Pid::from_raw(self.pid), None).is_ok()
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
