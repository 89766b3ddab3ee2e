//! A message has a length, and the reader checks it before use. Now and then the reader runs over the end
//! all the same: somebody changes the length just after the check.
//!
//! Question: with a plain `u32` in place of the atomic, why would one load in the text be no promise?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use common::{SharedU32, Writer, shared_record};

shared_record! {
    pub struct Message {
        length: SharedU32,
        numbers: [SharedU32; 64],
        /// For the check alone: in which of its readings the reader is.
        round: SharedU32,
    }
}

/// The sum of the message's numbers, or `None` if it cannot have that length.
fn sum(message: &Message) -> Option<u32> {
    // TODO: how often is the length loaded? Nobody but the kernel knows what happens in between.
    if message.length.load(Acquire) as usize > message.numbers.len() {
        return None;
    }
    let length = message.length.load(Acquire) as usize;
    let mut sum = 0;
    for index in 0..length {
        sum += message.numbers[index].load(Relaxed);
    }
    Some(sum)
}

fn set_length(message: Writer<'_, Message>, length: u32) {
    message.field(|it| &it.length).store(length, Release);
}

fn main() {
    let lab = lab::Lab::<Message>::new();
    for length in [64, 65] {
        set_length(lab.shared.writer(), length);
        println!("A message of {length} numbers has the sum {:?}.", sum(&lab.shared));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab};

    const ROUNDS: u32 = 100;

    #[test]
    fn role() {
        if lab::role() == "reader" {
            let message = lab::attach::<Message>();
            lab::one_step_at_a_time(|| {
                for round in 1..=ROUNDS {
                    message.writer().field(|it| &it.round).store(round, Relaxed);
                    let sum = sum(&message);
                    assert!(matches!(sum, None | Some(5)), "2 + 3 is not {sum:?}");
                }
            });
        }
    }

    #[test]
    fn a_length_that_cannot_be_true_is_refused() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let lab = Lab::<Message>::new();
        for (length, wanted) in [(0, Some(0)), (64, Some(0)), (65, None), (u32::MAX, None)] {
            set_length(lab.shared.writer(), length);
            let sum = sum(&lab.shared);
            assert!(sum == wanted, "there is room for 64, the length is {length}, the sum {sum:?}");
        }
    }

    /// In each round the length turns from 2 into 1000, five machine instructions later than in the round
    /// before.
    #[test]
    fn the_length_changes_at_any_moment() {
        let _dog = lab::watchdog(60, "the reader does not come to an end");
        let lab = Lab::<Message>::new();
        lab.shared.writer().field(|it| &it.numbers[0]).store(2, Relaxed);
        lab.shared.writer().field(|it| &it.numbers[1]).store(3, Relaxed);
        let mut reader = lab.start("reader");
        let (mut round, mut steps) = (0, 0);
        let read = reader.step_through(|_| {
            let now = lab.shared.round.load(Relaxed);
            if now != round {
                (round, steps) = (now, 0);
                set_length(lab.shared.writer(), 2);
            }
            steps += 1;
            if steps == 5 * round {
                set_length(lab.shared.writer(), 1000);
            }
        });
        if let Err(ended) = read {
            panic!(
                "{} instructions after the reader's start the length turned from 2 into 1000: {ended}",
                5 * round
            );
        }
        assert!(steps < 5 * ROUNDS, "the check has not reached the reader's end: more rounds");
        let ended = reader.end();
        assert!(ended == Ended::Exited(0), "{ended}");
    }
}
