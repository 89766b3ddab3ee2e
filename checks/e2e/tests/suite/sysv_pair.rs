//! shm-sysv-writer and shm-sysv-reader, as two people would run them in two terminals.

use common::sysv::{Key, Segment};
use common::{ReadOnly, SharedConnStat};
use e2e::{Outcome, Running, TestKey, run, start};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::observe::{counts_from_the_start, counts_printed, counts_seen, rights, with_umask};

const WRITER: &str = "shm-sysv-writer";
const READER: &str = "shm-sysv-reader";
/// More ticks than any test waits for: the program runs until the test ends it.
const ENDLESS: &str = "1000000000";

/// Starts `program` on `key`, with the rest of the arguments separated by spaces.
fn on(program: &str, key: &TestKey, args: &str) -> Running {
    start(program, ["--key", &key.arg()].into_iter().chain(args.split_whitespace()))
}

/// Runs `program` on `key` to its end, which must be a good one.
#[track_caller]
fn done(program: &str, key: &TestKey, args: &str) -> Outcome {
    on(program, key, args).finish().exited(0)
}

/// The record under `key`, as one more process that attaches the segment loads it.
fn count_under(key: &TestKey) -> i32 {
    let segment = key.segment().expect("the segment is there");
    segment.attach::<SharedConnStat, ReadOnly>().expect("it can be attached").load().count
}

/// Whether nothing is left of `key`, whatever its size.
fn nothing_under(key: &TestKey) -> bool {
    e2e::segments().iter().all(|it| Key::Number(it.key) != key.key())
}

/// The shmid in the line `shmget: segment ID, ...`.
fn shmid(line: &str) -> i32 {
    let id = line.strip_prefix("shmget: segment ").and_then(|rest| rest.split(',').next());
    id.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("no shmid in {line:?}"))
}

#[test]
fn a_reader_sees_the_counts_of_a_writer_that_runs() {
    let key = TestKey::new();
    let mut writer = on(WRITER, &key, &format!("-n {ENDLESS} -i 10ms"));
    let printed = writer.wait_stdout("count: 3");
    assert_eq!(printed, "count: 3");

    let reader = done(READER, &key, "-n 5 -i 10ms --keep");
    let seen = counts_seen(&reader.stdout, "127.0.0.1");
    assert_eq!(seen.len(), 5);
    assert!(seen[0] >= 3, "counted before the reader came: {seen:?}");
    assert!(reader.stderr.contains(", found\n"), "{reader:#?}");
    assert!(!reader.stderr.contains("no writer has been here"), "{reader:#?}");
    assert!(!reader.stderr.contains("old record"), "{reader:#?}");

    // What it saw last, the writer has printed or is about to.
    let last = seen[4];
    if last > 3 {
        writer.wait_stdout(&format!("count: {last}"));
    }
}

#[test]
fn a_removed_segment_of_another_size_is_no_writer_s() {
    let segment = Segment::create(Key::Private, 4096, 0o600).expect("a segment");
    let attached = segment.attach_words::<ReadOnly>();
    segment.remove().expect("removed");
    let _attached = attached.expect("attached");
    let reader = done(READER, &TestKey::new(), "-n 1 -i 0s");
    let advice = reader.stderr.lines().find(|line| line.contains("no writer has been here yet"));
    let advice = advice.unwrap_or_else(|| panic!("{reader:#?}"));
    assert!(!advice.contains(&format!("segment {},", segment.id())), "{reader:#?}");
}

#[test]
fn a_reader_that_comes_first_sees_the_whole_run() {
    let key = TestKey::new();
    let mut reader = on(READER, &key, &format!("-n {ENDLESS} -i 5ms"));
    reader.wait_stderr(", created");
    reader.wait_stderr("no writer has been here yet");
    assert_eq!(reader.wait_stdout("count: "), "ip = , count: 0");

    let writer = done(WRITER, &key, "-n 20 -i 10ms");
    assert_eq!(counts_printed(&writer.stdout), (1..=20).collect::<Vec<_>>());
    assert!(writer.stderr.contains(", found\n"), "{writer:#?}");
    reader.wait_stdout("ip = 127.0.0.1, count: 20");

    reader.signal(Signal::SIGTERM);
    let reader = reader.finish().ended_by(Signal::SIGTERM);
    assert_eq!(counts_from_the_start(&reader.stdout, "127.0.0.1").last(), Some(&20));
    assert!(nothing_under(&key));
}

