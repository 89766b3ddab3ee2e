//! Streams: ring-send and ring-receive as processes, and what is compared with them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use e2e::{DEADLINE, example};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::prints;

/// A directory with a ring in it, and with what the two halves print.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn ring(&self) -> PathBuf {
        self.0.path().join("ring")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn sender(&self, stdin: impl Into<Stdio>) -> Half {
        Half::start(self, "ring-send", &[], stdin.into(), Stdio::null())
    }

    pub(crate) fn receiver(&self, stdout: impl Into<Stdio>) -> Half {
        Half::start(self, "ring-receive", &[], Stdio::null(), stdout.into())
    }

    /// The word at a byte of the ring.
    pub(crate) fn word(&self, byte: u64) -> u32 {
        let mut word = [0; 4];
        File::open(self.ring()).expect("the ring").read_exact_at(&mut word, byte).expect("a word");
        u32::from_ne_bytes(word)
    }
}

/// One half, as a process. Dropping it kills it.
pub(crate) struct Half {
    child: Child,
    said: PathBuf,
}

impl Half {
    fn start(place: &Place, name: &str, args: &[&str], stdin: Stdio, stdout: Stdio) -> Self {
        let mut said = place.file(&format!("{name}.0"));
        for number in 1.. {
            if !said.exists() {
                break;
            }
            said.set_extension(number.to_string());
        }
        let stderr = File::create_new(&said).expect("a new file");
        let mut command = example(name);
        command.args(args).arg(place.ring()).stdin(stdin).stdout(stdout).stderr(stderr);
        Self { child: command.spawn().expect("a lesson"), said }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.said).expect("what it has said")
    }

    /// Waits until it has said `needle`.
    #[track_caller]
    pub(crate) fn wait(&self, needle: &str) {
        until(|| self.said().contains(needle), || format!("{needle:?} in {}", self.said()));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).expect("the process is there");
    }

    /// Waits for its end; what it has said comes with it.
    #[track_caller]
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
        let (mut status, said) = (None, self.said.clone());
        until(
            || {
                status = self.child.try_wait().expect("a child");
                status.is_some()
            },
            || format!("end of {}", fs::read_to_string(said).unwrap_or_default()),
        );
        (status.expect("its end"), self.said())
    }

    /// Waits for its end, which must be in order.
    #[track_caller]
    pub(crate) fn finish_well(self) -> String {
        let (status, said) = self.finish();
        assert!(status.success(), "{status}: {said}");
        said
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `is_so`, and fails with what is missing if it does not come.
#[track_caller]
pub(crate) fn until(mut is_so: impl FnMut() -> bool, missing: impl FnOnce() -> String) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "no {}", missing());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Bytes without a pattern.
fn bytes(length: usize) -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(..)).take(length).collect()
}

fn file_of(path: &Path, bytes: &[u8]) -> File {
    fs::write(path, bytes).expect("a file");
    File::open(path).expect("the file")
}

#[derive(Debug, Clone, Copy)]
enum First {
    Sender,
    Receiver,
}

/// Sends `bytes` from one process to the other, which must write the same.
#[track_caller]
fn carry(place: &Place, bytes: &[u8], first: First) {
    let input = file_of(&place.file("in"), bytes);
    let output = File::create(place.file("out")).expect("a file");
    let (sender, receiver) = match first {
        First::Sender => {
            let sender = place.sender(input);
            // Either all of it has room, or it is asleep by then.
            until(
                || sender.said().contains("unmapped") || sender.said().contains("waiting for it"),
                || format!("end or wait in {}", sender.said()),
            );
            (sender, place.receiver(output))
        }
        First::Receiver => {
            let receiver = place.receiver(output);
            receiver.wait("the sender is not there: waiting for it");
            (place.sender(input), receiver)
        }
    };
    let (sent, received) = (sender.finish_well(), receiver.finish_well());
    assert!(sent.contains(&format!("sent: {} bytes", bytes.len())), "{sent}");
    assert!(received.contains(&format!("received: {} bytes", bytes.len())), "{received}");
    assert!(received.contains("the end of the stream"), "{received}");
    let found = fs::read(place.file("out")).expect("the output");
    assert!(found == bytes, "{} other bytes than the {} sent", found.len(), bytes.len());
}

#[test]
fn every_byte_arrives_whoever_comes_first() {
    // A message is at most 4096 bytes, the ring 65536.
    let mut lengths = vec![0, 1, 3, 4, 5, 4095, 4096, 4097, 61_440, 61_441, 65_536, 1_000_003];
    lengths.extend(std::iter::repeat_with(|| fastrand::usize(..200_000)).take(8));
    let place = Place::new();
    for length in lengths {
        // One file for all, so each begins at another place of the ring.
        carry(&place, &bytes(length), First::Sender);
        carry(&place, &bytes(length), First::Receiver);
    }
}

#[test]
fn small_reads_are_small_messages_and_all_arrive() {
    use std::io::Write as _;
    let place = Place::new();
    let receiver = place.receiver(File::create(place.file("out")).expect("a file"));
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let sender = place.sender(reader);
    let mut all = Vec::new();
    for length in 1..200 {
        let message = bytes(length);
        writer.write_all(&message).expect("the sender reads");
        all.extend(message);
    }
    drop(writer);
    sender.finish_well();
    receiver.finish_well();
    assert!(fs::read(place.file("out")).expect("the output") == all);
}

