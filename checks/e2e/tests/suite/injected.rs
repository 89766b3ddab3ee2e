//! What may happen between two system calls, made to happen: a library in C, preloaded into the real
//! programs, steps in between. See `checks/e2e/shims/inject.c`.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use common::sysv::Segment;
use e2e::{DEADLINE, Outcome, Running, TestKey, program, start};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The compiled library; `None`, after a message, without a C compiler.
fn shim() -> Option<&'static PathBuf> {
    static COMPILED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        if Command::new("cc").arg("--version").output().is_err() {
            e2e::skip_without("cc", "what happens between two calls");
            return None;
        }
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let (source, library) =
            (e2e::workspace().join("checks/e2e/shims/inject.c"), directory.join("inject.so"));
        // Under another name first: a second run of the tests may be using it.
        let unfinished = directory.join(format!("inject.{}.so", std::process::id()));
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
        let _ = Running::start(cc.arg(&unfinished).arg(source).arg("-ldl")).finish().exited(0);
        fs::rename(&unfinished, &library).expect("the library");
        Some(library)
    });
    compiled.as_ref()
}

/// Runs a program while `what` happens to it.
fn run_while(what: &str, name: &str, args: &[&str]) -> Option<Outcome> {
    let mut command = program(name);
    command.args(args).env("LD_PRELOAD", shim()?).env("INJECT", what);
    Some(Running::start(&mut command).finish())
}

fn a_record_under(key: &TestKey) -> Segment {
    Segment::create(key.key(), size_of::<common::ConnStat>(), 0o600).expect("a segment")
}

#[test]
fn a_segment_that_vanishes_after_it_was_found_is_made_anew() {
    let key = TestKey::new();
    let old = a_record_under(&key);
    let args = ["-k", &key.arg(), "-n", "1", "-i", "0s"];
    let Some(outcome) = run_while("segment vanishes", "shm-sysv-writer", &args) else { return };
    let outcome = outcome.exited(0);
    assert!(outcome.stderr.contains("created"), "{outcome:#?}");
    assert_ne!(key.segment().map(|it| it.id()), Some(old.id()));
}

#[test]
fn a_segment_is_looked_at_again_once_its_id_is_pinned() {
    let key = TestKey::new();
    let segment = a_record_under(&key);
    let args = ["-k", &key.arg(), "-n", "1", "-i", "0s"];
    let what = "another segment has the id";
    let Some(outcome) = run_while(what, "shm-sysv-writer", &args) else { return };
    let outcome = outcome.exited(1);
    assert!(outcome.stderr.contains("4164 bytes"), "{outcome:#?}");
    // It was neither used nor removed.
    assert_eq!(segment.status().expect("still there").attached, 0);
    assert_eq!(key.segment().map(|it| it.id()), Some(segment.id()), "somebody else made it");
}

#[test]
fn without_unnamed_files_a_new_file_appears_whole_all_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("record");
    let args = ["-n", "2", "-i", "0s", "-m", "0640", file.to_str().expect("a name")];
    let Some(outcome) = run_while("no O_TMPFILE", "mmap-file-writer", &args) else { return };
    let outcome = outcome.exited(0);
    assert_eq!(outcome.stdout, "count: 1\ncount: 2\n");
    assert!(outcome.stderr.contains("68 bytes, mode 0640, created"), "{outcome:#?}");
    let names = fs::read_dir(directory.path()).expect("a directory");
    let names: Vec<_> = names.map(|it| it.expect("an entry").file_name()).collect();
    assert_eq!(names, ["record"], "no temporary name is left");
}

#[test]
fn a_writer_does_not_store_over_what_another_has_counted_in_its_new_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("record");
    let args = ["-n", "7", "-i", "0s", file.to_str().expect("a name")];
    let what = "another writer is faster";
    let Some(outcome) = run_while(what, "mmap-file-writer", &args) else { return };
    assert_eq!(outcome.exited(0).stdout, "count: 6\ncount: 7\n");
}

#[test]
fn a_file_that_another_has_made_meanwhile_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("record");
    let args = ["--join", "-n", "7", "-i", "0s", file.to_str().expect("a name")];
    let Some(outcome) = run_while("another file is faster", "mmap-file-writer", &args) else {
        return;
    };
    let outcome = outcome.exited(0);
    assert_eq!(outcome.stdout, "count: 6\ncount: 7\n");
    assert!(outcome.stderr.contains(", found\n"), "{outcome:#?}");
}

/// What the reader does with a record while `what` happens to it.
fn read_while(what: &str) -> Option<Outcome> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("record");
    fs::write(&file, [1; 68]).expect("a file");
    let args = ["-n", "1", "-i", "0s", "--wait", "0s", file.to_str().expect("a name")];
    run_while(what, "mmap-file-reader", &args)
}

