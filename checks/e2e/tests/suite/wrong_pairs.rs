//! More of them than the lesson has, fewer, or one that comes back.

use std::fs;
use std::path::PathBuf;

use common::sysv::Segment;
use common::{ConnStat, ReadWrite, SharedText, Text};
use e2e::{Running, TestKey, run};
use nix::sys::signal::Signal;
use proptest::prelude::*;

use crate::wrong::How::Steps;
use crate::wrong::{ENDED_BY_TEST, Folder, Within, after, inside, rows, sh};
use crate::wrong_signals::{count_in, held_up};

const REPLACED: &str = "start it again; `/proc/PID/maps` shows the old file as `(deleted)`";

rows! {
    second_reader_of_a_writer {
        how: Steps(|| {
            let (folder, key) = (Folder::new(), TestKey::new());
            let mut writer = folder.program("shm-sysv-writer");
            let mut writer = Running::start(writer.args(["-k", &key.arg(), "-n", "4000000000", "-i", "1ms"]));
            writer.wait_stdout("count: 3");
            let args = ["-k", &key.arg(), "-n", "1", "-i", "0s"];
            let first = run("shm-sysv-reader", args).exited(0);
            assert!(first.stdout.starts_with("ip = 127.0.0.1, count: "), "{first:#?}");
            let second = run("shm-sysv-reader", args).exited(0);
            assert!(second.stderr.contains("no writer has been here yet, but segment"), "{second:#?}");
            assert!(second.stderr.contains(", created\n"), "{second:#?}");
            // The writer counts all the while.
            let seen = count_in(&writer.wait_stdout("count: "));
            writer.wait_stdout(&format!("count: {}", seen + 10));
            writer.signal(Signal::SIGTERM);
            let _ = writer.finish().ended_by(Signal::SIGTERM);
            // The cure: with --keep, the second reader finds the writer.
            let mut writer = folder.program("shm-sysv-writer");
            let mut writer = Running::start(writer.args(["-k", &key.arg(), "-n", "4000000000", "-i", "1ms"]));
            writer.wait_stdout("count: 3");
            let keeping = ["-k", &key.arg(), "-n", "1", "-i", "0s", "--keep"];
            let _ = run("shm-sysv-reader", keeping).exited(0);
            let third = run("shm-sysv-reader", args).exited(0);
            assert!(third.stdout.starts_with("ip = 127.0.0.1, count: "), "{third:#?}");
            Some(second.into())
        }),
        program: "shm-sysv-reader",
        status: 0, says: "no writer has been here yet, but segment N, which has been removed, is still attached: if a writer counts there, end it and start it again",
        cause: "an earlier reader removed the segment; the writer goes on in it, and this reader made a new one",
        cure: "end the writer and start it again; next time, `--keep` for the first reader",
    }
    two_writers {
        how: Steps(|| {
            let (folder, key) = (Folder::new(), TestKey::new());
            let start = || {
                let mut writer = folder.program("shm-sysv-writer");
                Running::start(writer.args(["-k", &key.arg(), "-n", "4000000000", "-i", "1ms"]))
            };
            let mut first = start();
            let high = count_in(&first.wait_stdout("count: 50"));
            // The second one starts again at 0, and the first one counts on from there.
            let mut second = start();
            assert!(count_in(&second.wait_stdout("count: ")) < high);
            let mut below = || count_in(&first.wait_stdout("count: ")) < high;
            while !below() {}
            second.signal(Signal::SIGTERM);
            let _ = second.finish().ended_by(Signal::SIGTERM);
            first.signal(Signal::SIGTERM);
            Some(first.finish().into())
        }),
        program: "shm-sysv-writer", symptom: "the count falls back to 0 when a second writer starts, and then goes up twice as fast",
        status: ENDED_BY_TEST, says: "shmget: segment N, 68 bytes, mode 0600, created",
        cause: "both count in one segment, and a writer without `--join` starts at 0",
        cure: "start the second with `--join`; with `--exclusive` it is an error",
    }
    two_readers {
        listed: false,
        how: Steps(|| {
            let key = TestKey::new();
            let arg = key.arg();
            let args = ["-k", &arg, "-n", "2", "-i", "0s"];
            let _ = run("shm-sysv-writer", args).exited(0);
            Some(held_up("shm-sysv-reader", &args, "shmat: ", |_| {
                let first = run("shm-sysv-reader", args).exited(0);
                assert!(first.stderr.contains("shmctl(IPC_RMID): segment "), "{first:#?}");
            }))
        }),
        program: "shm-sysv-reader",
        status: 0, says: "segment N is gone: it was removed meanwhile",
    }
    file_replaced_under_the_reader {
        how: Steps(|| {
            let folder = Folder::new();
            let write = |name: &str, count: &str| {
                let mut writer = folder.program("mmap-file-writer");
                let _ = Running::start(writer.args([name, "-n", count, "-i", "0s"])).finish().exited(0);
            };
            write("f", "3");
            let mut reader = folder.program("mmap-file-reader");
            let mut reader = Running::start(reader.args(["f", "-n", "4000000000", "-i", "1ms", "--wait", "0s"]));
            reader.wait_stdout("count: 3");
            write("g", "9");
            fs::rename(folder.path("g"), folder.path("f")).expect("replaced");
            reader.wait_stderr("f has been replaced");
            assert_eq!(count_in(&reader.wait_stdout("count: ")), 3);
            reader.signal(Signal::SIGTERM);
            Some(reader.finish().into())
        }),
        program: "mmap-file-reader",
        status: ENDED_BY_TEST, says: "f has been replaced: the name is another file's now, and the old one is mapped here",
        cause: "somebody moved another file over it (`mv`, most editors); the count stands still",
        cure: REPLACED,
    }
    writer_is_missing {
        // Elsewhere, a test beside this one may hold a removed segment.
        how: inside(Within::Ipc, "", "shm-sysv-reader --key 5678 -n 1 -i 0s"), status: 0,
        says: "no writer has been here yet; in another terminal: cargo run -p shm-sysv-writer -- --key 0x162e",
        cause: "the reader came first, and shows an empty ip and the count 0", cure: "as it says",
    }
    file_writer_is_missing {
        how: sh("mmap-file-reader f --wait 50ms"),
        says: "no record there yet, waiting up to 50ms; in another terminal: cargo run -p mmap-file-writer -- f",
        cause: "the reader came first, and waits", cure: "as it says; `--wait 10m` for more patience",
    }
    file_replaced_under_the_writer {
        how: Steps(|| {
            let folder = Folder::new();
            let mut writer = Running::start(folder.program("mmap-file-writer").args(["f", "-n", "2000000000", "-i", "1ms"]));
            writer.wait_stdout("count: 1");
            fs::write(folder.path("g"), [7; 68]).expect("another file");
            fs::rename(folder.path("g"), folder.path("f")).expect("replaced");
            writer.wait_stderr("f has been replaced");
            writer.signal(Signal::SIGTERM);
            Some(writer.finish().into())
        }),
        program: "mmap-file-writer",
        status: ENDED_BY_TEST, says: "f has been replaced: the name is another file's now, and the old one is mapped here",
        cause: "the writer goes on in the old file, which nobody finds",
        cure: REPLACED,
    }
    file_overwritten_under_the_writer {
        how: Steps(|| {
            let folder = Folder::new();
            let mut writer = Running::start(folder.program("mmap-file-writer").args(["f", "-i", "1h"]));
            writer.wait_stdout("count: 1");
            fs::write(folder.path("f"), "hi\n").expect("overwritten");
            writer.signal(Signal::SIGTERM);
            Some(writer.finish().into())
        }),
        program: "mmap-file-writer",
        status: ENDED_BY_TEST, says: "munmap: unmapped; f has been overwritten or truncated: it has 3 bytes now, and is no record any more",
        cause: "`echo hi > f` while it runs; the others show nonsense, and a store at the wrong moment is a SIGBUS",
        cure: "`cargo run -p mmap-file-writer -- --force f` makes a record of it again; next time replace the file by `mv`",
    }
    old_record {
        how: after("mmap-file-writer f -n 3 -i 0s", "mmap-file-reader f -n 1 --wait 0s"), status: 0,
        says: "an old record, changed N ago: nobody has the file open for writing",
        cause: "a file stays when its writer ends", cure: "start a writer",
    }
    hostile_text_in_a_file {
        listed: false,
        how: after("printf '\\001\\000\\000\\000\\033[2J\\033]0;owned\\007\\r\\n\\377%047d' 0 > f", "mmap-file-reader f -n 1 --wait 0s"),
        symptom: "the ip is full of backslashes",
        status: 0, says: "ip = \\u{1b}[2J\\u{1b}]0;owned\\u{7}\\r\\n\\xff00000000000000000000000000000000000000000000000, count: 1",
    }
}

