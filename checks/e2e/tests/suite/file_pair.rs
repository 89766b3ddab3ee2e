//! mmap-file-writer and mmap-file-reader, as two people would run them in two terminals.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use e2e::{Outcome, Running, run, start};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::observe::{
    counts_from_the_start, counts_printed, counts_seen, record, rights, with_umask,
};

const WRITER: &str = "mmap-file-writer";
const READER: &str = "mmap-file-reader";
/// More ticks than any test waits for: the program runs until the test ends it.
const ENDLESS: &str = "1000000000";

/// A file for one test, not there yet; it goes when the test ends.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("conn_stat")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.file()).expect("the file is there")
    }

    /// Starts `program` on the file, with the rest of the arguments separated by spaces.
    fn on(&self, program: &str, args: &str) -> Running {
        let file = self.file().into_os_string();
        start(program, [file].into_iter().chain(args.split_whitespace().map(Into::into)))
    }

    /// Runs `program` on the file to its end, which must be a good one.
    #[track_caller]
    fn done(&self, program: &str, args: &str) -> Outcome {
        self.on(program, args).finish().exited(0)
    }
}

#[test]
fn a_reader_sees_the_counts_of_a_writer_that_runs() {
    let place = Place::new();
    let mut writer = place.on(WRITER, &format!("-n {ENDLESS} -i 10ms"));
    writer.wait_stdout("count: 3");

    let reader = place.done(READER, "-n 5 -i 10ms");
    let seen = counts_seen(&reader.stdout, "127.0.0.1");
    assert_eq!(seen.len(), 5);
    assert!(seen[0] >= 3, "counted before the reader came: {seen:?}");

    // What it saw last, the writer has printed or is about to.
    if seen[4] > 3 {
        writer.wait_stdout(&format!("count: {}", seen[4]));
    }
}

#[test]
fn a_reader_that_comes_first_waits_for_the_file_and_sees_the_whole_run() {
    let place = Place::new();
    let mut reader = place.on(READER, &format!("-n {ENDLESS} -i 5ms"));
    reader.wait_stderr("no record there yet, waiting up to 30s");
    assert!(!place.file().exists(), "a reader makes no file");

    let writer = place.done(WRITER, "-n 20 -i 10ms");
    assert_eq!(counts_printed(&writer.stdout), (1..=20).collect::<Vec<_>>());
    reader.wait_stdout("ip = 127.0.0.1, count: 20");

    reader.signal(Signal::SIGTERM);
    let reader = reader.finish().ended_by(Signal::SIGTERM);
    assert_eq!(counts_from_the_start(&reader.stdout, "127.0.0.1").last(), Some(&20));
    assert_eq!(place.bytes().len(), 68);
}

#[test]
fn a_reader_waits_for_a_writer_that_has_made_only_an_empty_file() {
    // As a C writer leaves it between its open and its ftruncate.
    let place = Place::new();
    let file = fs::File::create(place.file()).expect("a file");
    let mut reader = place.on(READER, "-n 1 -i 0s");
    reader.wait_stderr("no record there yet");
    file.set_len(68).expect("a longer file");
    assert_eq!(reader.finish().exited(0).stdout, "ip = , count: 0\n");
}

