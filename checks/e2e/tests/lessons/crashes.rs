//! Strangers and crashes.

use e2e::{Running, example, skip};

use super::lesson;

#[test]
fn what_others_have_planted_is_not_opened() {
    let outcome = lesson("tmp-attack");
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let expected = [
        "dangling: O_EXCL EEXIST, O_NOFOLLOW ELOOP",
        "planted: O_EXCL EEXIST, O_NOFOLLOW ok",
        "link: O_EXCL EEXIST, O_NOFOLLOW ELOOP",
        "link: O_TRUNC ok",
        "the dear file: \"\"",
        "dangling: O_CREAT ok, a file there: true",
    ];
    assert_eq!(lines[..6], expected, "{outcome:#?}");
    if outcome.stderr.contains("skipped") {
        skip(&outcome.stderr);
        return;
    }
    let expected =
        ["mode 1777: unlink by a stranger: EPERM", "mode 0777: unlink by a stranger: ok"];
    assert_eq!(lines[6..], expected, "{outcome:#?}");
}

#[test]
fn a_dead_owner_is_found_by_its_start_time() {
    let outcome = lesson("dead-owner");
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let expected = [
        "at first: kill(pid, 0) ok, the owner lives: true",
        "it is stopped: kill(pid, 0) ok, the owner lives: true",
        "it is a zombie: kill(pid, 0) ok, the owner lives: false",
        "its parent has waited: kill(pid, 0) ESRCH, the owner lives: false",
        "another has its pid: kill(pid, 0) ok, the owner lives: false",
    ];
    assert_eq!(lines, expected, "{outcome:#?}");
    let states: Vec<_> = outcome
        .stderr
        .lines()
        .filter_map(|it| Some(it.split_once("state ")?.1.split(',').next()?.to_owned()))
        .collect();
    assert_eq!(states[1..4], ["T", "Z", "-"], "{outcome:#?}");
    if outcome.stderr.contains("skipped") {
        skip(&outcome.stderr);
        return;
    }
    // The number is the same, and really another process has it.
    let evidence: Vec<_> = outcome.stderr.lines().collect();
    let pid = |line: &str| line.split(',').next().map(str::to_owned);
    assert!(evidence.iter().all(|it| pid(it) == pid(evidence[0])), "{outcome:#?}");
    let (_, times) = evidence[4].split_once("started at ").expect("a start time");
    let (now, noted) = times.split_once(", in the lease ").expect("the owner's");
    assert_ne!(now, noted, "{outcome:#?}");
}

#[test]
fn names_are_left_and_the_rest_is_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = Running::start(example("stale").env("TMPDIR", directory.path()));
    let key = 0x5a00_0000 | running.pid().as_raw();
    let semaphore = format!("/dev/shm/sem.lesson-{}", running.pid());
    let outcome = running.finish().exited(0);
    let expected = [
        "before: 1 memfd",
        "after kill -9: 0 memfd",
        "file: \"half a rec\"",
        "named semaphore, made with 1: count 0",
        "robust mutex, EOWNERDEAD: true",
        "segment: 42, nattch 0",
    ];
    assert_eq!(outcome.stdout.lines().collect::<Vec<_>>(), expected, "{outcome:#?}");
    let left: Vec<_> = std::fs::read_dir(directory.path()).expect("the directory").collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!std::path::Path::new(&semaphore).exists(), "{semaphore}");
    let segments = e2e::segments();
    assert!(!segments.iter().any(|it| it.key == key), "{segments:?}");
}
