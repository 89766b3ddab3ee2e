//! A peer that stores anything anywhere in the ring: an honest half gets wrong messages, or an error. It never
//! panics, never hangs, and never looks outside.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use common::mapping::{Mapping, RecordFile};
use common::ring::{Received, Receiver, Sender, open_or_create};
use common::{Error, ReadWrite, Refusal, SharedU32};
use e2e::DEADLINE;
use nix::sys::signal::Signal;

use super::streams::{Place, until};

const PLACES: usize = 64;
/// The header, the sender's line, the receiver's, the sleepers'.
const BEFORE: usize = 64;

type Words = Mapping<[SharedU32], ReadWrite>;

fn store(words: &Words, index: usize, value: u32) {
    words.writer().field(|it| &it[index]).store(value, Relaxed);
}

/// Stores something where it hurts: mostly the header, the indices and the lengths, sometimes anywhere.
fn attack(words: &Words) {
    const HURTS: [usize; 14] = [0, 1, 2, 3, 16, 17, 18, 19, 20, 32, 33, 34, 48, 49];
    let index = match fastrand::u8(..4) {
        0 => fastrand::usize(..words.len()),
        1 => BEFORE + fastrand::usize(..words.len() - BEFORE),
        _ => fastrand::choice(HURTS).expect("some"),
    };
    let now = words[index].load(Relaxed);
    let value = match fastrand::u8(..6) {
        0 => fastrand::u32(..),
        1 => now ^ (1 << fastrand::u32(..32)),
        2 => now.wrapping_add(fastrand::u32(..80)),
        3 => now.wrapping_sub(fastrand::u32(..80)),
        4 => fastrand::u32(..4 * 70),
        _ => u32::MAX - fastrand::u32(..4),
    };
    store(words, index, value);
}

fn open(path: &Path) -> RecordFile<ReadWrite> {
    open_or_create::<PLACES>(path, 0o600, false).expect("the size stays")
}

/// What a half may answer to a hostile peer.
#[track_caller]
fn is_fair(error: &Error) {
    let fair = matches!(error.refusal(), Some(Refusal::Broken { .. } | Refusal::Header { .. }));
    assert!(fair, "{error}");
    assert!(error.to_string().len() < 1000);
}

/// Between its fork and its exec, a process that another test starts has all our descriptors, and so the
/// lock of the case before.
fn claim<End>(claim: impl Fn() -> Result<End, Error>) -> Result<End, Error> {
    let mut claimed = claim();
    let is_held = |it: &Result<End, Error>| {
        it.as_ref().is_err_and(|it| it.errno() == Some(nix::errno::Errno::EAGAIN))
    };
    until(
        || {
            if is_held(&claimed) {
                claimed = claim();
            }
            !is_held(&claimed)
        },
        || "end of the lock".into(),
    );
    claimed
}

/// Some calls of an honest half; what they find is of no interest.
fn use_sender(sender: &mut Sender<PLACES>) {
    let message = vec![7; fastrand::usize(..=Sender::<PLACES>::longest())];
    let sent = if fastrand::u8(..8) == 0 { sender.end() } else { sender.send(&message) };
    match sent {
        Ok(true) => {}
        Ok(false) => sender.wait(&AtomicU32::new(0), Duration::from_micros(1)),
        Err(error) => is_fair(&error),
    }
    sender.peer().expect("the lock is no matter of memory");
}

fn use_receiver(receiver: &mut Receiver<PLACES>, message: &mut Vec<u8>) {
    match receiver.receive(message) {
        Ok(Received::Empty) => receiver.wait(&AtomicU32::new(0), Duration::from_micros(1)),
        Ok(_) => {
            assert!(message.len() <= Sender::<PLACES>::longest());
            if fastrand::bool() {
                receiver.release();
            }
        }
        Err(error) => is_fair(&error),
    }
    receiver.peer().expect("the lock is no matter of memory");
}

