//! What may lie there: offsets, C's layout, cache lines, headers.

use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use common::links::{BadLink, walk};
use common::sysv::{Key, Segment};
use common::{ReadOnly, ReadWrite, SharedU32};
use e2e::{DEADLINE, Running, TestKey, example};
use nix::sys::signal::Signal;

use super::{peer, prints};

#[test]
fn offsets_lead_to_the_same_nodes_at_both_addresses() {
    prints(
        "offsets",
        &[
            "here: Ok([800, 80, 40880]), there: Ok([800, 80, 40880])",
            "a link to 0: Ok([800, 80, 40880])",
            "a link to 8: Err(Circle)",
            "a link to 42: Err(Unaligned(42))",
            "a link to 4092: Err(Outside(4092))",
            "a link to 4294967295: Err(Outside(4294967295))",
        ],
    );
}

common::shared_record! {
    struct Node {
        value: SharedU32,
        next: SharedU32,
    }
}

/// The links change while they are followed: between a check and a second load, there would be another.
#[test]
fn a_hostile_list_has_an_end_and_leads_nowhere_else() {
    let segment = Segment::create(Key::Private, 4096, 0o600).expect("a segment");
    let here = segment.attach_words::<ReadWrite>().expect("attached");
    let there = segment.attach_words::<ReadOnly>().expect("attached again");
    segment.remove().expect("removed with the last detach");
    let inside = there.as_ptr_range();
    let (start, stop) = (Instant::now(), AtomicBool::new(false));
    let (mut bad, mut circles, mut nodes) = (0, 0, 0);
    let words: &[SharedU32] = &there;
    let writer = here.writer();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = fastrand::Rng::with_seed(1);
            while !stop.load(Relaxed) && start.elapsed() < DEADLINE {
                let link = match random.u8(0..8) {
                    0 => random.u32(..),
                    1 => random.u32(0..4200),
                    _ => 4 * random.u32(0..1024),
                };
                writer.field(|it| &it[random.usize(0..1024)]).store(link, Relaxed);
            }
        });
        for walks in 0..10_000 {
            // Not before the other one has begun, which a busy machine may let wait.
            while walks == 0 && words.iter().all(|it| it.load(Relaxed) == 0) {
                assert!(start.elapsed() < DEADLINE);
            }
            let first = 4 * (walks % 1023 + 1);
            let mut steps = 0;
            for node in walk(words, first, |node: &Node| node.next.load(Relaxed)) {
                steps += 1;
                match node {
                    Ok(node) => {
                        let start = std::ptr::from_ref(node).cast::<SharedU32>();
                        assert!(inside.start <= start && start.addr() + 8 <= inside.end.addr());
                        let _ = node.value.load(Relaxed);
                        nodes += 1;
                    }
                    Err(BadLink::Circle) => circles += 1,
                    Err(_) => bad += 1,
                }
            }
            assert!(steps <= 4096 / 8 + 1, "{steps} steps");
        }
        stop.store(true, Relaxed);
    });
    eprintln!("{nodes} nodes, {bad} bad links, {circles} circles");
    assert!(nodes > 0 && bad > 0, "{nodes} nodes, {bad} bad links");
}

#[test]
fn c_layout_is_the_same_to_both_compilers() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = |command: &mut Command, name: &str| {
        let outcome = Running::start(command.arg(directory.path().join(name))).finish().exited(0);
        outcome.stdout.lines().last().map(str::to_owned).expect("a line")
    };
    let ours = "tag r, value -2, number 300, name Rust";
    let theirs = "tag c, value -2, number 300, name C";
    prints("c-layout", &["C: 20 bytes, Rust's own order: 16"]);
    assert_eq!(run(&mut example("c-layout"), "rust"), ours);
    assert_eq!(run(&mut example("c-layout"), "rust"), ours);
    // A file of another size is no record.
    std::fs::write(directory.path().join("other"), "something else").expect("a file");
    let other = Running::start(example("c-layout").arg(directory.path().join("other"))).finish();
    assert!(other.exited(1).stderr.contains("it has 14 bytes and 20 are wanted"));

    let (Some(mut reads), Some(mut writes)) = (peer("sample"), peer("sample")) else { return };
    assert_eq!(run(&mut reads, "rust"), ours);
    assert_eq!(run(&mut writes, "c"), theirs);
    assert_eq!(run(&mut example("c-layout"), "c"), theirs);
    let bytes = std::fs::read(directory.path().join("c")).expect("the record");
    let value = (-2_i32).to_ne_bytes();
    let number = 300_i16.to_ne_bytes();
    assert_eq!(bytes[..10], [b"c\0\0\0", &value[..], &number[..]].concat());
    assert_eq!(bytes[10..], *b"C\0\0\0\0\0\0\0\0\0", "no secret in the padding");
}

