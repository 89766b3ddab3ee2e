//! The machine runs out of something, or a file is truncated while it is mapped.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use e2e::{DEADLINE, Running, TestKey, skip_without};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;

use crate::wrong::How::Steps;
use crate::wrong::{Folder, Seen, Within, inside, rows, sh};

// Whatever goes wrong, m/long keeps its 99 bytes.
const FULL: &str = "mkdir m; mount -t tmpfs -o size=4k tmpfs m; truncate -s 68 m/hole; truncate -s 99 m/long; head -c 4096 /dev/zero > m/full; trap \"test \\$(stat -c %s m/long) = 99 || exit 9\" EXIT";
const LIMIT: &str = "echo 1 > /proc/sys/kernel/shmmni; ipcmk -M 10 > /dev/null";

rows! {
    file_cut_off_under_the_reader {
        how: Steps(|| Some(cut_off("mmap-file-reader"))),
        program: "mmap-file-reader",
        says: "error: SIGBUS, f: the page is not there: the file has been truncated, or its file system is full\n  help: replace a file that others have mapped, never truncate it; now rm f, or cargo run -p mmap-file-writer -- --force f",
        cause: "somebody opened the file with `O_TRUNC`, as the C writer and the shell's `>` do",
    }
    file_system_full_for_a_new_file {
        how: inside(Within::Mounts, FULL, "mmap-file-writer m/f"),
        says: "error: write, m/f: ENOSPC (No space left on device)\n  help: the file system is full: free some room, or name a file on another one",
        cause: "the file system of the directory `m` is full; no file is left",
    }
    file_system_full_for_a_hole {
        listed: false,
        how: inside(Within::Mounts, FULL, "mmap-file-writer m/hole"),
        says: "error: fallocate, m/hole: ENOSPC (No space left on device)\n  help: the file system is full: free some room, or name a file on another one",
    }
    file_system_full_for_a_file_that_is_taken_over {
        listed: false,
        how: inside(Within::Mounts, FULL, "mmap-file-writer --force m/long"),
        says: "error: fallocate, m/long: ENOSPC (No space left on device)\n  help: the file system is full: free some room, or name a file on another one",
    }
    file_size_limit {
        listed: false,
        how: sh("ulimit -f 0; mmap-file-writer f"), program: "mmap-file-writer",
        says: "error: write, f: EFBIG (File too large)\n  help: the limit of file sizes is too low: `ulimit -f` shows it",
    }
    output_full_of_the_writer {
        listed: false,
        how: sh("shm-sysv-writer --key 5678 > /dev/full"), changes: true,
        says: "error: write, stdout: ENOSPC (No space left on device)\n  help: see where the output goes to",
    }
    too_many_segments_for_the_writer {
        how: inside(Within::Ipc, LIMIT, "shm-sysv-writer --key 5678"),
        says: "error: shmget, key 5678 (0x0000162e): ENOSPC (No space left on device)\n  help: the system's limit is reached: `ipcs -m -l` shows it, `ipcs -m` the segments; `ipcrm -m SHMID` removes one of yours that nobody needs",
        cause: "segments outlive their processes, and the limit (SHMMNI) counts them all",
    }
    no_address_space_for_the_writer {
        listed: false,
        how: Steps(|| {
            let key = TestKey::new();
            let seen = short_of_memory("shm-sysv-writer", &["--key", &key.arg()]);
            assert!(seen.is_none() || key.segment().is_none(), "the segment is still there");
            seen
        }),
        program: "shm-sysv-writer",
        says: "error: shmat, segment N: ENOMEM (Cannot allocate memory)\n  help: this process has no address space left: `ulimit -v` shows its limit",
    }
    too_many_processes {
        listed: false,
        how: inside(Within::Nobody, "", "sudo -u nobody prlimit --nproc=0 mmap-fork-demo"),
        program: "mmap-fork-demo",
        says: "error: fork, this process: EAGAIN (Resource temporarily unavailable)\n  help: the limit of processes is reached: `ulimit -u` shows it",
    }
}

/// Truncates the file that `program` has mapped.
fn cut_off(program: &str) -> Seen {
    let folder = Folder::new();
    let made = folder.program("mmap-file-writer").args(["f", "-n", "0"]).output();
    assert!(made.is_ok_and(|made| made.status.success()), "no file");
    let mut command = folder.program(program);
    let mut running =
        Running::start(command.args(["f", "-n", "2000000000", "-i", "1ms", "--wait", "0s"]));
    running.wait_stdout("count: ");
    File::create(folder.path("f")).expect("cut off");
    running.finish().into()
}

/// Runs `program` with no more address space than it has when its first line is on its way.
///
/// It is held up there by a stderr that is full, for otherwise the limit would have to be a number
/// of bytes at which it starts but goes no further, and that is another one on every machine.
fn short_of_memory(program: &str, args: &[&str]) -> Option<Seen> {
    let folder = Folder::new();
    let (mut narration, mut stderr) = io::pipe().expect("a pipe");
    let room = fcntl(&stderr, FcntlArg::F_SETPIPE_SZ(4096)).expect("the size of the pipe");
    stderr.write_all(&vec![b'\n'; room.unsigned_abs() as usize]).expect("room for that");
    let mut child = folder
        .program(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .expect("started");
    // Whoever has blocked SIGXFSZ has read its arguments and comes to its first line.
    let pid = child.id();
    let deadline = Instant::now() + DEADLINE;
    while !blocks_sigxfsz(pid) {
        assert!(Instant::now() < deadline, "{program} does not come to its first line");
        std::thread::yield_now();
    }
    let limited = Command::new("prlimit").args([&format!("--pid={pid}"), "--as=4096"]).status();
    if !limited.is_ok_and(|status| status.success()) {
        skip_without("prlimit", "the limits of another process");
        child.kill().expect("our child");
        child.wait().expect("our child");
        return None;
    }
    let mut printed = String::new();
    narration.read_to_string(&mut printed).expect("text");
    Some(Seen { status: child.wait().expect("our child").code(), printed })
}

fn blocks_sigxfsz(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("our child");
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t")).expect("a mask");
    let blocked = u64::from_str_radix(blocked, 16).expect("a number");
    blocked & (1 << (Signal::SIGXFSZ as i32 - 1)) != 0
}
