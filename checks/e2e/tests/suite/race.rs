//! race-demo: what its figures must be, whatever the machine.

use std::fs::DirEntry;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use e2e::screen::OnScreen;
use e2e::{DEADLINE, Running, program, run, start};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::transcripts::may_trace;

/// The ids of the semaphore sets there are: see sysvipc(7).
fn semaphore_sets() -> Vec<String> {
    let list = std::fs::read_to_string("/proc/sysvipc/sem").expect("System V semaphores");
    list.lines().skip(1).filter_map(|line| Some(line.split_whitespace().nth(1)?.into())).collect()
}

/// The id in a line such as "semaphore: semaphore set 5, removed at the end".
fn set_of(line: &str) -> String {
    let (_, id) = line.split_once("set ").expect("a set");
    id.split_once(',').expect("a comma").0.into()
}

/// What `--format json` prints.
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn list<'a>(report: &'a Value, name: &str) -> &'a [Value] {
    report[name].as_array().unwrap_or_else(|| panic!("{name} in {report}"))
}

fn number(row: &Value, name: &str) -> u64 {
    row[name].as_u64().unwrap_or_else(|| panic!("{name} in {row}"))
}

/// Not even the busiest machine takes that long.
const WITHIN: [&str; 2] = ["--within", "10m"];

#[test]
fn the_race_is_shown_and_cured() {
    let args = "--format json --for 500ms --kills 20 --within 3s --readers 2";
    let outcome = run("race-demo", args.split(' ')).exited(0);
    let set = outcome.stderr.lines().find(|line| line.contains("semaphore set"));
    assert!(!semaphore_sets().contains(&set_of(set.expect("its id"))), "{outcome:#?}");
    let report = json(&outcome.stdout);

    let [three_steps, one_step] = list(&report, "counts") else { panic!("two ways: {report}") };
    for count in [three_steps, one_step] {
        let [wanted, found, lost] = ["wanted", "found", "lost"].map(|name| number(count, name));
        assert!(wanted > 0 && wanted == found + lost, "{count}");
    }
    assert!(number(three_steps, "lost") > 0, "{three_steps}");
    assert_eq!(number(one_step, "lost"), 0, "{one_step}");

    let rows = list(&report, "mechanisms");
    let names: Vec<_> = rows.iter().map(|row| row["mechanism"].as_str().expect("a name")).collect();
    let all = "none posix-semaphore rwlock semaphore record-lock mutex seqlock two-slots";
    assert_eq!(names.join(" "), all);
    for (name, row) in names.into_iter().zip(rows) {
        assert_eq!((number(row, "readers"), number(row, "kills_wanted")), (2, 20), "{row}");
        // A lock need not be fair: on a busy machine it may starve the one or the other.
        if number(row, "starved") == 0 {
            for rate in ["published_per_s", "snapshots_per_s"] {
                assert!(row[rate].as_f64() > Some(0.0), "{rate} in {row}");
            }
        }
        assert_eq!(number(row, "torn") > 0, name == "none", "{row}");
        // Of the writer and the two readers, who has done something has not starved.
        let done = ["published", "snapshots"].map(|it| u64::from(number(row, it) > 0));
        assert!(number(row, "starved") + done[0] + done[1] <= 3, "{row}");
        // A dead holder stops everybody where nobody frees what it held, and nobody elsewhere.
        let (kills, survived) = (number(row, "kills"), number(row, "survived"));
        assert!(kills <= 20, "{row}");
        match name {
            "posix-semaphore" | "rwlock" => {
                assert_eq!((row["end"].as_str(), survived + 1), (Some("hung"), kills), "{row}");
            }
            // How many kills there is time for depends on the machine.
            _ => {
                assert_eq!((row["end"].as_str(), survived), (Some("survived"), kills), "{row}");
                assert!(kills > 0, "{row}");
            }
        }
        // Where nobody is told of a death, half records may be taken for whole.
        if let "mutex" | "seqlock" | "two-slots" = name {
            assert_eq!(number(row, "torn_after_kill"), 0, "{row}");
        }
        assert_eq!(row["repaired"].is_u64(), ["mutex", "seqlock"].contains(&name), "{row}");
    }
}

