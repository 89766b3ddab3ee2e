//! shm-sysv-lifecycle: the listing's output, and the evidence for each claim.

use std::sync::OnceLock;

use e2e::{Outcome, Running, start};

/// One run, for all tests: each looks at another part of what it printed.
fn outcome() -> &'static Outcome {
    static OUTCOME: OnceLock<Outcome> = OnceLock::new();
    OUTCOME.get_or_init(|| {
        let running = start("shm-sysv-lifecycle", [""; 0]);
        let _created = running.created();
        running.finish().exited(0)
    })
}

/// What is narrated of the claim `number`: the lines after its heading.
#[track_caller]
fn claim(number: usize) -> Vec<&'static str> {
    let heading = format!("{number}. ");
    let lines = outcome().stderr.lines().skip_while(|line| !line.starts_with(&heading)).skip(1);
    let evidence: Vec<_> = lines.map_while(|line| line.strip_prefix("   ")).collect();
    assert!(!evidence.is_empty(), "no claim {number}: {:#?}", outcome());
    evidence
}

/// The number in `line` between `before` and `after`.
#[track_caller]
fn number(line: &str, before: &str, after: &str) -> i32 {
    let text = line.strip_prefix(before).and_then(|rest| rest.split(after).next());
    text.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("no {before}N{after} in {line:?}"))
}

#[test]
fn the_listing_prints_what_the_book_shows() {
    let lines: Vec<_> = outcome().stdout.lines().collect();
    let [attached, size, reattached, text] = lines[..] else { panic!("{:#?}", outcome()) };
    assert!(attached.starts_with("shared memory attached at address 0x"), "{attached}");
    assert_eq!(size, "segment size: 25600");
    assert_eq!(reattached, "shared memory reattached at address 0x5000000");
    assert_eq!(text, "Hello, world.");
}

#[test]
fn nothing_that_it_tries_ends_otherwise_than_claimed() {
    assert!(!outcome().stderr.contains("unexpected"), "{:#?}", outcome());
    assert!(!outcome().stderr.contains("error"), "{:#?}", outcome());
}

#[test]
fn the_size_is_as_given_and_the_pages_are_whole() {
    let [stat, maps, mapped] = claim(1)[..] else { panic!("{:#?}", claim(1)) };
    assert_eq!(stat, "IPC_STAT: 25600 bytes");
    assert!(maps.contains(" rw-s ") && maps.contains(" /SYSV00000000 "), "{maps}");
    assert_eq!(mapped, "mapped: 28672 bytes, 7 pages of 4096");
}

#[test]
fn an_unaligned_address_is_refused_or_rounded() {
    let [refused, rounded] = claim(2)[..] else { panic!("{:#?}", claim(2)) };
    assert!(refused.starts_with("shmat, segment "), "{refused}");
    assert!(refused.ends_with(" at 0x5000001: EINVAL (Invalid argument)"), "{refused}");
    assert_eq!(rounded, "shmat at 0x5000001 with SHM_RND: attached at 0x5000000");
}

#[test]
fn a_read_only_attachment_is_read_only_to_the_kernel() {
    let [maps, loaded] = claim(3)[..] else { panic!("{:#?}", claim(3)) };
    assert!(maps.contains(" r--s "), "{maps}");
    assert_eq!(loaded, "loaded: Hello, world.");
}

#[test]
fn a_forked_child_inherits_the_attachment_and_detaches_its_own() {
    let lines = claim(4);
    let [parent, child, loaded, detached] = lines[..] else { panic!("{lines:#?}") };
    assert_eq!(parent, format!("parent {}: nattch 1", outcome().pid));
    let pid = number(child, "child ", ":");
    assert_ne!(pid, outcome().pid.as_raw());
    assert_eq!(child, format!("child {pid}: nattch 2"));
    assert_eq!(loaded, format!("child {pid}: loaded: Hello, world."));
    assert_eq!(detached, format!("child {pid}: shmdt: nattch 1"));
}

#[test]
fn exec_detaches() {
    let lines = claim(5);
    let [before, after] = lines[..] else { panic!("{lines:#?}") };
    let pid = number(before, "child ", ":");
    assert!(before.contains(": attached at 0x") && before.ends_with(", calls exec"), "{before}");
    assert_eq!(after, format!("child {pid}: after exec, nattch 1: the parent alone"));
}

#[test]
fn exit_detaches_and_frees_nothing() {
    let lines = claim(6);
    let [child, parent] = lines[..] else { panic!("{lines:#?}") };
    assert!(child.ends_with(": nattch 1, exits without shmdt"), "{child}");
    let expected = format!("parent {}: nattch 0, 25600 bytes still there", outcome().pid);
    assert_eq!(parent, expected);
}

#[test]
fn exclusive_creation_says_that_the_key_is_taken() {
    let [refused] = claim(7)[..] else { panic!("{:#?}", claim(7)) };
    assert!(refused.starts_with("shmget, key "), "{refused}");
    assert!(refused.ends_with(": EEXIST (File exists)"), "{refused}");
}

#[test]
fn removal_takes_the_key_at_once_and_the_memory_with_the_last_detach() {
    let lines = claim(8);
    let [attached, marked, gone] = lines[..] else { panic!("{lines:#?}") };
    assert!(attached.starts_with("attached:  key 0x51"), "{attached}");
    assert!(attached.ends_with(", nattch 1, SHM_DEST not set"), "{attached}");
    assert_eq!(marked, "IPC_RMID:  key 0x00000000, nattch 1, SHM_DEST set");
    assert!(gone.starts_with("shmdt:     shmctl(IPC_STAT), segment "), "{gone}");
    assert!(gone.contains(": EINVAL (") || gone.contains(": EIDRM ("), "{gone}");
}

#[test]
fn it_leaves_no_segment() {
    let mut running = start("shm-sysv-lifecycle", [""; 0]);
    let created = running.created();
    running.wait_stdout("segment size: ");
    let outcome = running.finish().exited(0);
    assert_eq!(created.segments(), [], "{outcome:#?}");
    assert_eq!(outcome.stderr.matches("shmctl(IPC_RMID): segment ").count(), 1, "{outcome:#?}");
}

#[test]
fn several_at_once_do_not_disturb_each_other() {
    // Each at the same address, each in an address space of its own.
    let running: Vec<_> = (0..4).map(|_| start("shm-sysv-lifecycle", [""; 0])).collect();
    let created: Vec<_> = running.iter().map(Running::created).collect();
    for running in running {
        let outcome = running.finish().exited(0);
        assert!(outcome.stdout.ends_with("at address 0x5000000\nHello, world.\n"), "{outcome:#?}");
        assert!(!outcome.stderr.contains("unexpected"), "{outcome:#?}");
    }
    assert!(created.iter().all(|it| it.segments().is_empty()));
}

#[test]
fn a_class_has_time_to_look_after_each_step() {
    // Nobody types anything here: the end of stdin counts as Enter.
    let outcome = start("shm-sysv-lifecycle", ["--step"]).finish().exited(0);
    let pauses = outcome.stderr.matches("Enter goes on").count();
    let steps = outcome.stderr.matches("\n\n").count();
    assert!(pauses >= steps && steps >= 8, "{pauses} pauses in {steps} steps: {outcome:#?}");
}
