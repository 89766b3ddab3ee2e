//! race-demo: what its figures must be, whatever the machine.

use std::fs::DirEntry;
use std::path::Path;
use std::time::Instant;

use e2e::{DEADLINE, run, start};
use nix::sys::signal::Signal;
use serde_json::Value;

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

#[test]
fn the_race_is_shown_and_cured() {
    let args = ["--format", "json", "--for", "1s", "--kills", "10", "--readers", "2"];
    let outcome = run("race-demo", args).exited(0);
    let set = outcome.stderr.lines().find(|line| line.contains("semaphore set"));
    assert!(!semaphore_sets().contains(&set_of(set.expect("its id"))), "{outcome:#?}");
    let rows: Vec<Value> = serde_json::from_str(&outcome.stdout).expect("JSON");
    let names: Vec<_> = rows.iter().map(|row| row["mechanism"].as_str()).collect();
    assert_eq!(names, ["none", "semaphore", "mutex", "seqlock"].map(Some));
    for row in &rows {
        let figure = |name: &str| row[name].as_f64().unwrap_or_else(|| panic!("{name} in {row}"));
        for name in ["published", "snapshots", "published_per_s", "snapshots_per_s"] {
            assert!(figure(name) > 0.0, "{name} in {row}");
        }
        assert_eq!((row["readers"].as_u64(), row["kills"].as_u64()), (Some(2), Some(10)), "{row}");
        assert_eq!(row["survived"].as_u64(), Some(10), "{row}");
        match row["mechanism"].as_str() {
            Some("none") => assert!(figure("torn") > 0.0, "{row}"),
            _ => assert_eq!(row["torn"].as_u64(), Some(0), "{row}"),
        }
        // Of the semaphore no such thing can be said: see docs/the-race.md.
        if let Some("mutex" | "seqlock") = row["mechanism"].as_str() {
            assert_eq!(row["torn_after_kill"].as_u64(), Some(0), "{row}");
        }
    }

    // Ctrl-C in the middle leaves neither a process nor a semaphore set.
    let mut demo = start("race-demo", ["--mechanism", "semaphore", "--for", "1h"]);
    let set = set_of(&demo.wait_stderr("semaphore set"));
    assert!(semaphore_sets().contains(&set), "no set {set}");
    let deadline = Instant::now() + DEADLINE;
    let mut children = Vec::new();
    while children.len() < 3 {
        assert!(Instant::now() < deadline, "a writer and two readers, not {children:?}");
        children = children_of(demo.pid().as_raw());
    }
    demo.signal(Signal::SIGINT);
    let _ = demo.finish().ended_by(Signal::SIGINT);
    assert!(!semaphore_sets().contains(&set), "set {set} is left");
    for child in children {
        assert!(!Path::new(&format!("/proc/{child}")).exists(), "child {child} is left");
    }
}

/// The process ids of the children of `parent`: see proc_pid_stat(5).
fn children_of(parent: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("/proc");
    let child = |entry: std::io::Result<DirEntry>| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let (pid, rest) = stat.split_once(' ')?;
        let its_parent: i32 = rest.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        (its_parent == parent).then(|| pid.parse().ok()).flatten()
    };
    processes.filter_map(child).collect()
}