#[test]
fn the_figures_are_those_of_the_run() {
    for name in ["seqlock", "mutex"] {
        let args = ["--mechanism", name, "--for", "1500ms", "--kills", "100", "--format", "json"];
        let start = Instant::now();
        let outcome = run("race-demo", args.iter().chain(&WITHIN)).exited(0);
        let all = start.elapsed().as_secs_f64();
        let report = json(&outcome.stdout);
        let [row] = list(&report, "mechanisms") else { panic!("one: {report}") };

        // A rate is a count by the time that it took.
        let count = |field: &str| row[field].as_f64().unwrap_or_else(|| panic!("{field} in {row}"));
        if number(row, "starved") == 0 {
            for it in ["published", "snapshots"] {
                let seconds = count(it) / count(&format!("{it}_per_s"));
                assert!((1.5..all).contains(&seconds), "{it} in {seconds} s: {row}");
            }
        }
        // With all the time that it needs, it kills as often as it is to. Many of the killed die in the
        // middle of a publication, and each of these is noticed once.
        assert_eq!([number(row, "kills"), number(row, "survived")], [100, 100], "{row}");
        assert!((2..=100).contains(&number(row, "repaired")), "{row}");
        assert_eq!([number(row, "torn"), number(row, "torn_after_kill")], [0, 0], "{row}");
    }
}

