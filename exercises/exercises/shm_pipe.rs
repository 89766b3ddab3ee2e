//! Capstone: a pipe in shared memory, for two programs. One sends, and waits while there is no room;
//! the other receives, and waits while there is nothing. Who waits must sleep, and must not miss the end.
//!
//! Question: why does CLOSED lie in the word that is slept on, and not in one of its own?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Writer, shared_record};
// `lab`'s words are those of `common`; a test can have loom run them in all orders.
use lab::{SharedU32, Store as _, futex};

const ROOM: u32 = 256;
/// In `put`, beside the number: nothing more will be put in.
const CLOSED: u32 = 1 << 31;

shared_record! {
    /// Zeros are an empty pipe.
    pub struct Pipe {
        /// How many bytes were ever put in, in 31 bits, and whether it is closed. Only the sender stores it.
        put: SharedU32,
        /// How many bytes were ever taken out, in 31 bits. Only the receiver stores it.
        taken: SharedU32,
        /// Byte number n lies in place n % ROOM. Each has a word of its own, for simplicity's sake.
        places: [SharedU32; ROOM as usize],
    }
}

/// Puts all `bytes` in, and sleeps while there is no room.
fn send(pipe: Writer<'_, Pipe>, bytes: &[u8]) {
    // TODO: put in what there is room for, publish the new `put`, wake the receiver; and so on until all
    // is in. While there is no room, sleep on the word that will change.
    let _ = (pipe, Ordering::Relaxed);
    todo!("send {} bytes", bytes.len())
}

/// Says that no more bytes will come.
fn close(pipe: Writer<'_, Pipe>) {
    // TODO: a receiver that sleeps must wake up; and one that has looked, and is about to sleep, must not.
    let _ = (pipe, CLOSED);
    todo!("close")
}

/// Takes out at least one byte, and sleeps while there is none. 0 if the pipe is closed and empty.
fn receive(pipe: Writer<'_, Pipe>, bytes: &mut [u8]) -> usize {
    // TODO: take out what is there, publish the new `taken`, wake the sender. While nothing is there,
    // sleep, unless the pipe is closed.
    let _ = pipe;
    todo!("receive at most {} bytes", bytes.len())
}

// Given: what follows is right.

/// How many bytes are in it; never more than there is room for, whatever another process has stored.
#[allow(dead_code)]
fn filled(put: u32, taken: u32) -> u32 {
    (put.wrapping_sub(taken) & !CLOSED).min(ROOM)
}

/// Sleeps while `word` is `seen`. It may return early.
#[allow(dead_code)]
fn sleep_while(word: &SharedU32, seen: u32) {
    futex::wait(word, seen, Duration::MAX);
}

