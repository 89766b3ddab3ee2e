//! Eight processes count, each in a counter of its own, and yet they slow each other down.
//! Their counters lie in one line of the cache, which only one processor can have for writing.
//!
//! Question: why does the check below not simply measure how long it takes?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;

use common::{SharedU32, Writer, shared_record};

/// Bytes in a line of the cache, on most machines.
const LINE: usize = 64;
const PROCESSES: usize = 8;

shared_record! {
    pub struct Counters {
        // TODO: how far are two neighbours apart? Give each of them a line of its own, with words that
        // nobody uses: `shared_record!` takes no `align`. Another record may help, and then `counter` needs a
        // change too.
        counts: [SharedU32; PROCESSES],
    }
}

/// The counter of one process.
fn counter(counters: &Counters, process: usize) -> &SharedU32 {
    &counters.counts[process]
}

fn count(counters: Writer<'_, Counters>, process: usize) {
    let own = counters.field(|it| counter(it, process));
    own.fetch_add(1, Relaxed);
}

fn main() {
    let lab = lab::Lab::<Counters>::new();
    count(lab.shared.writer(), 7);
    let bytes = size_of::<Counters>();
    let last = counter(&lab.shared, 7);
    println!(
        "Eight counters in {} lines, {bytes} bytes; the last says {last:?}.",
        bytes.div_ceil(LINE)
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab};
    use std::ptr;

    #[test]
    fn role() {
        if lab::role() == "counting" {
            let process = lab::argument("PROCESS").parse().expect("a number");
            for _ in 0..=process {
                count(lab::attach::<Counters>().writer(), process);
            }
        }
    }

    /// Process n counts to n + 1.
    #[test]
    fn each_process_has_a_counter_of_its_own() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let lab = Lab::<Counters>::new();
        for process in 0..PROCESSES {
            let number = process.to_string();
            let ended = lab.start_with_argument("counting", "PROCESS", &number).end();
            assert!(ended == Ended::Exited(0), "process {process} has not counted: {ended}");
        }
        let counts = [0, 1, 2, 3, 4, 5, 6, 7].map(|it| counter(&lab.shared, it).load(Relaxed));
        assert!(counts == [1, 2, 3, 4, 5, 6, 7, 8], "process n counts to n + 1: {counts:?}");
    }

    /// The lines begin at addresses that are multiples of 64. A segment begins with one; but the record
    /// may also stand behind something else, so it is looked at in 16 places.
    #[test]
    fn no_two_counters_share_a_line() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let lab = Lab::<Counters>::new();
        let start = ptr::from_ref(&*lab.shared).addr();
        let offsets: [usize; PROCESSES] =
            std::array::from_fn(|it| ptr::from_ref(counter(&lab.shared, it)).addr() - start);
        for shift in (0..LINE).step_by(align_of::<Counters>()) {
            for (second, b) in offsets.into_iter().enumerate() {
                for (first, a) in offsets[..second].iter().enumerate() {
                    assert!(
                        (shift + a) / LINE != (shift + b) / LINE,
                        "counters {first} and {second}, at bytes {a} and {b} of the record, share a \
                         line when the record begins at byte {shift} of one"
                    );
                }
            }
        }
    }
}