#[test]
fn a_fifo_that_takes_the_file_s_place_is_refused_and_not_waited_for() {
    let Some(outcome) = read_while("a FIFO takes its place") else { return };
    let outcome = outcome.exited(1);
    assert!(outcome.stderr.contains("FIFO"), "{outcome:#?}");
}

#[test]
fn a_lease_of_somebody_else_is_waited_for_but_not_for_ever() {
    let Some(outcome) = read_while("a lease for a moment") else { return };
    let _ = outcome.exited(0);
    let Some(outcome) = read_while("a lease for good") else { return };
    let outcome = outcome.exited(1);
    assert!(outcome.stderr.contains("EAGAIN"), "{outcome:#?}");
}

#[test]
fn a_lock_that_a_signal_interrupts_is_waited_for_again() {
    for lock in ["semaphore", "record-lock"] {
        let args = ["--mechanism", lock, "--for", "20ms", "--kills", "0", "--format", "json"];
        let Some(outcome) = run_while("a signal interrupts", "race-demo", &args) else { return };
        let _ = outcome.exited(0);
    }
}

#[test]
fn a_set_that_cannot_be_made_ready_is_not_left_behind() {
    let args = ["--mechanism", "semaphore", "--for", "20ms", "--kills", "0"];
    let Some(outcome) = run_while("no undo list left", "race-demo", &args) else { return };
    let outcome = outcome.exited(1);
    assert!(outcome.stderr.contains("semop") && outcome.stderr.contains("ENOSPC"), "{outcome:#?}");
    let set = outcome.stderr.lines().find_map(|it| it.strip_prefix("set ")).expect("a set");
    let list = fs::read_to_string("/proc/sysvipc/sem").expect("System V semaphores");
    let mut ids = list.lines().filter_map(|line| line.split_whitespace().nth(1));
    assert!(!ids.any(|id| id == set), "set {set} is left");
}

#[test]
fn an_error_in_the_middle_leaves_no_segment() {
    // Beyond the addresses that a process has.
    let lifecycle = start("shm-sysv-lifecycle", ["--address", "0xffffffffffff000"]);
    let created = lifecycle.created();
    let _ = lifecycle.finish().exited(1);
    assert_eq!(created.segments(), []);
}

#[test]
fn no_child_outlives_a_parent_that_is_killed() {
    let demo = Running::start(&mut demo_in_a_group());
    let deadline = Instant::now() + DEADLINE;
    let pid = demo.pid();
    let _group = Group(pid);
    let children = loop {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.expect("a kernel that lists children");
        let children: Vec<String> = children.split_whitespace().map(str::to_owned).collect();
        if children.len() == 3 {
            break children;
        }
        assert!(Instant::now() < deadline, "a writer and two readers, not {children:?}");
    };
    demo.signal(Signal::SIGKILL);
    children.iter().for_each(|it| must_end(it));
}

#[test]
fn a_child_whose_parent_has_died_before_it_asked_for_its_signal_does_not_begin() {
    let Some(shim) = shim() else { return };
    let mut demo = demo_in_a_group();
    let mut demo = Running::start(demo.env("LD_PRELOAD", shim).env("INJECT", "the parent dies"));
    let _group = Group(demo.pid());
    let line = demo.wait_stderr("child ");
    must_end(line.strip_prefix("child ").expect("its id"));
    let _ = demo.finish().ended_by(Signal::SIGKILL);
}

/// race-demo, in a process group of its own.
fn demo_in_a_group() -> Command {
    let mut demo = program("race-demo");
    demo.args(["--mechanism", "none", "--for", "1h"]).process_group(0);
    demo
}

/// A process group, of which nothing is left however the test ends.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

/// Waits until the process has ended.
fn must_end(pid: &str) {
    let deadline = Instant::now() + DEADLINE;
    // Gone, or a zombie that whoever inherited it has not waited for yet.
    let lives = || common::proc::stat(pid).is_ok_and(|it| !['Z', 'X'].contains(&it.state));
    while lives() {
        assert!(Instant::now() < deadline, "child {pid} goes on");
        std::thread::yield_now();
    }
}

#[test]
fn who_asks_for_a_lease_survives_that_somebody_opens_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("record");
    fs::write(&file, [1; 68]).expect("a file");
    let args = ["--follow", "-n", "1", "--wait", "0s", file.to_str().expect("a name")];
    let what = "somebody opens the leased file";
    let Some(outcome) = run_while(what, "mmap-file-reader", &args) else { return };
    let outcome = outcome.exited(0);
    if outcome.stderr.contains("F_SETLEASE") {
        return e2e::skip("who asks for a lease: this file system has none");
    }
    assert!(outcome.stderr.contains("opened while leased"), "{outcome:#?}");
}
