//! `kill -9` at any moment: nobody gets to clean up, and nothing is lost.

use std::env;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use common::sysv::{Key, Segment};
use common::{ConnStat, ReadOnly, SharedConnStat};
use e2e::{Running, TestKey, run};
use fastrand::Rng;
use nix::sys::signal::Signal;

use crate::wrong::How::Steps;
use crate::wrong::{Folder, Seen, after, rows};
use crate::wrong_signals::count_in;

/// How many processes each test kills. The environment variable KILLS asks for more.
const KILLS: u64 = 25;

/// Two addresses that differ in one 32-bit word. The text is stored word by word, so a writer that is
/// killed in the nanoseconds in between can leave the beginning of one address with the end of
/// another; the document says so, and here it would only be a rare failure.
const ADDRESSES: [&str; 2] = ["10.0.0.1", "10.0.0.2"];
const FOR_EVER: &str = "4000000000";

rows! {
    writer_is_killed {
        how: Steps(|| {
            let (folder, key) = (Folder::new(), TestKey::new());
            let segment = Segment::create(key.key(), size_of::<ConnStat>(), 0o600).expect("a segment");
            let mut reader = folder.program("shm-sysv-reader");
            let mut reader = Running::start(reader.args(["-k", &key.arg(), "-n", FOR_EVER, "-i", "1ms"]));
            reader.wait_stdout("count: ");
            let shared = segment.attach::<SharedConnStat, ReadOnly>().expect("attached");
            kill_many(|dice, seed| {
                let address = ADDRESSES[dice.usize(..2)];
                let mut command = folder.program("shm-sysv-writer");
                command.args(["-k", &key.arg(), "-n", FOR_EVER, "-i", "0s", "--ip", address]);
                let before = shared.load();
                let join = dice.usize(..2) == 0;
                if join {
                    command.arg("--join");
                }
                kill_at_any_moment(dice, &mut command);
                let record = shared.load();
                assert_valid(&record, seed);
                assert!(!join || record.count >= before.count, "counts are lost, seed {seed}");
            });
            drop(shared);
            // The dead ones are detached, the reader goes on, and a new writer works.
            assert_eq!(segment.status().expect("status").attached, 1);
            let last = run("shm-sysv-writer", ["-k", &key.arg(), "-n", "77", "-i", "0s"]).exited(0);
            reader.wait_stdout("ip = 127.0.0.1, count: 77");
            reader.signal(Signal::SIGTERM);
            let _ = reader.finish().ended_by(Signal::SIGTERM);
            assert!(key.segment().is_none(), "the reader has not removed the segment");
            Some(last.into())
        }),
        program: "shm-sysv-writer", symptom: "the writer is killed, and the reader goes on with the last count",
        status: 0, says: "count: 77",
        cause: "the kernel detaches; the segment stays",
        cure: "start the writer again, with `--join` if it is to count on",
    }
    reader_is_killed {
        how: Steps(|| {
            let (folder, key) = (Folder::new(), TestKey::new());
            let mut writer = folder.program("shm-sysv-writer");
            let mut writer = Running::start(writer.args(["-k", &key.arg(), "-n", FOR_EVER, "-i", "1ms"]));
            let before = count_in(&writer.wait_stdout("count: "));
            let segment = key.segment().expect("the writer's segment");
            kill_many(|dice, _| {
                let mut command = folder.program("shm-sysv-reader");
                kill_at_any_moment(dice, command.args(["-k", &key.arg(), "-n", FOR_EVER, "-i", "0s"]));
            });
            assert_eq!(segment.status().expect("the same segment").attached, 1);
            writer.wait_stdout(&format!("count: {}", before + 200));
            writer.signal(Signal::SIGTERM);
            let _ = writer.finish().ended_by(Signal::SIGTERM);
            let last = run("shm-sysv-reader", ["-k", &key.arg(), "-n", "1", "-i", "0s"]).exited(0);
            assert!(key.segment().is_none(), "the new reader has not removed the segment");
            Some(last.into())
        }),
        program: "shm-sysv-reader", symptom: "the reader is killed, and its segment stays",
        status: 0, says: "shmctl(IPC_RMID): segment N removed",
        cause: "it could not remove it; the kernel detaches, and the writer goes on",
        cure: "start the reader again, which removes it at its end, or `ipcrm -m SHMID`: its second line shows the id",
    }
    file_writer_is_killed {
        how: Steps(|| {
            let folder = Folder::new();
            let file = folder.path("old");
            run_in(&folder, "mmap-file-writer", &["old", "-n", "0", "--ip", ADDRESSES[0]]);
            let mut reader = folder.program("mmap-file-reader");
            let mut reader = Running::start(reader.args(["old", "-n", FOR_EVER, "-i", "1ms", "--wait", "0s"]));
            reader.wait_stdout("count: ");
            kill_many(|dice, seed| {
                // Now and then a file that is not there yet, to be killed while making it.
                let name = if dice.usize(..4) == 0 { "new" } else { "old" };
                let _ = std::fs::remove_file(folder.path("new"));
                let mut command = folder.program("mmap-file-writer");
                command.args([name, "-n", "2147483647", "-i", "0s", "--ip", ADDRESSES[dice.usize(..2)]]);
                kill_at_any_moment(dice, &mut command);
                if let Ok(bytes) = std::fs::read(folder.path(name)) {
                    let record = bytemuck::try_pod_read_unaligned(&bytes);
                    assert_valid(&record.expect("the size of a record"), seed);
                } else {
                    assert_eq!(name, "new", "the file is gone, seed {seed}");
                }
            });
            let _ = std::fs::remove_file(folder.path("new"));
            let left: Vec<_> = std::fs::read_dir(folder.path("")).expect("our directory").collect();
            assert_eq!(left.len(), 1, "{left:?}");
            let last = run("mmap-file-writer", [file.as_os_str(), "-n".as_ref(), "77".as_ref(), "-i".as_ref(), "0s".as_ref()]).exited(0);
            reader.wait_stdout("ip = 127.0.0.1, count: 77");
            Some(last.into())
        }),
        program: "mmap-file-writer", symptom: "the writer is killed, and the reader goes on with the last count",
        status: 0, says: "count: 77",
        cause: "the file is a whole record; killed earlier, the writer leaves no file",
        cure: "start the writer again, with `--join` if it is to count on",
    }
    file_reader_is_killed {
        listed: false,
        how: Steps(|| {
            let folder = Folder::new();
            let mut writer = folder.program("mmap-file-writer");
            let mut writer = Running::start(writer.args(["f", "-n", "2147483647", "-i", "1ms"]));
            let before = count_in(&writer.wait_stdout("count: "));
            kill_many(|dice, _| {
                let mut command = folder.program("mmap-file-reader");
                kill_at_any_moment(dice, command.args(["f", "-n", FOR_EVER, "-i", "0s"]));
            });
            writer.wait_stdout(&format!("count: {}", before + 200));
            let last = run_in(&folder, "mmap-file-reader", &["f", "-n", "1", "-i", "0s"]);
            Some(last)
        }),
        program: "mmap-file-reader",
        status: 0, says: "munmap: unmapped",
    }
    reader_is_killed_before_any_writer {
        listed: false,
        how: after(
            "shm-sysv-reader --key 5678 -i 1h > log 2>&1 & while ! grep -q count log; do :; done; kill -9 $!",
            "ipcrm -m $(sed -n \"s/^shmget: segment \\([0-9]*\\),.*/\\1/p\" log) && shm-sysv-writer --key 5678 --exclusive -n 0",
        ),
        program: "shm-sysv-reader",
        status: 0, says: "shmget: segment N, 68 bytes, mode 0600, created", changes: true,
    }
    lifecycle_is_killed {
        how: Steps(|| {
            let folder = Folder::new();
            let mut command = folder.program("shm-sysv-lifecycle");
            let mut lifecycle = Running::start(&mut command);
            let line = lifecycle.wait_stderr("shmget: segment ");
            lifecycle.signal(Signal::SIGKILL);
            let outcome = lifecycle.finish();
            // Killed too late, it has removed the segment itself.
            let id = line.trim_start_matches("shmget: segment ").split(',').next().expect("an id");
            let segment = Segment::from_id(id.parse().expect("a number"));
            if let Ok(segment) = segment {
                assert_eq!(segment.status().expect("status").attached, 0);
                let removed = Command::new("ipcrm").args(["-m", id]).status().expect("ipcrm");
                assert!(removed.success() && segment.status().is_err(), "still there");
            }
            let named = Key::Number(0x5100_0000 | outcome_pid(&outcome.stderr));
            if let Ok(segment) = Segment::open(named, 0x6400) {
                segment.remove().expect("ours");
            }
            Some(Seen { status: Some(137), printed: outcome.stderr })
        }),
        program: "shm-sysv-lifecycle", symptom: "the lifecycle is killed, and its segments stay",
        status: 137, says: "shmget: segment N, 25600 bytes, mode 0600, created",
        cause: "a private one, and in its last steps also one whose key begins with 0x51",
        cure: "`ipcrm -m SHMID`: its line `shmget: segment` shows the id",
    }
}

