//! System V segments. These lessons make private segments, and leave none.

use e2e::{Outcome, Running, example, skip};

use super::lesson;

/// Runs a lesson that makes segments, and looks whether any is left.
#[track_caller]
fn leaves_nothing(name: &str) -> Outcome {
    let running = Running::start(&mut example(name));
    let created = running.created();
    let outcome = running.finish().exited(0);
    assert_eq!(created.segments(), [], "{outcome:#?}");
    outcome
}

fn lines(outcome: &Outcome) -> Vec<&str> {
    outcome.stdout.lines().collect()
}

#[test]
fn nattch_counts_mappings() {
    let outcome = leaves_nothing("nattch");
    let expected = [
        "attached once: nattch 1",
        "attached twice: nattch 2",
        "stored 7 in the first, loaded from the second: 7",
        "in a forked child: nattch 4",
        "the child has ended: nattch 2",
        "in a child as of vfork: nattch 2",
        "in a second thread: nattch 2",
        "detached once: nattch 1",
        "detached twice: EINVAL",
    ];
    assert_eq!(lines(&outcome), expected, "{outcome:#?}");
}

#[test]
fn ipc_set_is_for_those_who_come_later() {
    let outcome = leaves_nothing("ipc-set");
    let who = if nix::unistd::geteuid().is_root() { "root" } else { "a user" };
    let lines = lines(&outcome);
    assert_eq!(
        lines[..3],
        [
            "mode 0600, then 0400",
            "owner and size as before: true",
            "a store through the old attachment: 7",
        ]
    );
    // Root may, where it has CAP_IPC_OWNER.
    let answers =
        [format!("shmat for stores, as {who}: EACCES"), "shmat for stores, as root: ok".into()];
    assert!(answers.iter().any(|it| it == lines[3]), "{outcome:#?}");
    assert_eq!(lines[4..], ["shmat with SHM_RDONLY: ok"], "{outcome:#?}");
}

#[test]
fn after_rmid_the_id_still_leads_to_the_segment() {
    let outcome = leaves_nothing("after-rmid");
    let expected = [
        "key 0, nattch 1",
        "marked for destruction: true",
        "shmget by the key: ENOENT",
        "a child, by the id: loaded 7",
        "a child, by the id: nattch 3",
        "a second segment with the key, the same id: false",
        "after the last detach: EINVAL",
    ];
    assert_eq!(lines(&outcome), expected, "{outcome:#?}");
}

#[test]
fn each_flag_has_its_answer() {
    let outcome = leaves_nothing("shm-flags");
    let lines = lines(&outcome);
    let expected = ["shmat where pages are: EINVAL", "SHM_REMAP: ok, the page had 5 and has 0"];
    assert_eq!(lines[..2], expected, "{outcome:#?}");
    // SELinux may forbid SHM_EXEC, a limit SHM_LOCK; the sysctls say what becomes of the others.
    let answers = [
        ("SHM_EXEC: ", &["ok", "EACCES"][..]),
        (
            "SHM_LOCK: ",
            &["ok, SHM_LOCKED true", "ENOMEM, SHM_LOCKED false", "EPERM, SHM_LOCKED false"],
        ),
        ("SHM_HUGETLB: ", &["ENOMEM", "ok", "EPERM"]),
        ("64 TiB: ", &["ENOMEM", "ok"]),
        ("64 TiB, SHM_NORESERVE: ", &["ok", "ENOMEM"]),
    ];
    for (line, (what, answers)) in lines[2..].iter().zip(answers) {
        let answer = line.strip_prefix(what).unwrap_or_else(|| panic!("{outcome:#?}"));
        assert!(answers.contains(&answer), "{outcome:#?}");
    }
    assert_eq!(lines.len(), 7, "{outcome:#?}");
    if lines[2] == "SHM_EXEC: ok" {
        assert!(outcome.stderr.contains("/proc/self/maps: rwxs"), "{outcome:#?}");
    }
    // Where the kernel asks at all, NORESERVE is what makes the difference.
    let asks =
        std::fs::read_to_string("/proc/sys/vm/overcommit_memory").is_ok_and(|it| it.trim() == "0");
    if asks {
        assert_eq!(lines[5..], ["64 TiB: ENOMEM", "64 TiB, SHM_NORESERVE: ok"], "{outcome:#?}");
    }
}

#[test]
fn totals_count_pages_and_what_is_in_memory() {
    let outcome = leaves_nothing("shm-limits");
    if outcome.stderr.contains("skipped") {
        skip(&format!("no IPC namespace here: {}", outcome.stderr));
        return;
    }
    let expected = [
        "SHMMIN 1",
        "shmget, 0 bytes: EINVAL",
        "shmget, SHMMAX + 1 bytes: EINVAL",
        "at first: 0 segments, 0 pages, 0 in memory",
        "seven pages: 1 segments, 7 pages, 0 in memory",
        "three touched: 1 segments, 7 pages, 3 in memory",
        "detached: 0 segments, 0 pages, 0 in memory",
    ];
    assert_eq!(lines(&outcome), expected, "{outcome:#?}");
}

#[test]
fn an_ipc_namespace_hides_ids_and_no_memory() {
    let outcome = lesson("ipc-namespace");
    if outcome.stderr.contains("skipped") {
        skip(&format!("no IPC namespace here: {}", outcome.stderr));
        return;
    }
    let expected = [
        "the id, in the child: EINVAL",
        "segments in the child's namespace: 0",
        "load through the inherited attachment: 7",
        "after the child has made one: 1",
        "the id, in the parent: nattch 1",
    ];
    assert_eq!(lines(&outcome), expected, "{outcome:#?}");
}

#[test]
fn two_files_have_one_key() {
    let outcome = leaves_nothing("ftok-collision");
    if outcome.stderr.contains("skipped") {
        skip(&outcome.stderr);
        return;
    }
    let expected = [
        "one key: true, one file: false",
        "shmget with the other file: EEXIST",
        "with another number: one key: false",
    ];
    assert_eq!(lines(&outcome), expected, "{outcome:#?}");
}
