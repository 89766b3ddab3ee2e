//! Ctrl-C, `kill`, a closed terminal, and a reader of the output that has had enough.

use std::io::{self, BufRead as _, BufReader, PipeReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{DEADLINE, Outcome, Running, TestKey, program};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wrong::How::Steps;
use crate::wrong::{ENDED_BY_TEST, Folder, Seen, rows, sh};

const ONCE: &str = "nothing is wrong; `kill` (SIGTERM) and a closed terminal (SIGHUP) do the same";
const HEAD: &str = "in `PROGRAM | head -n 1`, the program ends without a message";
const QUIETLY: &str = "nothing is wrong: this is the usual end of a pipeline";

rows! {
    ctrl_c_in_the_writer {
        how: Steps(|| {
            let key = TestKey::new();
            Some(stopped("shm-sysv-writer", &["-k", &key.arg(), "-i", "1h"], "count: 1", || {
                let left = key.segment().expect("the segment stays").status().expect("status");
                assert_eq!(left.attached, 0);
            }))
        }),
        program: "shm-sysv-writer",
        status: 130, says: "stopped by SIGINT",
        cause: "the segment is detached and stays", cure: ONCE,
    }
    ctrl_c_in_the_reader {
        how: Steps(|| {
            let key = TestKey::new();
            Some(stopped("shm-sysv-reader", &["-k", &key.arg(), "-i", "1h"], "count: 0", || {
                assert!(key.segment().is_none(), "the segment is still there");
            }))
        }),
        program: "shm-sysv-reader",
        status: 130, says: "stopped by SIGINT",
        cause: "the segment is detached and removed; with `--keep` it stays", cure: ONCE,
    }
    ctrl_c_in_the_fork_demo {
        how: Steps(|| Some(stopped("mmap-fork-demo", &["--delay", "1h"], "Child wrote", || {}))),
        program: "mmap-fork-demo",
        status: 130, says: "stopped by SIGINT",
        cause: "no child is left behind", cure: ONCE,
    }
    ctrl_c_while_nobody_reads_the_reader {
        listed: false,
        how: Steps(|| {
            let key = TestKey::new();
            let seen = stopped_while_full("shm-sysv-reader", &["-k", &key.arg(), "-i", "0s"], "shmat: ");
            assert!(key.segment().is_none(), "the segment is still there");
            Some(seen)
        }),
        program: "shm-sysv-reader",
        status: 130, says: "stopped by SIGINT",
    }
    ctrl_c_while_a_child_is_stopped {
        listed: false,
        how: Steps(|| Some(with_stopped_child(|parent, child| {
            kill(parent, Signal::SIGINT).expect("the parent waits");
            let deadline = Instant::now() + DEADLINE;
            while Path::new(&format!("/proc/{child}")).exists() {
                assert!(Instant::now() < deadline, "the child is left behind");
                thread::sleep(Duration::from_millis(1));
            }
        }))),
        program: "mmap-fork-demo",
        status: 130, says: "stopped by SIGINT",
    }
    child_is_stopped {
        listed: false,
        how: Steps(|| Some(with_stopped_child(|_, child| {
            kill(child, Signal::SIGCONT).expect("the child is there");
        }))),
        status: 0,
        program: "mmap-fork-demo",
        says: "child N is stopped by SIGSTOP: kill -CONT N lets it go on",
    }
    started_with_nohup {
        listed: false,
        how: Steps(|| {
            let (folder, key) = (Folder::new(), TestKey::new());
            let mut shell = Command::new("sh");
            shell.args(["-c", "trap '' HUP INT; exec \"$0\" -k \"$1\" -n 4000000000 -i 1ms"]);
            shell.arg(program("shm-sysv-writer").get_program()).arg(key.arg());
            let mut writer = Running::start(shell.current_dir(folder.path("")));
            let first = count_in(&writer.wait_stdout("count: "));
            writer.signal(Signal::SIGHUP);
            writer.signal(Signal::SIGINT);
            writer.wait_stdout(&format!("count: {}", first + 20));
            writer.signal(Signal::SIGTERM);
            Some(writer.finish().into())
        }),
        program: "shm-sysv-writer",
        status: ENDED_BY_TEST, says: "stopped by SIGTERM",
    }
    head_ends_the_reader {
        how: sh("{ shm-sysv-reader --key 5678 -n 1000000 -i 0s; echo status $? >&2; } | head -n 1"), status: 0,
        program: "shm-sysv-reader", symptom: HEAD,
        says: "status 0",
        cause: "nobody reads the pipe any more; the segment is removed", cure: QUIETLY,
    }
}

/// The number in a line that ends in `count: N`.
pub(crate) fn count_in(line: &str) -> i64 {
    let count = line.rsplit_once("count: ").expect("a count").1;
    count.parse().expect("a number")
}

/// Starts `program`, which then would take an hour, stops it when it says `ready`, calls `check`;
/// all that with each of the three signals. Returns what SIGINT did.
fn stopped(program: &str, args: &[&str], ready: &str, check: impl Fn()) -> Seen {
    let stop = |signal: Signal| {
        let folder = Folder::new();
        let mut running = Running::start(folder.program(program).args(args));
        if ready.contains("count") || ready.contains("Child") {
            running.wait_stdout(ready);
        } else {
            running.wait_stderr(ready);
        }
        running.signal(signal);
        let outcome: Outcome = running.finish();
        let outcome = outcome.ended_by(signal);
        if let Some((_, line)) = outcome.stderr.split_once("fork: child ") {
            let child = line.lines().next().expect("a line");
            assert!(!Path::new("/proc").join(child).exists(), "child {child} is left behind");
        }
        check();
        outcome
    };
    stop(Signal::SIGTERM);
    stop(Signal::SIGHUP);
    stop(Signal::SIGINT).into()
}

/// A pipe with room for `lines` more short lines. The kernel's pipe is a ring of pages, and
/// ppoll(2) says that it can be written when one of them is unused.
fn nearly_full_pipe(lines: i32) -> (PipeReader, Stdio) {
    let (reading, mut writing) = io::pipe().expect("a pipe");
    let page = 4096;
    let room = fcntl(&writing, FcntlArg::F_SETPIPE_SZ(page * (1 + lines))).expect("its size");
    let rest = room - page * lines;
    writing.write_all(&vec![b'\n'; rest.unsigned_abs() as usize]).expect("room for that");
    (reading, writing.into())
}

/// A process whose stdout is the test's own choice; it is killed when it is dropped.
pub(crate) struct Piped {
    child: Child,
    stderr: Receiver<String>,
    printed: String,
}

impl Piped {
    /// Starts `command`, which is used up so that the process alone holds its end of the pipe.
    fn start(mut command: Command, stdout: Stdio) -> Self {
        let command = command.stdout(stdout).stderr(Stdio::piped());
        let mut child = command.spawn().expect("started");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, stderr: receiver, printed: String::new() }
    }

    /// Waits for a line on stderr that begins with `start`, and returns the line.
    fn wait_stderr(&mut self, start: &str) -> String {
        loop {
            let line = self.stderr.recv_timeout(DEADLINE);
            let line = line.unwrap_or_else(|why| panic!("no {start:?}, {why}: {}", self.printed));
            self.printed += &format!("{line}\n");
            if line.starts_with(start) {
                return line;
            }
        }
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.printed);
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Empties the pipe that was its stdout, and waits for its end.
    fn finish(mut self, mut stdout: PipeReader) -> Seen {
        let data = thread::spawn(move || io::read_to_string(&mut stdout).expect("text"));
        let status = self.wait();
        let status = status.code().or(status.signal().map(|it| 128 + it));
        self.printed.extend(self.stderr.iter().map(|line| line + "\n"));
        Seen { status, printed: std::mem::take(&mut self.printed) + &data.join().expect("text") }
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it is there");
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `program` with a full pipe as stdout, and stops it when it has said `ready` on stderr.
fn stopped_while_full(program: &str, args: &[&str], ready: &str) -> Seen {
    held_up(program, args, ready, |running| {
        running.signal(Signal::SIGINT);
        running.wait();
    })
}

/// Starts `program` with a full pipe as stdout; calls `then` when it has said `ready` on stderr;
/// empties the pipe.
pub(crate) fn held_up(
    program: &str,
    args: &[&str],
    ready: &str,
    then: impl FnOnce(&mut Piped),
) -> Seen {
    let folder = Folder::new();
    let (full, stdout) = nearly_full_pipe(0);
    let mut command = folder.program(program);
    command.args(args);
    let mut running = Piped::start(command, stdout);
    running.wait_stderr(ready);
    then(&mut running);
    running.finish(full)
}

/// Starts the fork demo with a pipe that takes the parent's first line and no other, so that the
/// child hangs; stops the child; when the parent has said so, calls `then` with both; empties the
/// pipe.
fn with_stopped_child(then: fn(Pid, Pid)) -> Seen {
    let folder = Folder::new();
    let (full, stdout) = nearly_full_pipe(1);
    let mut command = folder.program("mmap-fork-demo");
    command.args(["--delay", "0s"]);
    let mut parent = Piped::start(command, stdout);
    let line = parent.wait_stderr("fork: child ");
    let child = line.trim_start_matches("fork: child ").parse().expect("a process id");
    let child = Pid::from_raw(child);
    kill(child, Signal::SIGSTOP).expect("the child hangs");
    parent.wait_stderr(&format!("child {child} is stopped"));
    then(parent.pid(), child);
    let seen = parent.finish(full);
    assert!(!Path::new(&format!("/proc/{child}")).exists(), "the child is left behind");
    seen
}

/// There is no row for it, because there is nothing to see: the message finds no room.
#[test]
fn a_full_stderr_does_not_hold_up_ctrl_c() {
    // The signal may come while a line waits for room: what waits next must not sleep over it.
    let programs: [(&str, &[&str]); 3] = [
        ("shm-sysv-lifecycle", &[]),
        ("mmap-fork-demo", &["--delay", "1h"]),
        ("race-demo", &["--mechanism", "none", "--for", "1h"]),
    ];
    for (name, args) in programs {
        let folder = Folder::new();
        let (full, stderr) = nearly_full_pipe(0);
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec env \"$@\" 2>&1 >&-", "sh"]).args(folder.program(name).get_args());
        shell.args(args);
        let mut running = Piped::start(shell, stderr);
        // Sooner or later it blocks the signals, and from then on it is up to the program.
        let status = format!("/proc/{}/status", running.pid());
        let deadline = Instant::now() + DEADLINE;
        let blocks =
            |line: &str| line.starts_with("SigBlk:") && !line.ends_with("0000000000000000");
        while !std::fs::read_to_string(&status).expect("our child").lines().any(blocks) {
            assert!(Instant::now() < deadline, "{name} does not come to its first line");
            thread::yield_now();
        }
        running.signal(Signal::SIGINT);
        assert_eq!(running.wait().signal(), Some(Signal::SIGINT as i32), "{name}");
        drop(full);
    }
}

/// There is no row for it either: who sends SIGBUS wants the core dump.
#[test]
fn a_sigbus_that_somebody_sends_ends_the_program_as_ever() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("f");
    let mut writer = e2e::start("mmap-file-writer", [file.as_os_str(), "-i1h".as_ref()]);
    writer.wait_stdout("count: 1");
    writer.signal(Signal::SIGBUS);
    let outcome = writer.finish();
    assert_eq!(outcome.status.signal(), Some(Signal::SIGBUS as i32), "{outcome:#?}");
}