fn outcome_pid(stderr: &str) -> i32 {
    let pid = stderr.trim_start_matches("lifecycle, pid ").split(',').next().expect("a process id");
    pid.parse().expect("a number")
}

fn run_in(folder: &Folder, program: &str, args: &[&str]) -> Seen {
    Running::start(folder.program(program).args(args)).finish().exited(0).into()
}

/// The text is an address of a writer, or empty where none has been, and ends in a NUL.
fn assert_valid(record: &ConnStat, seed: u64) {
    let ip = record.ip().to_string();
    let known = ip.is_empty() || ADDRESSES.contains(&ip.as_str());
    assert!(known, "{record:?} is no record, seed {seed}");
    assert_eq!(bytemuck::bytes_of(record)[67], 0, "no NUL, seed {seed}");
    let mut whole: ConnStat =
        ip.parse::<IpAddr>().map_or(bytemuck::Zeroable::zeroed(), ConnStat::new);
    whole.count = record.count;
    assert_eq!(*record, whole, "bytes behind the NUL, seed {seed}");
}

fn kill_many(mut kill_one: impl FnMut(&mut Rng, u64)) {
    let asked = |name: &str| env::var(name).ok().map(|it| it.parse().expect("a number"));
    let seed = asked("SEED").unwrap_or_else(|| fastrand::u64(..));
    let mut dice = Rng::with_seed(seed);
    for _ in 0..asked("KILLS").unwrap_or(KILLS) {
        kill_one(&mut dice, seed);
    }
}

/// Starts a program and kills it, at a moment from before its first instruction to long after it has
/// begun to count.
fn kill_at_any_moment(dice: &mut Rng, command: &mut Command) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    // Not to wait for anything, but to be anywhere.
    thread::sleep(Duration::from_micros(dice.u64(..6000)));
    child.kill().expect("our child");
    child.wait().expect("our child");
}