#[test]
fn a_hostile_peer_gets_ten_thousand_chances() {
    let place = Place::new();
    let path = place.ring();
    let words = open(&path).map_words().expect("the words");
    let pristine: Vec<_> = words.iter().map(|it| it.load(Relaxed)).collect();
    let seed = fastrand::get_seed();
    let (mut message, mut claimed, mut refused) = (Vec::new(), 0, 0);
    for case in 0..10_000 {
        // With the seed a case can be tried again.
        let _says_where = Where { seed, case };
        pristine.iter().enumerate().for_each(|(index, &word)| store(&words, index, word));
        // Half of them come when the damage is done.
        if case % 2 == 0 {
            (0..fastrand::u8(1..8)).for_each(|_| attack(&words));
        }
        let sender = claim(|| Sender::<PLACES>::claim(open(&path)));
        let receiver = claim(|| Receiver::<PLACES>::claim(open(&path)));
        for error in [sender.as_ref().err(), receiver.as_ref().err()].into_iter().flatten() {
            is_fair(error);
            refused += 1;
        }
        let (mut sender, mut receiver) = (sender.ok(), receiver.ok());
        claimed += u32::from(sender.is_some()) + u32::from(receiver.is_some());
        for _ in 0..12 {
            match fastrand::u8(..3) {
                0 => attack(&words),
                1 => sender.iter_mut().for_each(use_sender),
                _ => receiver.iter_mut().for_each(|it| use_receiver(it, &mut message)),
            }
        }
    }
    assert!(claimed > 5000 && refused > 500, "{claimed} claimed, {refused} refused");
}

/// Says which case it was, if it panics.
struct Where {
    seed: u64,
    case: u32,
}

impl Drop for Where {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("case {} of seed {}", self.case, self.seed);
        }
    }
}

/// The damage is done at any moment, also between a look and the next one.
#[test]
fn a_hostile_peer_beside_two_honest_halves() {
    let place = Place::new();
    let path = place.ring();
    drop(open(&path));
    let (done, start) = (AtomicU32::new(0), Instant::now());
    // Whoever comes while the damage is done is refused: so until each was let in often enough.
    let often = |claimed_and_used: &mut dyn FnMut() -> bool| {
        let (mut tries, mut let_in) = (0, 0);
        while (tries < 4_000 || let_in < 500) && start.elapsed() < DEADLINE {
            tries += 1;
            let_in += u32::from(claimed_and_used());
        }
        done.fetch_add(1, Relaxed);
        let_in
    };
    let let_in = std::thread::scope(|scope| {
        scope.spawn(|| {
            let words = open(&path).map_words().expect("the words");
            while done.load(Relaxed) < 2 && start.elapsed() < DEADLINE {
                // Not the header: who comes again should be let in.
                store(&words, 16 + fastrand::usize(..words.len() - 16), fastrand::u32(..300));
                attack_indices(&words);
            }
        });
        let sending = scope.spawn(|| {
            often(&mut || {
                let Ok(mut sender) = Sender::<PLACES>::claim(open(&path)) else { return false };
                (0..10).for_each(|_| use_sender(&mut sender));
                true
            })
        });
        let receiving = scope.spawn(|| {
            let mut message = Vec::new();
            often(&mut || {
                let Ok(mut receiver) = Receiver::<PLACES>::claim(open(&path)) else { return false };
                (0..10).for_each(|_| use_receiver(&mut receiver, &mut message));
                true
            })
        });
        [sending.join(), receiving.join()].map(|it| it.expect("it does not panic"))
    });
    assert!(let_in.iter().all(|it| *it >= 500), "hardly ever let in: {let_in:?}");
}

fn attack_indices(words: &Words) {
    let put = words[16].load(Relaxed);
    store(words, 32, put.wrapping_sub(fastrand::u32(..70)));
}

/// The lessons themselves, while words of their ring are changed.
#[test]
fn the_lessons_end_with_a_sentence_or_go_on() {
    let zeros = || File::open("/dev/zero").expect("/dev/zero");
    for _ in 0..30 {
        let place = Place::new();
        let (sender, receiver) = (place.sender(zeros()), place.receiver(Stdio::null()));
        sender.wait("mmap: ");
        receiver.wait("mmap: ");
        let words = RecordFile::<ReadWrite>::open_any(&place.ring()).expect("the ring");
        let words: Words = words.map_words().expect("the words");
        (0..2000).for_each(|_| attack(&words));
        for half in [sender, receiver] {
            half.signal(Signal::SIGTERM);
            let (status, said) = half.finish();
            match (status.code(), status.signal()) {
                // A hostile sender may say that it is the end.
                (Some(0), _) => assert!(said.contains("the end of the stream"), "{said}"),
                (Some(1), _) => assert!(said.contains("which cannot be: somebody has"), "{said}"),
                (_, Some(signal)) => assert_eq!(signal, Signal::SIGTERM as i32, "{said}"),
                other => panic!("{other:?}: {said}"),
            }
        }
    }
}