/// Wakes all who sleep on `word`.
#[allow(dead_code)]
fn wake(word: &SharedU32) {
    futex::wake(word, u32::MAX);
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let lab = lab::Lab::<Pipe>::new();
    send(lab.shared.writer(), b"through shared memory");
    close(lab.shared.writer());
    let mut bytes = [0; 64];
    let length = receive(lab.shared.writer(), &mut bytes);
    let rest = receive(lab.shared.writer(), &mut [0; 1]);
    println!("{:?}, and then {rest} bytes: the end.", String::from_utf8_lossy(&bytes[..length]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab, Now, Process, Reached};
    use std::sync::atomic::Ordering::Relaxed;

    const LENGTH: usize = 300_000;

    /// Bytes without a pattern that the ring's length could hide.
    fn stream() -> impl Iterator<Item = u8> {
        let mut state = 1_u32;
        let next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(LENGTH)
    }

    #[test]
    fn role() {
        let pipe = || lab::attach::<Pipe>();
        match lab::role().as_str() {
            // Pieces of 1, 2, 3, .. bytes, most of them longer than the pipe.
            "sender" => {
                let (bytes, pipe) = (stream().collect::<Vec<u8>>(), pipe());
                let mut rest = bytes.as_slice();
                for length in 1.. {
                    let (now, later) = rest.split_at(rest.len().min(length));
                    send(pipe.writer(), now);
                    rest = later;
                    if rest.is_empty() {
                        return close(pipe.writer());
                    }
                }
            }
            "receiver" => {
                let (mut bytes, mut all, pipe) = ([0; 100], Vec::new(), pipe());
                loop {
                    match receive(pipe.writer(), &mut bytes) {
                        length @ 1.. if all.len() <= LENGTH => {
                            all.extend_from_slice(&bytes[..length])
                        }
                        _ => break,
                    }
                }
                let (arrived, wrong) =
                    (all.len(), all.iter().zip(stream()).position(|(a, b)| *a != b));
                assert!(
                    arrived == LENGTH && wrong.is_none(),
                    "{LENGTH} bytes were sent, {arrived} arrive; the first wrong one: {wrong:?}"
                );
            }
            "one byte more" => {
                let pipe = pipe();
                lab::one_step_at_a_time(|| send(pipe.writer(), &[7]));
            }
            "taker" => {
                let (pipe, mut bytes, mut length) = (pipe(), [0; 8], 0);
                lab::one_step_at_a_time(|| length = receive(pipe.writer(), &mut bytes));
                let taken = &bytes[..length];
                assert!(
                    taken.iter().all(|it| *it == 7),
                    "all that was put in is 7, and it takes {taken:?}"
                );
            }
            "closer" => {
                let pipe = pipe();
                lab::one_step_at_a_time(|| close(pipe.writer()));
            }
            "sleeping sender" => send(pipe().writer(), &[7]),
            "sleeping receiver" => drop(receive(pipe().writer(), &mut [0; 8])),
            "receiver of one" => {
                assert_eq!(receive(pipe().writer(), &mut [0; 1]), 1, "one is put in")
            }
            _ => {}
        }
    }

    /// `waiting`, which `role` plays, has to wait until `change`. It must sleep then; and if the change comes
    /// before it sleeps, after whichever instruction, it must not.
    fn no_change_is_missed(role: &str, begin: impl Fn(&Lab<Pipe>), change: impl Fn(&Lab<Pipe>)) {
        let lab = Lab::<Pipe>::new();
        begin(&lab);
        let reached = lab.start(role).steps_until_asleep(libc::SYS_futex, 10_000);
        let (reached, sleeps) = reached.expect("it waits");
        assert!(
            reached == Reached::Sleep,
            "{role}: it has to wait, and after {sleeps} instructions it does not sleep in futex(2)"
        );
        for instruction in (1..sleeps).step_by(23) {
            let lab = Lab::<Pipe>::new();
            begin(&lab);
            let mut waiting = lab.start(role);
            waiting.steps(instruction).expect("it is on its way");
            change(&lab);
            let reached = waiting.run_on(libc::SYS_futex).expect("it goes on");
            assert!(
                reached == Reached::End,
                "{role}: the change came after instruction {instruction}, and it sleeps, for ever"
            );
        }
    }

    fn fill(lab: &Lab<Pipe>) {
        send(lab.shared.writer(), &[7; ROOM as usize]);
    }

    #[test]
    fn a_sender_without_room_sleeps_until_there_is_some() {
        let _dog = lab::watchdog(240, "somebody waits for ever");
        no_change_is_missed("one byte more", fill, |lab| {
            assert_eq!(receive(lab.shared.writer(), &mut [0; 1]), 1, "it was full");
        });
    }

    #[test]
    fn a_receiver_without_bytes_sleeps_until_there_are_some() {
        let _dog = lab::watchdog(240, "somebody waits for ever");
        no_change_is_missed("taker", |_| (), |lab| send(lab.shared.writer(), &[7]));
    }

    #[test]
    fn a_receiver_does_not_miss_the_end() {
        let _dog = lab::watchdog(240, "somebody waits for ever");
        no_change_is_missed("taker", |_| (), |lab| close(lab.shared.writer()));
    }

    /// Nobody but `changer` ends the sleep of `sleeper`. After each of its instructions the sleeper has all
    /// the time that it wants: if it is woken too early, it looks, finds nothing new, and sleeps again.
    fn who_sleeps_is_woken(sleeper: &str, changer: &str, begin: impl Fn(&Lab<Pipe>)) {
        let lab = Lab::<Pipe>::new();
        begin(&lab);
        let mut sleeper = lab.start(sleeper);
        assert!(
            sleeper.settles(libc::SYS_futex) == Now::Asleep,
            "it has to wait, and does not sleep"
        );
        let mut changer = lab.start(changer);
        let stepped = changer.step_through(|_| {
            sleeper.settles(libc::SYS_futex);
        });
        stepped.expect("it does not have to wait");
        let now = sleeper.settles(libc::SYS_futex);
        assert!(
            now == Now::Ended(Ended::Exited(0)),
            "it slept, and the other one has stored all: it should have been woken after that. Now: {now:?}"
        );
    }

    #[test]
    fn the_end_wakes_who_sleeps() {
        let _dog = lab::watchdog(15, "the receiver neither sleeps nor ends");
        who_sleeps_is_woken("sleeping receiver", "closer", |_| ());
    }

    #[test]
    fn a_byte_wakes_who_sleeps() {
        let _dog = lab::watchdog(15, "the receiver neither sleeps nor ends");
        who_sleeps_is_woken("sleeping receiver", "one byte more", |_| ());
    }

    #[test]
    fn room_wakes_who_sleeps() {
        let _dog = lab::watchdog(15, "the sender neither sleeps nor ends");
        who_sleeps_is_woken("sleeping sender", "taker", fill);
    }

    /// The sender has looked at the pipe with a byte in it. That one is taken out, and the next receiver sleeps
    /// already when the sender's byte comes.
    #[test]
    fn who_falls_asleep_meanwhile_is_woken() {
        let _dog = lab::watchdog(120, "somebody neither sleeps nor ends");
        for instruction in (1..).step_by(23) {
            let lab = Lab::<Pipe>::new();
            send(lab.shared.writer(), &[7]);
            let mut sender = lab.start("one byte more");
            let reached = sender.steps(instruction).expect("there is room");
            if reached == Reached::End {
                break;
            }
            assert_eq!(receive(lab.shared.writer(), &mut [0; 1]), 1, "one is in it");
            let mut receiver = lab.start("sleeping receiver");
            receiver.settles(libc::SYS_futex);
            sender.run_on(libc::SYS_futex).expect("there is room");
            let now = receiver.settles(libc::SYS_futex);
            assert!(
                now == Now::Ended(Ended::Exited(0)),
                "it fell asleep after instruction {instruction} of `send`, and then the byte was put in: {now:?}"
            );
        }
    }

    /// Woken, and nothing has changed: the man page of futex(2) says that this may happen.
    #[test]
    fn who_is_woken_for_nothing_sleeps_again() {
        let _dog = lab::watchdog(15, "the receiver neither sleeps nor ends");
        let lab = Lab::<Pipe>::new();
        let mut receiver = lab.start("receiver of one");
        assert!(
            receiver.settles(libc::SYS_futex) == Now::Asleep,
            "it has to wait, and does not sleep"
        );
        wake(&lab.shared.put);
        let now = receiver.settles(libc::SYS_futex);
        assert!(now == Now::Asleep, "it was woken for nothing, and does not sleep again: {now:?}");
        send(lab.shared.writer(), &[7]);
        assert_eq!(receiver.end(), Ended::Exited(0), "one byte was sent");
    }

    /// Another process looks after each instruction.
    #[test]
    fn a_byte_is_there_when_its_number_is() {
        let _dog = lab::watchdog(60, "the sender does not come to an end");
        let lab = Lab::<Pipe>::new();
        let pipe = &lab.shared;
        let sent = lab.start("one byte more").step_through(|step| {
            let (put, byte) = (pipe.put.load(Relaxed), pipe.places[0].load(Relaxed));
            assert!(
                put & !CLOSED == 0 || byte == 7,
                "after instruction {step} of `send` the byte is said to be there, and its place has {byte}"
            );
        });
        sent.expect("there is room");
    }

    /// As soon as there is room, something else is put there.
    #[test]
    fn a_place_is_free_when_its_byte_is_out() {
        let _dog = lab::watchdog(60, "the receiver does not come to an end");
        let lab = Lab::<Pipe>::new();
        fill(&lab);
        let mut taker = lab.start("taker");
        let taken = taker.step_through(|_| {
            let (put, taken) = (lab.shared.put.load(Relaxed), lab.shared.taken.load(Relaxed));
            if filled(put, taken) < ROOM {
                send(lab.shared.writer(), &vec![9; (ROOM - filled(put, taken)) as usize]);
            }
        });
        taken.expect("there are bytes");
        assert_eq!(taker.end(), Ended::Exited(0), "it takes what was put in later");
    }

    #[test]
    fn what_was_sent_before_the_end_arrives() {
        let _dog = lab::watchdog(60, "`receive` sleeps beside bytes");
        let lab = Lab::<Pipe>::new();
        fill(&lab);
        close(lab.shared.writer());
        let mut bytes = [0; 300];
        let lengths = [(); 2].map(|()| receive(lab.shared.writer(), &mut bytes));
        assert!(lengths == [256, 0], "256 bytes, then the end; these came: {lengths:?}");
    }

    /// Waits for the end of both. If both sleep, and nothing changes, that is for ever.
    fn both_end(
        lab: &Lab<Pipe>,
        sender: &mut Process,
        receiver: &mut Process,
    ) -> Result<(), String> {
        let numbers = || (lab.shared.put.load(Relaxed), lab.shared.taken.load(Relaxed));
        loop {
            let before = numbers();
            // The sender twice: it may have been woken while we looked at the receiver.
            let call = libc::SYS_futex;
            let asleep = [sender.settles(call), receiver.settles(call), sender.settles(call)];
            let for_ever = match asleep {
                [Now::Asleep, Now::Asleep, Now::Asleep] if numbers() == before => "both sleep",
                [Now::Ended(_), Now::Asleep, _] => "the sender has ended, and the receiver sleeps",
                [_, Now::Ended(_), Now::Asleep] => "the receiver has ended, and the sender sleeps",
                _ => "",
            };
            if !for_ever.is_empty() {
                let (put, taken) = numbers();
                let put = put & !CLOSED;
                return Err(format!("{for_ever}, for ever: {put} bytes put in, {taken} taken out"));
            }
            if let [_, Now::Ended(receiver), Now::Ended(sender)] = asleep {
                let well = sender == Ended::Exited(0) && receiver == Ended::Exited(0);
                return if well {
                    Ok(())
                } else {
                    Err(format!("the sender: {sender}; the receiver: {receiver}"))
                };
            }
        }
    }

    #[test]
    fn every_byte_arrives() {
        let _dog = lab::watchdog(240, "one of the two waits without sleeping, or for ever");
        let lab = Lab::<Pipe>::new();
        // As if so many bytes had been sent before: soon the numbers have no room in their 31 bits.
        let before = (1 << 31) - 1000;
        lab.shared.writer().field(|it| &it.put).store(before, Relaxed);
        lab.shared.writer().field(|it| &it.taken).store(before, Relaxed);
        let (mut receiver, mut sender) = (lab.start("receiver"), lab.start("sender"));
        if let Err(what) = both_end(&lab, &mut sender, &mut receiver) {
            panic!("{what}");
        }
    }

    /// loom tries all that Rust's memory model allows, also what your processor never does. It also sees to it
    /// that nobody stores into a place while another may still be loading it.
    #[test]
    fn on_any_processor_a_byte_is_there_when_its_number_is() {
        let _dog = lab::watchdog(60, "somebody waits for ever");
        let pipe = Lab::<Pipe>::new().for_ever();
        lab::in_all_orders!([&pipe.put, &pipe.taken] watched [&pipe.places[0]], {
            let receiver = loom::thread::spawn(move || {
                let mut byte = [0];
                (receive(pipe, &mut byte), byte)
            });
            send(pipe, &[7]);
            close(pipe);
            let received = receiver.join().expect("it returns");
            assert!(received == (1, [7]), "7 is sent, and these arrive: {received:?}");
        });
    }

    #[test]
    fn on_any_processor_a_place_is_free_when_its_number_is() {
        let _dog = lab::watchdog(60, "somebody waits for ever");
        let pipe = Lab::<Pipe>::new().for_ever();
        lab::in_all_orders!([&pipe.put, &pipe.taken] watched [&pipe.places[0]], {
            // It is full.
            pipe.field(|it| &it.put).store(ROOM, Relaxed);
            let sender = loom::thread::spawn(move || send(pipe, &[7]));
            let mut byte = [9];
            let length = receive(pipe, &mut byte);
            assert!(length == 1 && byte == [0], "a 0 is the oldest: {length} bytes, {byte:?}");
            sender.join().expect("it returns");
        });
    }
}
