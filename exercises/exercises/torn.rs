//! A reader looks in the middle of a publication and gets half of the old record and half of the new one.
//! The writer makes `sequence` odd before it stores and even after. The reader doesn't look at it.
//!
//! Question: why a fence, and not an acquire load at the end?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use common::{Writer, shared_record};
// `lab`'s words are those of `common`; a test can have loom run them in all orders.
use lab::{SharedU32, Store as _, fence};

shared_record! {
    pub struct Record {
        /// Odd while a publication is under way.
        sequence: SharedU32,
        words: [SharedU32; 4],
    }
}

/// Stores one word after the other. At `before_word` the check stops this process.
fn publish(record: Writer<'_, Record>, words: [u32; 4], before_word: impl Fn(usize)) {
    let odd = record.sequence.load(Relaxed) | 1;
    record.field(|it| &it.sequence).store(odd, Relaxed);
    // The words are stored after the odd number, and the even one after the words.
    fence(Release);
    for (index, word) in words.into_iter().enumerate() {
        before_word(index);
        record.field(|it| &it.words[index]).store(word, Relaxed);
    }
    record.field(|it| &it.sequence).store(odd.wrapping_add(1), Release);
}

/// Loads one whole record, or gives up: `None` if it may be torn.
fn snapshot(record: &Record, before_word: impl Fn(usize)) -> Option<[u32; 4]> {
    // TODO: what must `sequence` be before, and what after, so that no publication came in between?
    // (`record.sequence.load(Acquire)`: what follows is loaded later. `fence(Acquire)`: what stands
    // before it was loaded earlier.)
    let words = std::array::from_fn(|index| {
        before_word(index);
        record.words[index].load(Relaxed)
    });
    let _ = (Acquire, fence);
    Some(words)
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let lab = lab::Lab::<Record>::new();
    publish(lab.shared.writer(), [1; 4], |_| ());
    publish(lab.shared.writer(), [2; 4], |index| {
        println!("Before word {index} a reader gets {:?}.", snapshot(&lab.shared, |_| ()));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab};

    /// Stops in the middle of the record.
    fn halfway(index: usize) {
        if index == 2 {
            lab::stop_here();
        }
    }

    #[test]
    fn role() {
        match lab::role().as_str() {
            "writer" => publish(lab::attach::<Record>().writer(), [2; 4], halfway),
            "reader" => {
                let seen = snapshot(&lab::attach::<Record>(), halfway);
                assert!(matches!(seen, None | Some([2, 2, 2, 2])), "taken for a record: {seen:?}");
            }
            _ => {}
        }
    }

    fn now(lab: &Lab<Record>) -> Option<[u32; 4]> {
        snapshot(&lab.shared, |_| ())
    }

    #[test]
    fn the_reader_comes_in_the_middle_of_a_publication() {
        let _dog = lab::watchdog(60, "does `snapshot` wait for the writer?");
        let lab = Lab::<Record>::new();
        publish(lab.shared.writer(), [1; 4], |_| ());
        assert!(now(&lab) == Some([1; 4]), "nobody writes, and the reader gets {:?}", now(&lab));

        let mut writer = lab.start("writer");
        writer.until_stopped().expect("the writer stops in the middle");
        assert!(
            now(&lab).is_none(),
            "half of the record is stored, and the reader gets {:?}",
            now(&lab)
        );

        writer.go_on();
        assert_eq!(writer.end(), Ended::Exited(0));
        assert!(
            now(&lab) == Some([2; 4]),
            "all of it is stored, and the reader gets {:?}",
            now(&lab)
        );
    }

    #[test]
    fn a_publication_comes_in_the_middle_of_the_reader() {
        let _dog = lab::watchdog(60, "does `snapshot` try again for ever?");
        let lab = Lab::<Record>::new();
        publish(lab.shared.writer(), [1; 4], |_| ());
        let mut reader = lab.start("reader");
        reader.until_stopped().expect("the reader stops in the middle");
        publish(lab.shared.writer(), [2; 4], |_| ());
        reader.go_on();
        let ended = reader.end();
        assert!(ended == Ended::Exited(0), "the reader took the mixture for a record: {ended}");
    }

    #[test]
    fn the_writer_dies_in_the_middle() {
        let _dog = lab::watchdog(60, "does `snapshot` wait for the writer?");
        let lab = Lab::<Record>::new();
        let mut writer = lab.start("writer");
        writer.until_stopped().expect("the writer stops in the middle");
        writer.kill();
        assert!(
            now(&lab).is_none(),
            "the writer is dead, and the reader gets its half: {:?}",
            now(&lab)
        );
        publish(lab.shared.writer(), [3; 4], |_| ());
        assert!(
            now(&lab) == Some([3; 4]),
            "the next one has published, and the reader gets {:?}",
            now(&lab)
        );
    }

    /// loom tries all that Rust's memory model allows, also what your processor never does.
    #[test]
    fn reader_and_writer_may_run_on_any_processor() {
        let _dog = lab::watchdog(60, "does `snapshot` wait for the writer?");
        let record = Lab::<Record>::new().for_ever();
        lab::in_all_orders!([&*record], {
            let reader = loom::thread::spawn(move || snapshot(&record, |_| ()));
            publish(record, [2; 4], |_| ());
            let seen = reader.join().expect("the reader returns");
            assert!(
                matches!(seen, None | Some([0, 0, 0, 0] | [2, 2, 2, 2])),
                "on a processor that exchanges loads or stores, the reader takes {seen:?} for a record"
            );
        });
    }
}