#[test]
fn a_reader_that_comes_last_finds_the_record_and_removes_the_segment() {
    let key = TestKey::new();
    let writer = done(WRITER, &key, "-n 20 -i 0s");
    assert_eq!(counts_printed(&writer.stdout).last(), Some(&20));
    assert!(writer.stderr.contains("stays (0 attached)"), "{writer:#?}");
    assert_eq!(key.segment().expect("it stays").status().expect("status").size, 68);

    let reader = done(READER, &key, "-n 3 -i 0s");
    assert_eq!(reader.stdout, "ip = 127.0.0.1, count: 20\n".repeat(3));
    assert!(reader.stderr.contains("shmctl(IPC_RMID): segment"), "{reader:#?}");
    assert!(nothing_under(&key));
}

#[test]
fn the_segment_stays_if_the_reader_is_told_to_keep_it() {
    let key = TestKey::new();
    let _ = done(WRITER, &key, "-n 2 -i 0s");
    for _ in 0..2 {
        let reader = done(READER, &key, "-n 1 -i 0s --keep");
        assert_eq!(reader.stdout, "ip = 127.0.0.1, count: 2\n");
        let status = key.segment().expect("kept").status().expect("status");
        assert_eq!((status.attached, status.marked_for_destruction), (0, false));
    }
}

#[test]
fn a_writer_goes_on_when_the_reader_removes_the_segment_under_it() {
    let key = TestKey::new();
    let mut writer = on(WRITER, &key, &format!("-n {ENDLESS} -i 10ms"));
    let id = shmid(&writer.wait_stderr("shmget: "));
    writer.wait_stdout("count: 1");

    let _ = done(READER, &key, "-n 1 -i 0s");
    assert!(nothing_under(&key), "the key is free at once");
    let status = Segment::from_id(id).and_then(|it| it.status()).expect("still attached");
    assert_eq!((status.key, status.attached, status.marked_for_destruction), (0, 1, true));

    writer.wait_stdout("count: ");
    writer.signal(Signal::SIGTERM);
    let writer = writer.finish().ended_by(Signal::SIGTERM);
    assert!(writer.stderr.contains("is gone: it was removed meanwhile"), "{writer:#?}");
    assert!(e2e::segments().iter().all(|it| it.id != id), "the last detach destroys it");
}

#[test]
fn a_writer_starts_again_at_0() {
    let key = TestKey::new();
    for _ in 0..2 {
        let writer = done(WRITER, &key, "-n 3 -i 0s");
        assert_eq!(counts_printed(&writer.stdout), [1, 2, 3]);
    }
}

#[test]
fn a_writer_that_joins_counts_on_and_leaves_the_text() {
    let key = TestKey::new();
    let joined = done(WRITER, &key, "-n 2 -i 0s --join --ip 10.0.0.1");
    assert_eq!(counts_printed(&joined.stdout), [1, 2], "there was nothing to join");
    let joined = done(WRITER, &key, "-n 2 -i 0s --join --ip 10.0.0.2");
    assert_eq!(counts_printed(&joined.stdout), [3, 4]);
    let reader = done(READER, &key, "-n 1 -i 0s");
    assert_eq!(reader.stdout, "ip = 10.0.0.1, count: 4\n");
}

#[test]
fn four_writers_that_join_lose_no_count() {
    const EACH: i32 = 100_000;
    let key = TestKey::new();
    let writers: Vec<_> =
        (0..4).map(|_| on(WRITER, &key, &format!("--join -n {EACH} -i 0s"))).collect();
    let mut printed = Vec::new();
    for writer in writers {
        let counts = counts_printed(&writer.finish().exited(0).stdout);
        assert!(counts.is_sorted());
        printed.extend(counts);
    }
    assert_eq!(count_under(&key), 4 * EACH);
    // And each of them got counts that nobody else got.
    printed.sort_unstable();
    assert!(printed.into_iter().eq(1..=4 * EACH));
}

