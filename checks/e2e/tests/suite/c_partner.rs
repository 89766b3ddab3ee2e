//! C on the other side: every combination of writer and reader, and the struct itself.
//!
//! The C programs are in checks/e2e/peers. Without a C compiler their tests are skipped, and say so.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::ConnStat;
use e2e::{Running, TestKey};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::observe::{counts_from_the_start, counts_printed, counts_seen, record};

/// More ticks than any test waits for: the program runs until the test ends it.
const ENDLESS: u32 = 1_000_000_000;

/// The directory with the compiled C programs; `None`, after a message, without a C compiler, which is
/// a failure where the environment variable `CI` is set.
///
/// It is cargo's directory for the temporary files of tests, which `cargo clean` removes: what is
/// compiled once for all tests can't be in a directory that one of them owns.
pub(crate) fn peers() -> Option<&'static Path> {
    static COMPILED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
        for name in PEERS {
            e2e::peer(name, &folder)?;
        }
        Some(folder)
    });
    compiled.as_deref()
}

const PEERS: [&str; 7] =
    ["sysv_write", "sysv_read", "file_write", "file_read", "layout", "ring_send", "ring_receive"];

#[derive(Clone, Copy, PartialEq)]
enum Language {
    Rust,
    C,
}
use Language::{C, Rust};

#[derive(Clone, Copy)]
enum Half {
    Writer,
    Reader,
}
use Half::{Reader, Writer};

/// Where writer and reader meet.
enum Place {
    SystemV(TestKey),
    File(TempDir),
}
use Place::{File, SystemV};

impl Place {
    fn system_v() -> Self {
        SystemV(TestKey::new())
    }

    fn file() -> Self {
        File(tempfile::tempdir().expect("a directory"))
    }

    fn start(&self, half: Half, language: Language, ticks: u32, milliseconds: u32) -> Running {
        let c = |name| Command::new(peers().expect("a C compiler").join(name));
        let mut command = match (self, half, language) {
            (SystemV(_), Writer, Rust) => e2e::program("shm-sysv-writer"),
            (SystemV(_), Reader, Rust) => e2e::program("shm-sysv-reader"),
            (SystemV(_), Writer, C) => c("sysv_write"),
            (SystemV(_), Reader, C) => c("sysv_read"),
            (File(_), Writer, Rust) => e2e::program("mmap-file-writer"),
            (File(_), Reader, Rust) => e2e::program("mmap-file-reader"),
            (File(_), Writer, C) => c("file_write"),
            (File(_), Reader, C) => c("file_read"),
        };
        match (self, language) {
            (SystemV(key), Rust) => command.args(["--key", &key.arg()]),
            (SystemV(key), C) => command.arg(key.arg()),
            (File(folder), _) => command.arg(folder.path().join("conn_stat")),
        };
        match language {
            Rust => command.args(["-n", &ticks.to_string(), "-i", &format!("{milliseconds}ms")]),
            C => command.args([ticks.to_string(), (1000 * milliseconds).to_string()]),
        };
        if let (File(_), Reader, Rust, true) = (self, half, language, ticks < ENDLESS) {
            // It comes when the writer has gone, and need not wait for another one.
            command.args(["--wait", "0s"]);
        }
        Running::start(&mut command)
    }

    /// A reader removes its segment at the end, and leaves a file as it was.
    #[track_caller]
    fn assert_left_as_a_reader_leaves_it(&self) {
        match self {
            SystemV(key) => assert!(key.segment().is_none(), "the segment is still there"),
            File(folder) => {
                let bytes = std::fs::read(folder.path().join("conn_stat")).expect("the file");
                assert_eq!(record(&bytes).ip().as_bytes(), b"127.0.0.1");
            }
        }
    }
}

/// Whether there is nothing to compile these C programs with.
fn skipped(languages: [Language; 2]) -> bool {
    languages.contains(&C) && peers().is_none()
}