#[test]
fn the_file_stays_with_the_last_record_in_it() {
    let place = Place::new();
    let writer = place.done(WRITER, "-n 20 -i 0s");
    assert_eq!(counts_printed(&writer.stdout).last(), Some(&20));
    let before = place.bytes();
    assert_eq!(record(&before).count, 20);

    let reader = place.done(READER, "-n 3 -i 0s --wait 0s");
    assert_eq!(reader.stdout, "ip = 127.0.0.1, count: 20\n".repeat(3));
    assert_eq!(place.bytes(), before, "a reader changes nothing");
    let left: Vec<_> = fs::read_dir(place.0.path()).expect("a directory").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn what_is_stored_in_the_mapping_is_in_the_file_at_once() {
    let place = Place::new();
    let mut writer = place.on(WRITER, &format!("-n {ENDLESS} -i 10ms"));
    writer.wait_stdout("count: 3");
    // read(2), while the writer has the file mapped and has called neither msync nor munmap.
    let seen = record(&place.bytes());
    assert!(seen.count >= 3, "{seen:?}");
    assert_eq!(seen.ip().to_string(), "127.0.0.1");
}

#[test]
fn a_writer_starts_again_at_0() {
    let place = Place::new();
    for _ in 0..2 {
        let writer = place.done(WRITER, "-n 3 -i 0s");
        assert_eq!(counts_printed(&writer.stdout), [1, 2, 3]);
        assert_eq!(place.bytes().len(), 68);
    }
}

#[test]
fn a_writer_that_joins_counts_on_while_the_count_is_below_its_ticks() {
    let place = Place::new();
    for (args, counts) in [
        ("-n 3 -i 0s --join", &[1, 2, 3][..]),
        ("-n 5 -i 0s --join", &[4, 5]),
        ("-n 5 -i 0s --join", &[]),
        ("-n 2 -i 0s --join", &[]),
    ] {
        assert_eq!(counts_printed(&place.done(WRITER, args).stdout), counts, "{args}");
    }
    assert_eq!(record(&place.bytes()).count, 5);
}

#[test]
fn four_writers_that_join_end_at_the_limit_together() {
    const LIMIT: i32 = 100_000;
    let place = Place::new();
    let writers: Vec<_> =
        (0..4).map(|_| place.on(WRITER, &format!("--join -n {LIMIT} -i 0s"))).collect();
    let mut printed = Vec::new();
    for writer in writers {
        let counts = counts_printed(&writer.finish().exited(0).stdout);
        assert!(counts.is_sorted());
        printed.extend(counts);
    }
    assert_eq!(record(&place.bytes()).count, LIMIT);
    // No count is lost, none given twice, none beyond the limit.
    printed.sort_unstable();
    assert!(printed.into_iter().eq(1..=LIMIT));
}

#[test]
fn a_running_reader_survives_a_writer_that_starts_again() {
    let place = Place::new();
    let _ = place.done(WRITER, "-n 9 -i 0s");
    let mut reader = place.on(READER, &format!("-n {ENDLESS} -i 1ms --wait 0s"));
    reader.wait_stdout("count: 9");
    for last in ["3", "4", "5", "6", "7"] {
        let _ = place.done(WRITER, &format!("-n {last} -i 0s"));
        reader.wait_stdout(&format!("ip = 127.0.0.1, count: {last}"));
    }
}

#[test]
fn a_writer_never_cuts_its_file_off() {
    // The C original does, for a moment, and a reader that looks in that moment gets a SIGBUS. A
    // moment is hard to hit, so take a file that the kernel allows nobody to make shorter.
    let file: fs::File =
        memfd_create("conn_stat", MFdFlags::MFD_ALLOW_SEALING).expect("a file").into();
    file.set_len(68).expect("a longer file");
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK)).expect("a sealed file");
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let truncated = fs::File::create(&path).expect_err("the seal forbids O_TRUNC");
    assert_eq!(truncated.raw_os_error(), Some(Errno::EPERM as i32));

    let writer = run(WRITER, [&path, "-n", "3", "-i", "0s"]).exited(0);
    assert_eq!(counts_printed(&writer.stdout), [1, 2, 3]);
    assert_eq!(record(&fs::read(&path).expect("the file")).count, 3);
}

#[test]
fn a_writer_makes_a_record_of_any_file_if_it_must() {
    for length in [0, 3, 5000] {
        let place = Place::new();
        fs::write(place.file(), vec![b'x'; length]).expect("a file");
        let writer = place.done(WRITER, "--force -n 2 -i 0s");
        assert_eq!(counts_printed(&writer.stdout), [1, 2]);
        let bytes = place.bytes();
        assert_eq!((bytes.len(), record(&bytes).count), (68, 2), "{length} bytes before");
    }
}