#[test]
fn an_ipv6_address_arrives_whole() {
    let key = TestKey::new();
    let longest = "fd12:3456:789a:bcde:fedc:ba98:7654:3210";
    let _ = done(WRITER, &key, &format!("-n 1 -i 0s --ip {longest}"));
    let reader = done(READER, &key, "-n 1 -i 0s");
    assert_eq!(reader.stdout, format!("ip = {longest}, count: 1\n"));
}

#[test]
fn a_key_in_hexadecimal_is_the_same_key() {
    let key = TestKey::new();
    let Key::Number(number) = key.key() else { unreachable!("a test's key is a number") };
    let writer = run(WRITER, ["-k", &format!("{number:#x}"), "-n", "1", "-i", "0s"]).exited(0);
    assert!(writer.stderr.contains(&format!("key {number} (0x{number:08x})")), "{writer:#?}");
    let reader = done(READER, &key, "-n 1 -i 0s");
    assert_eq!(reader.stdout, "ip = 127.0.0.1, count: 1\n");
}

#[test]
fn a_file_and_a_project_id_name_a_segment_too() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("name");
    std::fs::write(&file, "").expect("a file");
    let file = file.to_str().expect("a path in UTF-8");
    let by_file = |program, proj_id| {
        let args = ["--ftok", file, "--proj-id", proj_id, "-n", "1", "-i", "0s"];
        let running = start(program, args);
        let created = running.created();
        (running.finish().exited(0), created)
    };
    let (writer, created) = by_file(WRITER, "7");
    assert!(writer.stderr.contains(", created\n"), "{writer:#?}");
    let Key::Number(key) = Key::ftok(file.as_ref(), 7).expect("a key") else { unreachable!() };
    assert_eq!(created.segments().iter().map(|it| it.key).collect::<Vec<_>>(), [key]);

    let (other, _created) = by_file(READER, "8");
    assert_eq!(other.stdout, "ip = , count: 0\n", "another id, another segment");
    let (reader, _created) = by_file(READER, "7");
    assert_eq!(reader.stdout, "ip = 127.0.0.1, count: 1\n");
    assert_eq!(created.segments(), [], "the reader removes it");
}

#[test]
fn a_private_segment_is_read_by_its_shmid() {
    let start_private = || {
        let mut writer = start(WRITER, ["-k", "private", "-n", ENDLESS, "-i", "10ms"]);
        let created = writer.created();
        let id = shmid(&writer.wait_stderr("shmget: "));
        (writer, created, id)
    };
    let (mut writer, created, id) = start_private();
    let (_other_writer, _other_created, other_id) = start_private();
    assert_ne!(id, other_id, "each private segment is another one");

    writer.wait_stdout("count: 3");
    let reader = run(READER, ["--id", &id.to_string(), "-n", "2", "-i", "10ms"]).exited(0);
    assert!(counts_seen(&reader.stdout, "127.0.0.1")[0] >= 3, "{reader:#?}");
    writer.signal(Signal::SIGTERM);
    let _ = writer.finish().ended_by(Signal::SIGTERM);
    assert_eq!(created.segments(), [], "the reader removes it");
}

#[test]
fn exclusive_means_a_new_segment_or_none() {
    let key = TestKey::new();
    let first = done(WRITER, &key, "-n 2 -i 0s --exclusive");
    assert!(first.stderr.contains(", created\n"), "{first:#?}");
    let second = on(WRITER, &key, "-n 1 -i 0s --exclusive").finish().exited(1);
    assert!(second.stderr.contains("EEXIST"), "{second:#?}");
    assert_eq!((second.stdout.as_str(), count_under(&key)), ("", 2), "and nothing has changed");
}

