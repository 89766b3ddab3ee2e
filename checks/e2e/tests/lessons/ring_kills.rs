//! kill -9 of either half of the ring, at any moment: nothing is torn, and what is lost or comes twice is said.
//!
//! 20 kills a test. `RING_KILLS=200 cargo test -p e2e --test lessons ring_kills` makes more of them.

use std::fs::{self, File};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::proc;
use nix::sys::signal::Signal;

use super::streams::{Half, Place, until};

/// One read(2) of the sender, and so one message.
const BLOCK: usize = 4096;
const LINE: usize = 16;

/// Block `number`: 256 lines that all say so.
fn block(number: u64) -> Vec<u8> {
    (0..BLOCK / LINE).flat_map(|line| format!("{number:011} {line:03}\n").into_bytes()).collect()
}

/// The number of a block, which must be whole.
fn number_of(found: &[u8]) -> u64 {
    let text = std::str::from_utf8(&found[..11]).expect("digits");
    let number = text.parse().expect("a number");
    assert!(found == block(number), "a torn message: {}", String::from_utf8_lossy(found));
    number
}

/// Kills the half and starts its successor, which must say so. Returns what the killed one had said.
fn replace(half: &mut Half, start: impl Fn() -> Half, name: &str) -> String {
    let pid = half.pid();
    half.signal(Signal::SIGKILL);
    let next = start_after(half, start);
    let killed = std::mem::replace(half, next);
    half.wait(&format!("before: the {name}, pid {pid}, was killed"));
    killed.said()
}

fn start_after(killed: &Half, start: impl Fn() -> Half) -> Half {
    // Gone when it is a zombie: by then its files are closed.
    until(
        || proc::stat(killed.pid()).is_ok_and(|it| it.state == 'Z'),
        || "end of a killed process".into(),
    );
    start()
}

/// The moment that chance seldom finds: the message is received, and stdout takes nothing more.
#[test]
fn a_receiver_that_is_killed_before_it_writes_loses_nothing() {
    const BLOCKS: u64 = 30;
    let place = Place::new();
    let all: Vec<u8> = (0..BLOCKS).flat_map(block).collect();
    fs::write(place.file("in"), &all).expect("a file");
    let sender = place.sender(File::open(place.file("in")).expect("the file"));
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let receiver = place.receiver(writer);
    let in_hands = || place.word(132).wrapping_sub(place.word(128));
    // All is sent but for the end of the stream perhaps, and nobody reads the pipe: it stays so.
    sender.wait("sent: ");
    until(|| in_hands() == 1025 && asleep_in_poll(&receiver), || receiver.said());
    let mut receiver = receiver;
    let receive = || place.receiver(File::create(place.file("out")).expect("a file"));
    replace(&mut receiver, receive, "receiver");
    let said = receiver.finish_well();
    assert!(said.contains("was killed; 4100 bytes may come twice"), "{said}");
    sender.finish_well();
    let mut found = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut found).expect("what the first has written");
    found.extend(fs::read(place.file("out")).expect("what the second has written"));
    assert!(found == all, "{} bytes of {}", found.len(), all.len());
}

fn asleep_in_poll(half: &Half) -> bool {
    proc::stat(half.pid()).is_ok_and(|it| it.state == 'S')
}

#[test]
fn either_half_is_killed_again_and_again() {
    kill_again_and_again(fastrand::bool);
}

#[test]
fn senders_are_killed_again_and_again() {
    kill_again_and_again(|| true);
}

#[test]
fn receivers_are_killed_again_and_again() {
    kill_again_and_again(|| false);
}

/// Kills a sender where `sender_s_turn` says so, and a receiver otherwise.
fn kill_again_and_again(sender_s_turn: impl Fn() -> bool) {
    let kills = std::env::var("RING_KILLS").map_or(20, |it| it.parse().expect("RING_KILLS=NUMBER"));
    let place = Place::new();
    let output = File::options().append(true).create_new(true).open(place.file("out"));
    let output = output.expect("a new file");
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let sender = || place.sender(reader.try_clone().expect("a descriptor"));
    let receiver = || place.receiver(output.try_clone().expect("a descriptor"));
    let enough = AtomicBool::new(false);
    let (mut killed_senders, mut killed_receivers) = (0, 0);
    let mut said = String::new();
    thread::scope(|scope| {
        // Blocks as large as a page of the pipe: each read(2) gets one of them. When all senders and the
        // test are gone, write(2) fails.
        let enough = &enough;
        scope.spawn(move || {
            let mut blocks = (0..).map(block);
            while !enough.load(Ordering::Relaxed)
                && writer.write_all(&blocks.next().expect("no last one")).is_ok()
            {}
        });
        // Should the test fail, the thread must end.
        let stop = Stop(enough);
        let (mut sending, mut receiving) = (sender(), receiver());
        for _ in 0..kills {
            sending.wait("mmap: ");
            receiving.wait("mmap: ");
            let length = || output.metadata().expect("the output").len();
            let wanted = length() + fastrand::u64(1..40) * BLOCK as u64;
            until(|| length() >= wanted, || format!("progress: {}", receiving.said()));
            for _ in 0..fastrand::u32(..2000) {
                std::hint::spin_loop();
            }
            if sender_s_turn() {
                said += &replace(&mut sending, sender, "sender");
                killed_senders += 1;
            } else {
                said += &replace(&mut receiving, receiver, "receiver");
                killed_receivers += 1;
            }
        }
        drop(stop);
        said += &sending.finish_well();
        said += &receiving.finish_well();
    });

    let found = fs::read(place.file("out")).expect("the output");
    assert!(found.len().is_multiple_of(BLOCK), "a torn message at the end");
    let numbers: Vec<_> = found.chunks(BLOCK).map(number_of).collect();
    let (mut lost, mut twice) = (numbers[0], 0);
    for pair in numbers.windows(2) {
        match pair[1].checked_sub(pair[0]) {
            Some(0) => twice += 1,
            Some(step) => lost += step - 1,
            None => panic!("{} after {}", pair[1], pair[0]),
        }
    }
    let half_sent = said.matches("half a message of 4096 bytes is dropped; what").count() as u64;
    // 1025 words.
    let may_come_twice = said.matches("4100 bytes may come twice\n").count() as u64;
    eprintln!(
        "{killed_senders} senders killed: {lost} messages lost, {half_sent} of them half sent; \
         {killed_receivers} receivers killed: {twice} messages twice, {may_come_twice} announced; \
         {} arrived",
        numbers.len()
    );
    // A sender has one message in its hands, read and not sent, and so has a receiver.
    assert!(half_sent <= lost && lost <= killed_senders, "{said}");
    assert!(twice <= may_come_twice && may_come_twice <= killed_receivers, "{said}");
}

/// Tells the writer of the pipe that it is enough, however the test ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