/// Characters that have a terminal show the rest of the line from right to left, or in another order.
const BIDIRECTIONAL: [char; 9] = [
    '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
    '\u{2069}',
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the bytes are, they are shown as one line of printable characters.
    #[test]
    fn no_text_is_shown_as_what_a_terminal_obeys(bytes in proptest::collection::vec(any::<u8>(), 0..65)) {
        let shown = Text::from_c(&bytes).to_string();
        prop_assert!(!shown.chars().any(|it| it.is_control() || BIDIRECTIONAL.contains(&it)), "{shown:?}");
    }

    /// Whatever characters they are, too: those that turn the line round are not printable.
    #[test]
    fn no_unicode_is_shown_as_what_a_terminal_obeys(text in "\\PC*|\\PC{0,9}[\\p{C}]{0,9}") {
        let shown = Text::from_c(text.as_bytes()).to_string();
        prop_assert!(!shown.chars().any(|it| it.is_control() || BIDIRECTIONAL.contains(&it)), "{shown:?}");
    }

    /// Whatever is in the record, the real reader prints one line that no terminal obeys.
    #[test]
    fn no_record_makes_the_reader_print_what_a_terminal_obeys(bytes in proptest::collection::vec(any::<u8>(), 68)) {
        let folder = Folder::new();
        let file: PathBuf = folder.path("f");
        fs::write(&file, &bytes).expect("a file");
        let mut reader = folder.program("mmap-file-reader");
        let outcome = reader.args(["f", "-n", "1", "-i", "0s", "--wait", "0s"]).output().expect("started");
        prop_assert!(outcome.status.success());
        let line = String::from_utf8(outcome.stdout).expect("text");
        let line = line.strip_suffix('\n').expect("a line");
        prop_assert!(!line.chars().any(char::is_control), "{line:?}");
        let count = i32::from_ne_bytes(bytes[..4].try_into().expect("4 bytes"));
        let ending = format!(", count: {count}");
        prop_assert!(line.starts_with("ip = ") && line.ends_with(&ending), "{line:?}");
    }
}

/// The same for a segment.
#[test]
fn no_segment_makes_the_reader_print_what_a_terminal_obeys() {
    let key = TestKey::new();
    let segment = Segment::create(key.key(), size_of::<ConnStat>(), 0o600).expect("a segment");
    let shared = segment.attach::<SharedText<17>, ReadWrite>().expect("attached");
    for first in (1..=255_u8).step_by(28) {
        // The count, and then 28 characters of one byte or two.
        let text: String = (first..=255).take(28).map(char::from).collect();
        shared.writer().store(&format!("abcd{text}"));
        let args = ["-k", &key.arg(), "-n", "1", "-i", "0s", "--keep"];
        let reader = run("shm-sysv-reader", args).exited(0);
        assert!(!reader.stdout.trim_end().chars().any(char::is_control), "{reader:#?}");
        assert!(reader.stdout.ends_with(&format!(", count: {}\n", 0x6463_6261)), "{reader:#?}");
    }
}
