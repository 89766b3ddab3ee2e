use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::*;
use crate::mapping::Mapping;

/// Few places, so that every message goes past the end of the ring sooner or later.
const FEW: usize = 16;

/// A ring in a directory for temporary files, removed at the end.
struct Ring(PathBuf);

impl Ring {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("ring-{name}-{}", std::process::id())))
    }

    fn file(&self) -> RecordFile<ReadWrite> {
        open_or_create::<FEW>(&self.0, 0o600, false).expect("a ring")
    }

    fn sender(&self) -> Sender<FEW> {
        Sender::claim(self.file()).expect("the sender")
    }

    fn receiver(&self) -> Receiver<FEW> {
        Receiver::claim(self.file()).expect("the receiver")
    }

    /// All words of the file, as a hostile process has them.
    fn words(&self) -> Mapping<[SharedU32], ReadWrite> {
        self.file().map_words().expect("the words")
    }

    fn store(&self, byte: usize, value: u32) {
        self.words().writer().field(|words| &words[byte / 4]).store(value, Relaxed);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn message(length: usize) -> Vec<u8> {
    (0..length).map(|it| u8::try_from((it * 7 + length) % 251).expect("less than 256")).collect()
}

#[test]
fn messages_of_all_lengths_arrive_wherever_the_indices_are() {
    for packed in [false, true] {
        for start in [0, 5, u32::MAX - 20] {
            let ring = Ring::new("lengths");
            drop(open_or_create::<FEW>(&ring.0, 0o600, packed).expect("a ring"));
            let taken_at = if packed { 68 } else { 128 };
            ring.store(64, start);
            ring.store(taken_at, start);
            let (mut sender, mut receiver) = (ring.sender(), ring.receiver());
            assert_eq!(receiver.is_packed(), packed);
            let mut found = Vec::new();
            for length in 0..=Sender::<FEW>::longest() {
                assert_eq!(receiver.receive(&mut found), Ok(Received::Empty));
                assert_eq!(sender.send(&message(length)), Ok(true), "{length} bytes");
                assert_eq!(receiver.receive(&mut found), Ok(Received::Message));
                assert_eq!(found, message(length));
                receiver.release();
            }
            let error = sender.send(&message(Sender::<FEW>::longest() + 1)).expect_err("too long");
            assert!(matches!(error.refusal(), Some(Refusal::TooLong { .. })), "{error}");
        }
    }
}

#[test]
fn it_is_full_until_something_is_released_and_ends_behind_the_last_message() {
    let ring = Ring::new("full");
    let (mut sender, mut receiver) = (ring.sender(), ring.receiver());
    // A length and a word each: eight messages are 16 words.
    for number in 0..8 {
        assert_eq!(sender.send(&[number]), Ok(true));
    }
    assert_eq!((sender.send(&[]), sender.end()), (Ok(false), Ok(false)));
    let mut found = Vec::new();
    assert_eq!((receiver.receive(&mut found), &found[..]), (Ok(Received::Message), &[0][..]));
    assert_eq!(sender.end(), Ok(false), "received, and not released");
    receiver.release();
    assert_eq!((sender.end(), sender.send(&[])), (Ok(true), Ok(true)), "two words");
    assert_eq!(sender.send(&[]), Ok(false));
    for number in 1..8 {
        assert_eq!((receiver.receive(&mut found), found[0]), (Ok(Received::Message), number));
    }
    assert_eq!(receiver.receive(&mut found), Ok(Received::End));
    assert_eq!((receiver.receive(&mut found), found.len()), (Ok(Received::Message), 0));
    assert_eq!(receiver.receive(&mut found), Ok(Received::Empty));
}

#[test]
fn one_of_each_side_and_who_was_killed_is_said() {
    let ring = Ring::new("sides");
    let (mut sender, receiver) = (ring.sender(), ring.receiver());
    let me = std::process::id();
    assert_eq!(sender.peer(), Ok(Peer::Present { pid: me }));
    let second = Sender::<FEW>::claim(ring.file()).expect_err("a second sender");
    assert_eq!((second.call(), second.errno()), ("fcntl(F_OFD_SETLK)", Some(Errno::EAGAIN)));
    let second = Receiver::<FEW>::claim(ring.file()).expect_err("a second receiver");
    assert_eq!(second.errno(), Some(Errno::EAGAIN));

    receiver.leave().expect("in order");
    assert_eq!(sender.peer(), Ok(Peer::Absent));
    assert_eq!(sender.send(b"one"), Ok(true));
    // Dropped without leaving: as after a kill.
    let mut receiver = ring.receiver();
    assert_eq!(receiver.before(), None);
    let mut found = Vec::new();
    assert_eq!(receiver.receive(&mut found), Ok(Received::Message));
    drop(receiver);
    let killed = Killed { side: Side::Receiver, pid: me, unfinished: 8 };
    assert_eq!(sender.peer(), Ok(Peer::Killed(killed)));
    let mut receiver = ring.receiver();
    assert_eq!(receiver.before(), Some(killed));
    assert_eq!((receiver.receive(&mut found), &found[..]), (Ok(Received::Message), &b"one"[..]));
    receiver.release();

    drop(sender);
    let killed = Killed { side: Side::Sender, pid: me, unfinished: 0 };
    assert_eq!(receiver.peer(), Ok(Peer::Killed(killed)));
    // As if it had been killed in the middle of a message of 5 bytes, behind the three words of before.
    ring.store(64 + 8, 2 + 3);
    ring.store(64 + 12, 5);
    let killed = Killed { unfinished: 5, ..killed };
    assert_eq!(receiver.peer(), Ok(Peer::Killed(killed)));
    let mut sender = ring.sender();
    assert_eq!(sender.before(), Some(killed));
    assert_eq!(sender.send(b"two"), Ok(true));
    assert_eq!((receiver.receive(&mut found), &found[..]), (Ok(Received::Message), &b"two"[..]));
    // The end is no message that could come twice.
    assert_eq!(sender.end(), Ok(true));
    assert_eq!(receiver.receive(&mut found), Ok(Received::End));
    receiver.release();
    drop(receiver);
    let killed = Killed { side: Side::Receiver, pid: me, unfinished: 0 };
    assert_eq!(sender.peer(), Ok(Peer::Killed(killed)));
}

#[test]
fn a_file_that_is_no_such_ring_is_refused_and_left_as_it_is() {
    let ring = Ring::new("header");
    drop(ring.file());
    let before = std::fs::read(&ring.0).expect("the file");
    for byte in [0, 4, 8, 12] {
        let mut other = before.clone();
        other[byte] ^= 1;
        std::fs::write(&ring.0, &other).expect("the file");
        let error = Sender::<FEW>::claim(ring.file()).expect_err("refused");
        assert!(matches!(error.refusal(), Some(Refusal::Header { .. })), "{byte}: {error}");
        let error = Receiver::<FEW>::claim(ring.file()).expect_err("refused");
        assert!(matches!(error.refusal(), Some(Refusal::Header { .. })), "{byte}: {error}");
        assert_eq!(std::fs::read(&ring.0).expect("the file"), other);
    }
    std::fs::write(&ring.0, &before).expect("the file");
    let error = Sender::<32>::claim(ring.file()).expect_err("another size");
    assert!(matches!(error.refusal(), Some(Refusal::Size { .. })), "{error}");
}

#[test]
fn what_no_honest_peer_stores_is_an_error() {
    let is_broken = |error: &Error, field: &str| match error.refusal() {
        Some(Refusal::Broken { field: found, .. }) => assert_eq!(*found, field),
        other => panic!("{other:?}"),
    };
    let ring = Ring::new("broken");
    let (mut sender, mut receiver) = (ring.sender(), ring.receiver());
    let mut found = Vec::new();
    sender.send(b"1234").expect("room");
    // Behind the two words that are there, past the ring, and a length whose words are more than a u32.
    for length in [5, 64, u32::MAX - 1] {
        ring.store(256, length);
        is_broken(&receiver.receive(&mut found).expect_err("a length"), "length");
    }
    ring.store(256, 4);
    assert_eq!(receiver.receive(&mut found), Ok(Received::Message), "still there");
    // Too far, and behind what was received.
    for put in [17, 1, u32::MAX] {
        ring.store(64, put);
        is_broken(&receiver.receive(&mut found).expect_err("an index"), "put");
    }
    // More taken than was ever put in.
    ring.store(128, 3);
    let full = |sender: &mut Sender<FEW>| sender.send(&[0; 60]).expect_err("an index");
    is_broken(&full(&mut sender), "taken");
    drop((sender, receiver));
    is_broken(&Sender::<FEW>::claim(ring.file()).expect_err("indices"), "put");
    is_broken(&Receiver::<FEW>::claim(ring.file()).expect_err("indices"), "taken");
}

#[test]
fn each_sleep_is_counted_and_leaves_nobody_to_be_woken() {
    let ring = Ring::new("naps");
    let (mut sender, mut receiver) = (ring.sender(), ring.receiver());
    let (never, nap) = (AtomicU32::new(0), Duration::from_millis(1));
    // Else the other side would call the kernel after each message, to wake nobody.
    let noted = || [192, 196].map(|byte: usize| ring.words()[byte / 4].load(Relaxed));
    for sleeps in 1..=3 {
        receiver.wait(&never, nap);
        assert_eq!((receiver.sleeps(), noted()), (sleeps, [0, 0]));
    }
    while sender.send(&[]).expect("an honest receiver") {}
    for sleeps in 1..=3 {
        sender.wait(&never, nap);
        assert_eq!((sender.sleeps(), noted()), (sleeps, [0, 0]));
    }
    // There is something to receive, so nobody sleeps.
    receiver.wait(&never, nap);
    assert_eq!(receiver.sleeps(), 3);
}

#[test]
fn who_sleeps_is_woken() {
    /// Whoever sleeps as long has not been woken: it is no measure of speed.
    const PATIENCE: Duration = Duration::from_secs(60);
    const MESSAGES: u32 = 20_000;
    let ring = Ring::new("sleep");
    drop(ring.file());
    let never = AtomicU32::new(0);
    let wait = |wait: &mut dyn FnMut(&AtomicU32, Duration)| {
        let start = Instant::now();
        wait(&never, PATIENCE);
        assert!(start.elapsed() < PATIENCE, "nobody has woken it");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sender = ring.sender();
            for number in 0..MESSAGES {
                let message = number.to_ne_bytes().repeat(1 + number as usize % 14);
                while !sender.send(&message).expect("an honest receiver") {
                    wait(&mut |flag, patience| sender.wait(flag, patience));
                }
            }
            while !sender.end().expect("an honest receiver") {
                wait(&mut |flag, patience| sender.wait(flag, patience));
            }
            sender.leave().expect("in order");
        });
        let (mut receiver, mut found, mut number) = (ring.receiver(), Vec::new(), 0_u32);
        loop {
            match receiver.receive(&mut found).expect("an honest sender") {
                Received::Empty => wait(&mut |flag, patience| receiver.wait(flag, patience)),
                Received::End => break,
                Received::Message => {
                    assert_eq!(found, number.to_ne_bytes().repeat(1 + number as usize % 14));
                    number += 1;
                    receiver.release();
                }
            }
        }
        assert_eq!(number, MESSAGES);
    });
}