#[test]
fn the_mode_of_a_new_segment_is_the_one_asked_for() {
    for (args, mode) in [("", 0o600), ("--mode 0640", 0o640), ("-m 666", 0o666)] {
        let key = TestKey::new();
        let mut writer = e2e::program(WRITER);
        writer.args(["-k", &key.arg(), "-n", "1", "-i", "0s"]).args(args.split_whitespace());
        // Unlike a file's, a segment's mode is not subject to the umask.
        let _ = Running::start(&mut with_umask("077", &writer)).finish().exited(0);
        let status = key.segment().expect("a segment").status().expect("status");
        assert_eq!(status.mode, mode, "{args}");
    }
}

#[test]
fn the_reader_attaches_for_loads_only() {
    let key = TestKey::new();
    let Key::Number(number) = key.key() else { unreachable!("a test's key is a number") };
    let rights_of = |pid: Pid| rights(pid, &format!("/SYSV{number:08x} (deleted)"));
    let mut writer = on(WRITER, &key, &format!("-n {ENDLESS} -i 10ms"));
    let mut reader = on(READER, &key, &format!("-n {ENDLESS} -i 10ms"));
    writer.wait_stdout("count: ");
    reader.wait_stdout("ip = ");
    assert_eq!(rights_of(writer.pid()), ["rw-s"]);
    assert_eq!(rights_of(reader.pid()), ["r--s"]);
    assert_eq!(key.segment().expect("a segment").status().expect("status").attached, 2);
}

#[test]
fn each_call_is_narrated_with_its_result() {
    let key = TestKey::new();
    let writer = done(WRITER, &key, "-n 1 -i 0s");
    let id = key.segment().expect("a segment").id();
    let reader = done(READER, &key, "-n 1 -i 0s");
    let lines: Vec<_> = writer.stderr.lines().collect();
    let [who, shmget, shmat, shmdt, stays] = lines[..] else { panic!("{writer:#?}") };
    assert!(who.starts_with(&format!("writer, pid {}, key ", writer.pid)), "{who}");
    assert_eq!(shmget, format!("shmget: segment {id}, 68 bytes, mode 0600, created"));
    assert!(shmat.starts_with("shmat: Memory attached at 0x"), "{shmat}");
    assert!(!shmat.contains("read-only"), "{shmat}");
    assert_eq!(shmdt, "shmdt: detached");
    assert!(
        stays.starts_with(&format!("segment {id} stays (0 attached): ipcrm -m {id} ")),
        "{stays}"
    );

    let lines: Vec<_> = reader.stderr.lines().collect();
    let [who, shmget, shmat, old, shmdt, removed] = lines[..] else { panic!("{reader:#?}") };
    assert!(who.starts_with(&format!("reader, pid {}, key ", reader.pid)), "{who}");
    assert_eq!(shmget, format!("shmget: segment {id}, 68 bytes, mode 0600, found"));
    assert!(shmat.starts_with("shmat: Memory attached at 0x"), "{shmat}");
    assert!(shmat.ends_with(", read-only"), "{shmat}");
    assert!(
        old.starts_with("an old record: nobody else is attached; in another terminal: "),
        "{old}"
    );
    assert_eq!(shmdt, "shmdt: detached");
    assert_eq!(removed, format!("shmctl(IPC_RMID): segment {id} removed"));
}

#[test]
fn without_arguments_the_texts_numbers_apply() {
    let key = TestKey::new();
    let writer = done(WRITER, &key, "-i 0s");
    assert_eq!(counts_printed(&writer.stdout), (1..=50).collect::<Vec<_>>());
    let reader = done(READER, &key, "-i 0s");
    assert_eq!(counts_seen(&reader.stdout, "127.0.0.1"), [50; 10]);
    // The key itself is a person's own, so a test must not use it.
    for program in [WRITER, READER] {
        let help = run(program, ["--help"]).exited(0);
        assert!(help.stdout.contains("[default: 1234]"), "{help:#?}");
        assert!(help.stdout.contains("[default: 1s]"), "{help:#?}");
    }
}