fn writer_first(place: &Place, writer: Language, reader: Language) {
    if skipped([writer, reader]) {
        return;
    }
    let mut writing = place.start(Writer, writer, 30, 10);
    writing.wait_stdout("count: 3");
    let mut reading = place.start(Reader, reader, ENDLESS, 5);
    reading.wait_stdout("ip = 127.0.0.1, count: 30");
    let written = writing.finish().exited(0);
    assert_eq!(counts_printed(&written.stdout), (1..=30).collect::<Vec<_>>());

    // One that ends by itself finds what the writer has left, and tidies up.
    let last = place.start(Reader, reader, 2, 0).finish().exited(0);
    assert_eq!(last.stdout, "ip = 127.0.0.1, count: 30\n".repeat(2));
    place.assert_left_as_a_reader_leaves_it();

    reading.signal(Signal::SIGTERM);
    let seen = counts_seen(&reading.finish().stdout, "127.0.0.1");
    assert!(seen[0] >= 3, "counted before the reader came: {seen:?}");
}

fn reader_first(place: &Place, reader: Language, writer: Language) {
    if skipped([writer, reader]) {
        return;
    }
    let mut reading = place.start(Reader, reader, ENDLESS, 5);
    assert_eq!(reading.wait_stdout("count: "), "ip = , count: 0");
    let written = place.start(Writer, writer, 20, 10).finish().exited(0);
    assert_eq!(counts_printed(&written.stdout), (1..=20).collect::<Vec<_>>());
    reading.wait_stdout("ip = 127.0.0.1, count: 20");

    reading.signal(Signal::SIGTERM);
    let seen = counts_from_the_start(&reading.finish().stdout, "127.0.0.1");
    assert_eq!(seen.last(), Some(&20));
}

#[test]
fn system_v_from_rust_to_rust() {
    writer_first(&Place::system_v(), Rust, Rust);
}

#[test]
fn system_v_from_rust_to_c() {
    writer_first(&Place::system_v(), Rust, C);
}

#[test]
fn system_v_from_c_to_rust() {
    writer_first(&Place::system_v(), C, Rust);
}

#[test]
fn system_v_from_c_to_c() {
    writer_first(&Place::system_v(), C, C);
}

#[test]
fn system_v_with_a_c_reader_first() {
    reader_first(&Place::system_v(), C, Rust);
}

#[test]
fn system_v_with_a_rust_reader_first() {
    reader_first(&Place::system_v(), Rust, C);
}

#[test]
fn file_from_rust_to_rust() {
    writer_first(&Place::file(), Rust, Rust);
}

#[test]
fn file_from_rust_to_c() {
    writer_first(&Place::file(), Rust, C);
}

#[test]
fn file_from_c_to_rust() {
    writer_first(&Place::file(), C, Rust);
}

#[test]
fn file_from_c_to_c() {
    writer_first(&Place::file(), C, C);
}

#[test]
fn file_with_a_rust_reader_that_waits_for_a_c_writer() {
    if skipped([Rust, C]) {
        return;
    }
    let place = Place::file();
    let mut reading = place.start(Reader, Rust, ENDLESS, 5);
    reading.wait_stderr("no record there yet");
    let _ = place.start(Writer, C, 20, 10).finish().exited(0);
    reading.wait_stdout("ip = 127.0.0.1, count: 20");
}

#[test]
fn the_struct_is_the_same_to_both_compilers() {
    let Some(peers) = peers() else { return };
    let printed = Running::start(&mut Command::new(peers.join("layout"))).finish().exited(0).stdout;
    let c: Vec<(&str, usize)> = printed
        .lines()
        .map(|line| {
            let (name, number) = line.split_once(' ').expect("a name and a number");
            (name, number.parse().expect("a number"))
        })
        .collect();

    // The field `ip` is private, so look where its bytes are.
    let marked = ConnStat::new("7::".parse().expect("an address"));
    let first = bytemuck::bytes_of(&marked).iter().position(|&byte| byte == b'7').expect("text");
    let rust = [
        ("size", size_of::<ConnStat>()),
        ("align", align_of::<ConnStat>()),
        ("offset_of_count", std::mem::offset_of!(ConnStat, count)),
        ("offset_of_ip", first),
        ("size_of_count", size_of_val(&marked.count)),
        ("size_of_ip", size_of::<ConnStat>() - first),
    ];
    assert_eq!(c, rust);
}
