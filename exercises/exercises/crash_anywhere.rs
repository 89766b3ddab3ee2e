//! A writer is killed, and the record that it leaves is neither the old one nor the new one.
//! It may die after any machine instruction: no order of stores into one place is safe.
//!
//! Question: by how many publications may a slow reader be overtaken?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{Acquire, Relaxed};

use common::{Writer, shared_record};
// `lab`'s words are those of `common`; a test can have loom run them in all orders.
use lab::{SharedU32, Store as _};

shared_record! {
    pub struct Slots {
        /// Which of the two slots holds the record: 0 or 1.
        current: SharedU32,
        slots: [[SharedU32; 4]; 2],
    }
}

fn publish(slots: Writer<'_, Slots>, words: [u32; 4]) {
    // TODO: there is a second slot. In what order can you store, so that each point in between is safe?
    let slot = slots.current.load(Relaxed) as usize % 2;
    for (index, word) in words.into_iter().enumerate() {
        slots.field(|it| &it.slots[slot][index]).store(word, Relaxed);
    }
}

fn snapshot(slots: &Slots) -> [u32; 4] {
    // Pairs with the last store in `publish`.
    let slot = slots.current.load(Acquire) as usize % 2;
    slots.slots[slot].each_ref().map(|word| word.load(Relaxed))
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let lab = lab::Lab::<Slots>::new();
    for number in 1..=3 {
        publish(lab.shared.writer(), [number; 4]);
        println!("{:?}, in slot {:?}", snapshot(&lab.shared), lab.shared.current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab};

    #[test]
    fn role() {
        if lab::role() == "writer" {
            let slots = lab::attach::<Slots>();
            lab::one_step_at_a_time(|| publish(slots.writer(), [2; 4]));
        }
    }

    /// The memory after an instruction is what the writer leaves if it is killed there.
    fn at_every_instruction_there_is_a_whole_record(first: u32) {
        let _dog = lab::watchdog(60, "the writer does not come to an end");
        let lab = Lab::<Slots>::new();
        lab.shared.writer().field(|it| &it.current).store(first, Relaxed);
        for index in 0..4 {
            let record = lab.shared.writer().field(|it| &it.slots[first as usize]);
            record.field(|it| &it[index]).store(1, Relaxed);
        }
        let mut writer = lab.start("writer");
        let steps = writer.step_through(|instruction| {
            let seen = snapshot(&lab.shared);
            assert!(
                seen == [1; 4] || seen == [2; 4],
                "killed at instruction {instruction}: {seen:?}"
            );
        });
        let steps = steps.expect("the writer publishes");
        assert_eq!(writer.end(), Ended::Exited(0));
        let seen = snapshot(&lab.shared);
        assert!(seen == [2; 4], "after all {steps} instructions: {seen:?}");
    }

    #[test]
    fn from_slot_0() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        at_every_instruction_there_is_a_whole_record(0);
    }

    #[test]
    fn from_slot_1() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        at_every_instruction_there_is_a_whole_record(1);
    }

    /// loom tries all that Rust's memory model allows, also what your processor never does.
    #[test]
    fn on_any_processor_the_words_come_before_their_slot() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let slots = Lab::<Slots>::new().for_ever();
        lab::in_all_orders!([&*slots], {
            let reader = loom::thread::spawn(move || snapshot(&slots));
            publish(slots, [2; 4]);
            let seen = reader.join().expect("the reader returns");
            assert!(
                seen == [0; 4] || seen == [2; 4],
                "on a processor that exchanges loads or stores, a reader gets {seen:?}"
            );
        });
    }
}
