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

    #[test]
    fn role() {
        if lab::role() == "reader" {
            let message = lab::attach::<Message>();
            let mut found = None;
            lab::one_step_at_a_time(|| found = sum(&message));
            assert!(matches!(found, None | Some(5)), "2 + 3 is not {found:?}");
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

    /// The numbers 2 and 3. What lies behind them belongs to no message.
    fn message() -> Lab<Message> {
        let lab = Lab::<Message>::new();
        for (index, number) in [2, 3].into_iter().chain([9; 62]).enumerate() {
            lab.shared.writer().field(|it| &it.numbers[index]).store(number, Relaxed);
        }
        set_length(lab.shared.writer(), 2);
        lab
    }

    /// After one machine instruction of `sum` the length turns from 2 into 1000; and again, a few instructions
    /// later; and so on, up to its end.
    #[test]
    fn the_length_changes_at_any_moment() {
        let _dog = lab::watchdog(120, "the reader does not come to an end");
        let steps = message().start("reader").step_through(|_| ()).expect("`sum` returns");
        for instruction in (1..steps).step_by(steps as usize / 100 + 1) {
            let lab = message();
            let mut reader = lab.start("reader");
            reader.steps(instruction).expect("it is on its way");
            set_length(lab.shared.writer(), 1000);
            let ended = reader.run_on(libc::SYS_pause).map_or_else(|ended| ended, |_| reader.end());
            assert!(
                ended == Ended::Exited(0),
                "after instruction {instruction} of {steps} the length turned from 2 into 1000: {ended}"
            );
        }
    }
}