#[test]
fn an_ipv6_address_arrives_whole() {
    let place = Place::new();
    let longest = "fd12:3456:789a:bcde:fedc:ba98:7654:3210";
    let _ = place.done(WRITER, &format!("-n 1 -i 0s --ip {longest}"));
    let reader = place.done(READER, "-n 1 -i 0s --wait 0s");
    assert_eq!(reader.stdout, format!("ip = {longest}, count: 1\n"));
    // The shorter text leaves nothing of the longer one.
    let _ = place.done(WRITER, "-n 1 -i 0s --ip ::1");
    assert_eq!(place.bytes()[4..], *b"::1\0".iter().chain(&[0; 60]).copied().collect::<Vec<_>>());
}

#[test]
fn the_mode_of_a_new_file_is_the_one_asked_for_less_the_umask() {
    for (umask, args, mode) in
        [("000", "", 0o644), ("000", "--mode 0640", 0o640), ("027", "-m 0666", 0o640)]
    {
        let place = Place::new();
        let mut writer = e2e::program(WRITER);
        writer.arg(place.file()).args(["-n", "1", "-i", "0s"]).args(args.split_whitespace());
        let _ = Running::start(&mut with_umask(umask, &writer)).finish().exited(0);
        let found = fs::metadata(place.file()).expect("the file").permissions().mode() & 0o7777;
        assert_eq!(found, mode, "{found:o} with umask {umask} and {args:?}");
    }
}

#[test]
fn the_reader_maps_for_loads_only() {
    let place = Place::new();
    let file = place.file();
    let path = file.to_str().expect("a path in UTF-8");
    let mut writer = place.on(WRITER, &format!("-n {ENDLESS} -i 10ms"));
    writer.wait_stdout("count: ");
    let mut reader = place.on(READER, &format!("-n {ENDLESS} -i 10ms"));
    reader.wait_stdout("ip = ");
    assert_eq!(rights(writer.pid(), path), ["rw-s"]);
    assert_eq!(rights(reader.pid(), path), ["r--s"]);
}

#[test]
fn each_call_is_narrated_with_its_result() {
    let place = Place::new();
    let file = place.file();
    let file = file.display();
    let writer = place.done(WRITER, "-n 1 -i 0s -m 0600");
    let reader = place.done(READER, "-n 1 -i 0s --wait 0s");
    let lines: Vec<_> = writer.stderr.lines().collect();
    let [who, open, mmap, close, munmap] = lines[..] else { panic!("{writer:#?}") };
    assert_eq!(who, format!("writer, pid {}, file {file}", writer.pid));
    assert_eq!(open, format!("open: {file}, 68 bytes, mode 0600, created"));
    assert!(mmap.starts_with("mmap: mapped at 0x") && !mmap.contains("read-only"), "{mmap}");
    assert_eq!(close, "close: the mapping stays");
    assert_eq!(munmap, format!("munmap: unmapped; {file} stays, rm {file} removes it"));

    let lines: Vec<_> = reader.stderr.lines().collect();
    let [who, open, old, mmap, munmap] = lines[..] else { panic!("{reader:#?}") };
    assert_eq!(who, format!("reader, pid {}, file {file}", reader.pid));
    assert_eq!(open, format!("open: {file}, 68 bytes, mode 0600, found"));
    assert!(old.starts_with("an old record, changed "), "{old}");
    assert!(mmap.starts_with("mmap: mapped at 0x") && mmap.ends_with(", read-only"), "{mmap}");
    assert_eq!(munmap, "munmap: unmapped");
}

#[test]
fn without_arguments_the_texts_numbers_apply() {
    let place = Place::new();
    let writer = place.done(WRITER, "-i 0s");
    assert_eq!(counts_printed(&writer.stdout), (1..=30).collect::<Vec<_>>());
    let reader = place.done(READER, "-i 0s --wait 0s");
    assert_eq!(counts_seen(&reader.stdout, "127.0.0.1"), [30; 10]);
}
