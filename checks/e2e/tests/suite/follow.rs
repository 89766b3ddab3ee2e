//! `--follow`: each change as it happens, asleep in between, until the writer has gone.

use common::sysv::Segment;
use common::{ConnStat, ReadOnly, ReadWrite, SharedConnStat};
use e2e::{TestKey, run, start};
use nix::sys::signal::Signal;

use crate::observe::{counts_from_the_start, counts_printed, counts_seen};

/// More ticks than any test waits for: the program runs until the test ends it.
const ENDLESS: &str = "1000000000";

#[test]
fn a_follower_of_a_segment_shows_the_changes_and_the_end() {
    let key = TestKey::new();
    let mut reader = start("shm-sysv-reader", ["--follow", "-k", &key.arg(), "-i", "20ms"]);
    reader.wait_stderr("no writer has been here yet");
    let mut writer = start("shm-sysv-writer", ["-k", &key.arg(), "-n", ENDLESS, "-i", "20ms"]);
    // The writer goes when the reader has seen it: a reader may come late on a busy machine.
    for _ in 0..3 {
        reader.wait_stdout("count: ");
    }
    writer.wait_stdout("count: ");
    writer.signal(Signal::SIGTERM);
    let written = writer.finish().ended_by(Signal::SIGTERM);
    let followed = reader.finish().exited(0);

    let seen = counts_from_the_start(&followed.stdout, "127.0.0.1");
    assert!(seen.is_sorted_by(|earlier, later| earlier < later), "{seen:?}");
    assert_eq!(
        seen.last(),
        counts_printed(&written.stdout).last(),
        "the last change is never missed"
    );
    assert!(followed.stderr.contains("the writer has gone"), "{}", followed.stderr);
    assert!(key.segment().is_none(), "the reader removes the segment");
}

#[test]
fn a_follower_of_a_file_shows_the_changes_and_the_end() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("record");
    let file = file.to_str().expect("a name");
    let mut reader = start("mmap-file-reader", ["--follow", file, "-i", "20ms"]);
    reader.wait_stderr("no record there yet");
    let mut writer = start("mmap-file-writer", [file, "-n", ENDLESS, "-i", "20ms"]);
    // The writer goes when the reader has seen it: a reader may come late on a busy machine.
    for _ in 0..3 {
        reader.wait_stdout("count: ");
    }
    writer.wait_stdout("count: ");
    writer.signal(Signal::SIGTERM);
    let written = writer.finish().ended_by(Signal::SIGTERM);
    let followed = reader.finish().exited(0);

    let seen = counts_seen(&followed.stdout, "127.0.0.1");
    assert!(seen.is_sorted_by(|earlier, later| earlier < later), "{seen:?}");
    assert_eq!(
        seen.last(),
        counts_printed(&written.stdout).last(),
        "the last change is never missed"
    );
    assert!(followed.stderr.contains("the writer has gone"), "{}", followed.stderr);
}

#[test]
fn a_follower_is_woken_and_does_not_poll() {
    let key = TestKey::new();
    // With an interval of an hour, whatever arrives before the deadline was brought by a wake-up.
    let mut reader = start("shm-sysv-reader", ["-f", "-k", &key.arg(), "-i", "1h"]);
    reader.wait_stderr("no writer has been here yet");
    // Somebody who stays, so that the reader has company between the writers.
    let segment = Segment::open(key.key(), size_of::<SharedConnStat>()).expect("the reader's");
    let company = segment.attach::<SharedConnStat, ReadOnly>().expect("attached");
    // One writer for each count, so that the reader has seen one before the next one comes.
    for count in 1..=3 {
        let _ =
            run("shm-sysv-writer", ["-k", &key.arg(), "--join", "-n", "1", "-i", "0s"]).exited(0);
        reader.wait_stdout(&format!("count: {count}"));
    }
    drop(company);
    reader.signal(Signal::SIGINT);
    let followed = reader.finish().ended_by(Signal::SIGINT);
    assert!(followed.stderr.contains("removed"), "it cleans up: {}", followed.stderr);
}

#[test]
fn a_writer_that_wakes_nobody_is_seen_within_the_interval() {
    let key = TestKey::new();
    let mut reader = start("shm-sysv-reader", ["-f", "-k", &key.arg(), "-i", "20ms"]);
    reader.wait_stderr("no writer has been here yet");
    let segment = Segment::open(key.key(), size_of::<SharedConnStat>()).expect("the reader's");
    let silent = segment.attach::<SharedConnStat, ReadWrite>().expect("attached");
    silent.writer().store(&ConnStat::new([10, 0, 0, 1].into()));
    for count in 1..=3 {
        assert_eq!(silent.writer().increment(), count);
        reader.wait_stdout(&format!("ip = 10.0.0.1, count: {count}"));
    }
    drop(silent);
    reader.wait_stderr("the writer has gone");
    assert!(reader.finish().exited(0).stdout.ends_with("count: 3\n"));
}

#[test]
fn a_follower_notices_a_killed_writer() {
    let key = TestKey::new();
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("record");
    let file = file.to_str().expect("a name");
    let key_arg = key.arg();
    let pairs: [(&str, &[&str], &str, &[&str]); 2] = [
        (
            "shm-sysv-writer",
            &["-k", &key_arg],
            "shm-sysv-reader",
            &["-f", "-k", &key_arg, "-i", "20ms"],
        ),
        ("mmap-file-writer", &[file], "mmap-file-reader", &["-f", file, "-i", "20ms"]),
    ];
    for (writer, writer_args, reader, reader_args) in pairs {
        let mut writer = start(writer, writer_args);
        writer.wait_stdout("count: 1");
        let mut reader = start(reader, reader_args);
        reader.wait_stdout("count: ");
        writer.signal(Signal::SIGKILL);
        reader.wait_stderr("the writer has gone");
        let _ = reader.finish().exited(0);
    }
}
