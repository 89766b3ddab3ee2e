use std::fs;
use std::thread;
use std::time::Duration;

use super::{Ended, Process};

#[test]
fn role() {
    if super::role() == "stepped" {
        super::one_step_at_a_time(|| ());
    }
}

/// A thread that stands still for its tracer: `t` in proc_pid_stat(5).
fn stands_still(process: &Process) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.pid())).into_iter().flatten();
    tasks.flatten().any(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|it| it.trim_start().starts_with('t'))
    })
}

#[test]
fn a_process_may_be_dropped_before_its_first_step() {
    let _dog =
        super::watchdog(60, "the process is killed, and nobody has waited for its traced thread");
    let process = Process::start("stepped", &[]);
    while !stands_still(&process) {
        thread::sleep(Duration::from_millis(1));
    }
    drop(process);
}

#[test]
fn a_process_may_be_dropped_at_any_time() {
    let _dog = super::watchdog(60, "a process that was killed does not come to an end");
    drop(Process::start("stepped", &[]));
    let mut process = Process::start("stepped", &[]);
    process.steps(1).expect("one step");
    drop(process);
    let mut process = Process::start("stepped", &[]);
    process.step_through(|_| ()).expect("it comes to its end");
    assert_eq!(process.end(), Ended::Exited(0));
    drop(process);
}