#[test]
fn false_sharing_is_seen_by_the_addresses() {
    // The figures are not looked at: they are another machine's affair.
    let outcome = prints(
        "false-sharing",
        &[
            "4 bytes apart: the same line",
            "60 bytes apart: the same line",
            "64 bytes apart: two lines",
            "128 bytes apart: two lines",
        ],
    );
    assert_eq!(
        outcome.stderr.lines().filter(|it| it.starts_with("   ")).count(),
        4,
        "{outcome:#?}"
    );
}

/// `header` of the lessons, or its counterpart in C.
fn header(language: &str, key: &TestKey) -> Option<Command> {
    match language {
        "C" => peer("header").map(|mut it| {
            it.arg(key.arg());
            it
        }),
        _ => {
            let mut command = example("header");
            command.args(["-k", &key.arg()]);
            Some(command)
        }
    }
}

#[test]
fn header_is_made_by_who_comes_first_and_found_by_the_second() {
    for (first, second) in [("Rust", "Rust"), ("Rust", "C"), ("C", "Rust"), ("C", "C")] {
        let key = TestKey::new();
        let (Some(mut one), Some(mut two)) = (header(first, &key), header(second, &key)) else {
            continue;
        };
        let one = Running::start(&mut one).finish().exited(0);
        assert_eq!(one.stdout, "version 2, 16 bytes: visit 1\n", "{first}");
        // A newer program refuses it, and leaves it as it is.
        let newer = Running::start(example("header").args(["-k", &key.arg(), "-v", "3"])).finish();
        assert!(newer.exited(1).stderr.contains("its layout has version 2"));
        let two = Running::start(&mut two).finish().exited(0);
        assert_eq!(two.stdout, "version 2, 16 bytes: visit 2\nremoved: true\n", "{second}");
    }
}

#[test]
fn header_of_a_slow_creator_is_awaited_and_of_a_dead_one_refused() {
    let key = TestKey::new();
    let Some(mut creator) = header("C", &key) else { return };
    let mut creating = Running::start(creator.arg("stop"));
    // It stops itself between shmget and the header.
    let deadline = Instant::now() + DEADLINE;
    let is_stopped = || common::proc::stat(creating.pid()).is_ok_and(|it| it.state == 'T');
    while !is_stopped() {
        assert!(Instant::now() < deadline, "it does not stop");
        thread::sleep(Duration::from_millis(1));
    }
    // Nobody lets it go on: the next one gives up.
    let refused = Running::start(&mut header("Rust", &key).expect("a command")).finish().exited(1);
    assert!(refused.stderr.ends_with("found: not ready\n"), "{refused:#?}");

    let mut waiting = Running::start(&mut header("Rust", &key).expect("a command"));
    waiting.wait_stderr("not ready: waiting for its creator");
    creating.signal(Signal::SIGCONT);
    // Whoever is faster counts first.
    let visits = [creating.wait_stdout("visit"), waiting.wait_stdout("visit")];
    let number = |line: &String| line.rsplit(' ').next().map(str::to_owned).expect("a number");
    let mut numbers: Vec<_> = visits.iter().map(number).collect();
    numbers.sort();
    assert_eq!(numbers, ["1", "2"]);
    let _ = (creating.finish().exited(0), waiting.finish().exited(0));
    let found = Segment::find(key.key()).expect_err("removed").errno();
    assert_eq!(found, Some(nix::errno::Errno::ENOENT));
}

#[test]
fn header_refuses_what_is_no_number() {
    for arguments in [&["x"][..], &["-k"], &["-k", "x"], &["-k", "99999999999"], &["-v", "2", "y"]]
    {
        let outcome = Running::start(example("header").args(arguments)).finish().exited(1);
        assert!(outcome.stderr.contains("the arguments are [-k 4242] [-v 2]"), "{outcome:#?}");
    }
}