#[test]
fn a_sender_that_nobody_receives_from_sleeps_and_has_sent_what_has_room() {
    let place = Place::new();
    let sender = place.sender(File::open("/dev/zero").expect("/dev/zero"));
    sender.wait("the receiver is not there: waiting for it");
    // 15 messages of 1025 words; 16 would be 16 words more than there are.
    assert_eq!(place.word(64), 15 * 1025);
    let syscall = format!("/proc/{}/syscall", sender.pid());
    let sleeps = || {
        let now = fs::read_to_string(&syscall).unwrap_or_default();
        [libc::SYS_futex_waitv, libc::SYS_futex]
            .iter()
            .any(|it| now.split(' ').next() == Some(&it.to_string()))
    };
    if fs::read_to_string(&syscall).is_ok() {
        until(sleeps, || format!("sleep: {:?}", fs::read_to_string(&syscall)));
    } else {
        e2e::skip("whether the sender sleeps: this kernel shows no /proc/PID/syscall");
    }
    sender.signal(Signal::SIGTERM);
    let (status, said) = sender.finish();
    assert_eq!(status.signal(), Some(Signal::SIGTERM as i32), "{said}");
    assert!(said.contains("dropped: 4096 bytes"), "{said}");
}

#[test]
fn a_receiver_that_is_stopped_in_order_loses_nothing() {
    let place = Place::new();
    let all = bytes(300_000);
    let sender = place.sender(file_of(&place.file("in"), &all));
    let output = File::create(place.file("out")).expect("a file");
    // Full before anybody receives.
    sender.wait("the receiver is not there");
    let first = place.receiver(output.try_clone().expect("a descriptor"));
    first.wait("mmap: ");
    first.signal(Signal::SIGTERM);
    let (status, said) = first.finish();
    let ended = status.signal() == Some(Signal::SIGTERM as i32) || status.success();
    assert!(ended, "{status}: {said}");
    if !status.success() {
        let second = place.receiver(output);
        let said = second.finish_well();
        assert!(!said.contains("before: "), "the first has left in order: {said}");
    }
    sender.finish_well();
    assert!(fs::read(place.file("out")).expect("the output") == all);
}

#[test]
fn a_packed_ring_has_its_indices_in_one_line_and_carries_the_same() {
    let place = Place::new();
    let input = file_of(&place.file("in"), &bytes(100_000));
    let sender = Half::start(&place, "ring-send", &["--packed"], input.into(), Stdio::null());
    sender.wait("indices at bytes 64 and 68, one cache line");
    let receiver = place.receiver(File::create(place.file("out")).expect("a file"));
    sender.finish_well();
    receiver.finish_well();
    assert_eq!((place.word(12), place.word(64)), (4, place.word(68)), "put and taken");
    // Who comes later follows the header.
    carry(&place, &bytes(100_000), First::Receiver);
    assert_eq!(place.word(128), 0, "nobody uses the other place");
}

#[test]
fn one_sender_one_receiver() {
    let place = Place::new();
    let sender = place.sender(File::open("/dev/zero").expect("/dev/zero"));
    sender.wait("waiting for it");
    let (status, said) = place.sender(Stdio::null()).finish();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("fcntl(F_OFD_SETLK), byte 64 of "), "{said}");
    assert!(said.contains("EAGAIN") && said.contains("help: another process is"), "{said}");
}

#[test]
fn what_is_no_ring_is_refused() {
    let place = Place::new();
    let size = 256 + 65_536;
    for (bytes, why) in [
        (vec![0; size], "its magic number is 0x0 and 0x52494e47 is wanted: left as it is"),
        (vec![0; 68], "it has 68 bytes and 65792 are wanted: left as it is"),
        (vec![], "it is empty and 65792 bytes are wanted: left as it is"),
    ] {
        fs::write(place.ring(), &bytes).expect("the file");
        for half in [place.sender(Stdio::null()), place.receiver(Stdio::null())] {
            let (status, said) = half.finish();
            assert_eq!(status.code(), Some(1), "{said}");
            assert!(said.contains(why) && said.contains("help: name another file"), "{said}");
            assert!(!said.contains("--force"), "{said}");
        }
        assert!(fs::read(place.ring()).expect("the file") == bytes);
    }
    for (name, args) in [("ring-send", &["-x"]), ("ring-receive", &["--packed"])] {
        let (status, said) = Half::start(&place, name, args, Stdio::null(), Stdio::null()).finish();
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(said.starts_with("usage: "), "{said}");
    }
}

#[test]
fn a_ring_that_is_cut_off_ends_the_receiver_with_a_sentence() {
    let place = Place::new();
    let receiver = place.receiver(Stdio::null());
    receiver.wait("waiting for it");
    File::options().write(true).open(place.ring()).expect("the ring").set_len(0).expect("a cut");
    let (status, said) = receiver.finish();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.ends_with("error: SIGBUS: somebody has cut the ring's file off\n"), "{said}");
}

#[test]
fn ring_or_pipe_carries_the_same_three_times() {
    let outcome = prints(
        "ring-or-pipe",
        &[
            "ring, indices 64 bytes apart: 1000000 messages, all in order",
            "ring, indices in one cache line: 1000000 messages, all in order",
            "pipe: 1000000 messages, all in order",
        ],
    );
    assert_eq!(outcome.stderr.matches(" ns a message").count(), 3, "{outcome:#?}");
}

#[test]
fn double_buffer_tears_with_two_slots_and_not_with_three() {
    prints(
        "double-buffer",
        &[
            "two slots, overtaken 0 times: 1 1 1 1, whole, 0 late",
            "two slots, overtaken 1 times: 1 1 1 1, whole, 1 late",
            "two slots, overtaken 2 times: 1 1 3 3, torn",
            "three slots, overtaken 2 times: 1 1 1 1, whole, 2 late",
            "three slots, overtaken 1000 times: 1 1 1 1, whole, 1000 late",
        ],
    );
}
