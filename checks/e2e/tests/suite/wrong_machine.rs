//! The machine runs out of something, or a file is cut off while it is mapped.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use e2e::{DEADLINE, Running, TestKey, skip};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;

use crate::wrong::How::Steps;
use crate::wrong::{ENDED_BY_TEST, Folder, Seen, Within, inside, rows, sh};

// Whatever goes wrong, m/long keeps its 99 bytes.
const FULL: &str = "mkdir m; mount -t tmpfs -o size=4k tmpfs m; truncate -s 68 m/hole; truncate -s 99 m/long; head -c 4096 /dev/zero > m/full; trap \"test \\$(stat -c %s m/long) = 99 || exit 9\" EXIT";
const LIMIT: &str = "echo 1 > /proc/sys/kernel/shmmni; ipcmk -M 10 > /dev/null";
const OUTPUT: &str = "stdout goes to a disk that is full";

rows! {
    file_cut_off_under_the_reader {
        how: Steps(|| Some(cut_off("mmap-file-reader"))),
        program: "mmap-file-reader",
        says: "error: SIGBUS, f: the page is not there: the file has been truncated, or its file system is full\n  help: replace a file that others have mapped, never cut it off; now rm f, or start the file writer with --force",
        cause: "somebody opened the file with `O_TRUNC`, as the C writer and the shell's `>` do; a load from a page behind the end of the file is a SIGBUS",
    }
    file_cut_off_under_the_writer {
        how: Steps(|| Some(cut_off("mmap-file-writer"))),
        program: "mmap-file-writer",
        says: "error: SIGBUS, f: the page is not there: the file has been truncated, or its file system is full\n  help: replace a file that others have mapped, never cut it off; now rm f, or start the file writer with --force",
        cause: "the file was cut off like that, and a store is a SIGBUS too; without its handler, the program would dump core",
    }
    file_cut_short_under_the_reader {
        how: Steps(|| {
            let folder = Folder::new();
            let made = folder.program("mmap-file-writer").args(["f", "-n", "0"]).output();
            assert!(made.is_ok_and(|made| made.status.success()), "no file");
            let mut reader = folder.program("mmap-file-reader");
            let mut reader = Running::start(reader.args(["f", "-n", "4000000000", "-i", "1ms"]));
            reader.wait_stdout("ip = 127.0.0.1, count: 0");
            let file = File::options().write(true).open(folder.path("f")).expect("opened");
            file.set_len(10).expect("cut short");
            reader.wait_stdout("ip = 127.0., count: 0");
            reader.signal(Signal::SIGTERM);
            Some(reader.finish().into())
        }),
        program: "mmap-file-reader", symptom: "`ip = 127.0., count: 0`: the end of the address is missing",
        status: ENDED_BY_TEST, says: "ip = 127.0., count: 0",
        cause: "somebody cut the file short, but not to nothing: its page is still there, with zeros behind the end of the file, so no call and no access fails; what is stored there is lost with the last `munmap`",
        cure: "`ls -l` shows a size other than 68; `mmap-file-writer --force` makes a record of it again",
    }
    file_system_full_for_a_new_file {
        how: inside(Within::Mounts, FULL, "mmap-file-writer m/f"),
        says: "error: write, m/f: ENOSPC (No space left on device)\n  help: the file system is full: free some room, or name a file on another one",
        cause: "the file system of the folder `m` is full; the record is written before the file gets its name, so no file is left",
    }
    file_system_full_for_a_hole {
        how: inside(Within::Mounts, FULL, "mmap-file-writer m/hole"),
        says: "error: fallocate, m/hole: ENOSPC (No space left on device)\n  help: the file system is full: free some room, or name a file on another one",
        cause: "the file has 68 bytes but no room for them (`truncate -s 68` makes such a file); a store would be a SIGBUS",
    }
    file_system_full_under_the_reader {
        how: inside(Within::Mounts, FULL, "mmap-file-reader m/hole"),
        cure: "here, free some room first",
        says: "error: SIGBUS, m/hole: the page is not there: the file has been truncated, or its file system is full\n  help: replace a file that others have mapped, never cut it off; now rm m/hole, or start the file writer with --force",
        cause: "the file has no room for its bytes, and on some file systems even a load needs that",
    }
    file_system_full_with_force {
        how: inside(Within::Mounts, FULL, "mmap-file-writer m/long --force"),
        says: "error: fallocate, m/long: ENOSPC (No space left on device)\n  help: the file system is full: free some room, or name a file on another one",
        cause: "the room is asked for before anything is given up: the file keeps its 99 bytes",
    }
    file_size_limit {
        how: sh("ulimit -f 0; mmap-file-writer f"),
        says: "error: write, f: EFBIG (File too large)\n  help: the limit of file sizes is too low: `ulimit -f` shows it",
        cause: "an administrator or a shell's start-up file set a limit; the program blocks the SIGXFSZ that would kill it",
    }
    file_size_limit_of_the_output {
        how: sh("ulimit -f 0; shm-sysv-writer --key 5678 > log"), changes: true,
        says: "error: write, stdout: EFBIG (File too large)\n  help: see where the output goes to",
        cause: "the limit is for the file that stdout goes to, too",
    }
    output_full_of_the_writer {
        how: sh("shm-sysv-writer --key 5678 > /dev/full"), changes: true,
        says: "error: write, stdout: ENOSPC (No space left on device)\n  help: see where the output goes to",
        cause: OUTPUT,
    }
    output_full_of_the_reader {
        how: sh("shm-sysv-reader --key 5678 > /dev/full"),
        says: "error: write, stdout: ENOSPC (No space left on device)\n  help: see where the output goes to",
        cause: OUTPUT,
    }
    output_full_of_the_file_writer {
        how: sh("mmap-file-writer f > /dev/full"), changes: true,
        says: "error: write, stdout: ENOSPC (No space left on device)\n  help: see where the output goes to",
        cause: "stdout goes to a disk that is full; the count that could not be printed is in the file",
    }
    output_full_of_the_fork_demo {
        how: sh("mmap-fork-demo > /dev/full"),
        says: "error: write, stdout: ENOSPC (No space left on device)\n  help: see where the output goes to",
        cause: OUTPUT,
    }
    output_full_of_the_lifecycle {
        how: sh("shm-sysv-lifecycle > /dev/full"),
        says: "error: write, stdout: ENOSPC (No space left on device)\n  help: see where the output goes to",
        cause: OUTPUT,
    }
    output_closed {
        how: sh("mmap-fork-demo --delay 0s >&-"), status: 0,
        symptom: "no data appears",
        says: "munmap: unmapped",
        cause: "somebody closed stdout", cure: "open it: without `>&-` the data is there",
    }
    too_many_segments_for_the_writer {
        how: inside(Within::Ipc, LIMIT, "shm-sysv-writer --key 5678"),
        says: "error: shmget, key 5678 (0x0000162e): ENOSPC (No space left on device)\n  help: the system's limit is reached: `ipcs -m -l` shows it, `ipcs -m` the segments; `ipcrm -m SHMID` removes one of yours that nobody needs",
        cause: "segments outlive their processes, and the limit (SHMMNI) counts them all",
    }
    too_many_segments_for_the_reader {
        how: inside(Within::Ipc, LIMIT, "shm-sysv-reader --key 5678"),
        says: "error: shmget, key 5678 (0x0000162e): ENOSPC (No space left on device)\n  help: the system's limit is reached: `ipcs -m -l` shows it, `ipcs -m` the segments; `ipcrm -m SHMID` removes one of yours that nobody needs",
        cause: "a reader that comes first makes the segment",
    }
    too_many_segments_for_the_lifecycle {
        how: inside(Within::Ipc, LIMIT, "shm-sysv-lifecycle"),
        says: "error: shmget, key IPC_PRIVATE: ENOSPC (No space left on device)\n  help: the system's limit is reached: `ipcs -m -l` shows it, `ipcs -m` the segments; `ipcrm -m SHMID` removes one of yours that nobody needs",
        cause: "the limit counts a segment without a key as well",
    }
    too_many_pages {
        how: inside(Within::Ipc, "echo 0 > /proc/sys/kernel/shmall", "shm-sysv-writer --key 5678"),
        says: "error: shmget, key 5678 (0x0000162e): ENOSPC (No space left on device)\n  help: the system's limit is reached: `ipcs -m -l` shows it, `ipcs -m` the segments; `ipcrm -m SHMID` removes one of yours that nobody needs",
        cause: "the pages of all segments together are limited as well (SHMALL)",
    }
    segment_too_large {
        how: inside(Within::Ipc, "echo 67 > /proc/sys/kernel/shmmax", "shm-sysv-writer --key 5678"),
        says: "error: shmget, key 5678 (0x0000162e): EINVAL (Invalid argument)\n  help: the size is 0 or beyond the limit that `ipcs -m -l` shows",
        cause: "an administrator allows only smaller segments (SHMMAX)",
    }
    no_address_space_for_the_writer {
        how: Steps(|| {
            let key = TestKey::new();
            let seen = short_of_memory("shm-sysv-writer", &["--key", &key.arg()]);
            assert!(seen.is_none() || key.segment().is_none(), "the segment is still there");
            seen
        }),
        program: "shm-sysv-writer",
        says: "error: shmat, segment N: ENOMEM (Cannot allocate memory)\n  help: this process has no address space left: `ulimit -v` shows its limit",
        cause: "an administrator or a batch system limits it (RLIMIT_AS); the segment that was just created is removed again",
    }
    no_address_space_for_the_reader {
        how: Steps(|| {
            let key = TestKey::new();
            let seen = short_of_memory("shm-sysv-reader", &["--key", &key.arg()]);
            assert!(seen.is_none() || key.segment().is_none(), "the segment is still there");
            seen
        }),
        program: "shm-sysv-reader",
        says: "error: shmat, segment N: ENOMEM (Cannot allocate memory)\n  help: this process has no address space left: `ulimit -v` shows its limit",
        cause: "the same limit; a segment that was there before stays",
    }
    no_address_space_for_the_file_writer {
        how: Steps(|| short_of_memory("mmap-file-writer", &["f"])),
        program: "mmap-file-writer",
        says: "error: mmap, f: ENOMEM (Cannot allocate memory)\n  help: this process has no address space left: `ulimit -v` shows its limit",
        cause: "an administrator or a batch system limits it; the file is there, with a valid record in it",
    }
    no_address_space_for_the_fork_demo {
        how: Steps(|| short_of_memory("mmap-fork-demo", &[])),
        program: "mmap-fork-demo",
        says: "error: mmap, anonymous pages: ENOMEM (Cannot allocate memory)\n  help: this process has no address space left: `ulimit -v` shows its limit",
        cause: "an administrator or a batch system limits it",
    }
    no_address_space_for_the_lifecycle {
        how: Steps(|| short_of_memory("shm-sysv-lifecycle", &[])),
        program: "shm-sysv-lifecycle",
        says: "error: shmat, segment N: ENOMEM (Cannot allocate memory)\n  help: this process has no address space left: `ulimit -v` shows its limit",
        cause: "the same limit; the segment is removed",
    }
    too_many_processes {
        how: inside(Within::Nobody, "", "sudo -u nobody prlimit --nproc=0 mmap-fork-demo"),
        says: "error: fork, this process: EAGAIN (Resource temporarily unavailable)\n  help: the limit of processes is reached: `ulimit -u` shows it",
        cause: "fork(2) counts all processes of the user (RLIMIT_NPROC)",
    }
}

/// Cuts off the file that `program` has mapped.
fn cut_off(program: &str) -> Seen {
    let folder = Folder::new();
    let made = folder.program("mmap-file-writer").args(["f", "-n", "0"]).output();
    assert!(made.is_ok_and(|made| made.status.success()), "no file");
    let mut command = folder.program(program);
    let mut running = Running::start(command.args(["f", "-n", "2000000000", "-i", "1ms"]));
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
        skip("no prlimit to set the limits of another process with");
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