#[test]
fn it_kills_as_often_as_it_says() {
    if !may_trace() {
        e2e::skip("how often race-demo kills: strace may not trace here");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let trace = directory.path().join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-e", "trace=kill", "-e", "signal=none", "-o"]).arg(&trace);
    strace.arg(program("race-demo").get_program()).args(WITHIN);
    strace.args(["--mechanism", "none", "--for", "0s", "--kills", "5", "--format", "json"]);
    let report = json(&Running::start(&mut strace).finish().exited(0).stdout);
    let kills = number(&list(&report, "mechanisms")[0], "kills");
    let trace = std::fs::read_to_string(&trace).expect("what strace has seen");
    let killed = trace.lines().filter(|it| it.contains("SIGKILL)") && it.ends_with("= 0"));
    assert_eq!((killed.count(), kills), (5, 5), "{trace}");
}

#[test]
fn the_table_says_whether_there_was_time_for_all_kills() {
    for (within, kills, over) in [("10m", "3", false), ("0s", "0", true)] {
        let args = format!("--mechanism two-slots --for 0s --kills 3 --within {within}");
        let table = run("race-demo", args.split(' ')).exited(0).stdout;
        let row = table.lines().find(|line| line.starts_with("two-slots")).expect("a row");
        let (_, after_kill) = row.split_once('|').expect("two parts");
        assert_eq!(after_kill.split_whitespace().next(), Some(kills), "{row}");
        assert_eq!(after_kill.contains("survived, time was over"), over, "{row}");
    }
}

#[test]
fn a_child_that_is_killed_by_others_is_an_error() {
    let demo = start("race-demo", ["--mechanism", "none", "--for", "3s"]);
    let children = wait_for_children(&demo, 3);
    assert!(send(children[0], Signal::SIGKILL), "its children run for three seconds");
    let outcome = demo.finish().exited(1);
    let says = format!("child {}: SIGKILL ended it\n  help: what it wrote", children[0]);
    assert!(outcome.stderr.contains(&says), "{outcome:#?}");
    for child in children {
        assert!(!Path::new(&format!("/proc/{child}")).exists(), "child {child} is left");
    }
}

#[test]
fn progress_is_one_line_that_goes_with_the_next() {
    let program = program("race-demo");
    let path = program.get_program().to_str().expect("a path of this workspace");
    let mut demo = OnScreen::start(&[path, "--mechanism", "none", "--for", "1h"], 24, 120);
    demo.wait("none: undisturbed for 1h");
    // Ctrl-C.
    demo.play("\x03", "stopped by SIGINT");
    assert!(!demo.text().contains("none: undisturbed for 1h"), "{}", demo.contents());
    assert_eq!(demo.ended().signal(), Some(Signal::SIGINT as i32));
}

#[test]
fn who_is_stopped_does_not_hang() {
    let kills = ["--mechanism", "seqlock", "--for", "0s", "--kills", "100000", "--format", "json"];
    let mut demo = start("race-demo", kills.iter().chain(&WITHIN));
    // Now writers are killed.
    demo.wait_stderr("kills");
    let children = wait_for_children(&demo, 3);
    let stopped: Vec<_> =
        children.into_iter().filter(|child| send(*child, Signal::SIGSTOP)).collect();
    // Nobody goes on, for longer than anybody must sleep to hang.
    thread::sleep(Duration::from_secs(3));
    for child in stopped {
        send(child, Signal::SIGCONT);
    }
    demo.wait_stderr("kills");
    demo.signal(Signal::SIGINT);
    let outcome = demo.finish().ended_by(Signal::SIGINT);
    // It had not ended before: not as hung, and not as starved.
    assert_eq!(list(&json(&outcome.stdout), "mechanisms").len(), 0, "{outcome:#?}");
}

#[test]
fn ctrl_c_keeps_what_was_measured() {
    let args = ["--for", "10ms", "--kills", "1"];
    let mut demo = start("race-demo", args.iter().chain(&WITHIN));
    demo.wait_stdout("none ");
    demo.signal(Signal::SIGINT);
    let _ = demo.finish().ended_by(Signal::SIGINT);

    let mut demo = start("race-demo", args.iter().chain(&WITHIN).chain(&["--format", "json"]));
    demo.wait_stdout("none");
    demo.signal(Signal::SIGINT);
    let report = json(&demo.finish().ended_by(Signal::SIGINT).stdout);
    assert_eq!(list(&report, "counts").len(), 2, "{report}");
    assert_eq!(list(&report, "mechanisms")[0]["mechanism"].as_str(), Some("none"), "{report}");

    let demo = start("race-demo", ["--for", "1h", "--format", "json"]);
    wait_for_children(&demo, 2);
    demo.signal(Signal::SIGINT);
    let report = json(&demo.finish().ended_by(Signal::SIGINT).stdout);
    assert_eq!((list(&report, "counts").len(), list(&report, "mechanisms").len()), (0, 0));
}

#[test]
fn ctrl_c_leaves_neither_a_process_nor_a_semaphore_set() {
    let mut demo = start("race-demo", ["--mechanism", "semaphore", "--for", "1h"]);
    let set = set_of(&demo.wait_stderr("semaphore set"));
    assert!(semaphore_sets().contains(&set), "no set {set}");
    let children = wait_for_children(&demo, 3);
    demo.signal(Signal::SIGINT);
    let _ = demo.finish().ended_by(Signal::SIGINT);
    assert!(!semaphore_sets().contains(&set), "set {set} is left");
    for child in children {
        assert!(!Path::new(&format!("/proc/{child}")).exists(), "child {child} is left");
    }
}

/// The children of `demo`, as soon as it has as many.
fn wait_for_children(demo: &Running, number: usize) -> Vec<i32> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let children = children_of(demo.pid().as_raw());
        if children.len() >= number {
            return children;
        }
        assert!(Instant::now() < deadline, "{number} children, not {children:?}");
        thread::yield_now();
    }
}

/// Whether the process was there to get the signal.
fn send(process: i32, signal: Signal) -> bool {
    kill(Pid::from_raw(process), signal).is_ok()
}

/// The process ids of the children of `parent`: see proc_pid_stat(5).
fn children_of(parent: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("/proc");
    let child = |entry: std::io::Result<DirEntry>| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = common::proc::stat(pid).ok()?;
        (stat.parent == parent).then_some(pid)
    };
    processes.filter_map(child).collect()
}
