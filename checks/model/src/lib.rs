//! Has loom run the seqlock and the two slots of `common` in the orders that Rust's memory model
//! allows: those that loom knows, with at most three forced switches between the threads.
//!
//! The files themselves are compiled here a second time, with loom's atomics in the place of
//! std's. So what is checked is the source that runs, and the source knows nothing of the check.

#![cfg(test)]

mod ring;

/// `common::sync::atomic`, as loom has it, with a switch that leaves one fence out.
mod atomic {
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{AtomicU32, Ordering};

    /// The line of the source whose fence is left out; 0 for none.
    pub(crate) static OMITTED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

    #[track_caller]
    pub(crate) fn fence(order: Ordering) {
        let line = std::panic::Location::caller().line();
        if line != OMITTED.load(Ordering::Relaxed) {
            loom::sync::atomic::fence(order);
        }
    }
}

#[allow(dead_code, unreachable_pub, missing_docs, clippy::must_use_candidate)]
#[path = "../../../common/src/sync/seqlock.rs"]
mod seqlock;

#[allow(dead_code, unreachable_pub, missing_docs, clippy::must_use_candidate)]
#[path = "../../../common/src/sync/two_slots.rs"]
mod two_slots;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use loom::sync::Arc;
use loom::sync::atomic::Ordering;
use loom::thread;
use seqlock::SeqLock;
use two_slots::TwoSlots;

/// One writer publishes twice, one reader takes a snapshot of two words that must be equal.
fn check_publish_and_snapshot() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let shared = Arc::new(SeqLock::<2>::default());
        let writing = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            writing.publish(|_| 1);
            writing.publish(|_| 2);
        });
        if let Ok([first, second]) = shared.snapshot(2) {
            assert_eq!(first, second, "a torn snapshot");
        }
        writer.join().expect("the writer");
        // With nobody writing any more, a snapshot succeeds at once and is the newest.
        assert_eq!(shared.snapshot(1), Ok([2, 2]));
    });
}

/// A writer dies after `stored` words of its second publication, and is replaced by another process
/// while a reader looks.
fn check_recovery(stored: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let shared = Arc::new(SeqLock::<2>::default());
        let [first, second] = [Arc::clone(&shared), Arc::clone(&shared)];
        let dies = thread::spawn(move || {
            first.publish(|_| 1);
            let word = |index| if index < stored { 7 } else { resume_unwind(Box::new(())) };
            catch_unwind(AssertUnwindSafe(|| first.publish(word))).expect_err("it dies");
            assert!(first.is_publishing());
        });
        let successor = thread::spawn(move || {
            // It starts when the first is known to be dead, as after waitpid(2).
            dies.join().expect("the first writer");
            second.publish(|_| 2);
        });
        if let Ok([first, second]) = shared.snapshot(1) {
            assert_eq!(first, second, "a torn snapshot");
            assert_ne!(first, 7, "a snapshot of what was never published");
        }
        successor.join().expect("the successor");
        assert_eq!(shared.snapshot(1), Ok([2, 2]));
        assert!(!shared.is_publishing());
    });
}

/// The same for two slots: the second publication is in the slot where the reader began.
fn check_two_slots() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let shared = Arc::new(TwoSlots::<2>::default());
        let reading = Arc::clone(&shared);
        // loom has the first thread begin, and does not try every order from there: with the writer
        // first it finds all that there is, with the reader first the reader always began at 0.
        let reader = thread::spawn(move || {
            if let Ok([first, second]) = reading.snapshot(2) {
                assert_eq!(first, second, "a torn snapshot");
            }
        });
        shared.publish(|_| 1);
        shared.publish(|_| 2);
        reader.join().expect("the reader");
        assert_eq!(shared.snapshot(1), Ok([2, 2]));
    });
}

/// A writer dies after `stored` words of its second publication, and is replaced; here readers never
/// go without. The successor starts when the first is known to be dead, so one thread may play both.
fn check_two_slots_recovery(stored: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let shared = Arc::new(TwoSlots::<2>::default());
        let reading = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            if let Ok([first, second]) = reading.snapshot(1) {
                assert_eq!(first, second, "a torn snapshot");
                assert_ne!(first, 7, "a snapshot of what was never published");
            }
        });
        shared.publish(|_| 1);
        let word = |index| if index < stored { 7 } else { resume_unwind(Box::new(())) };
        catch_unwind(AssertUnwindSafe(|| shared.publish(word))).expect_err("it dies");
        assert_eq!(shared.snapshot(1), Ok([1, 1]), "what it had begun is not shown");
        shared.publish(|_| 2);
        reader.join().expect("the reader");
        assert_eq!(shared.snapshot(1), Ok([2, 2]));
    });
}

/// The lines of a source that call `fence`.
fn fences(source: &str) -> Vec<u32> {
    (1..)
        .zip(source.lines())
        .filter(|(_, line)| line.trim().starts_with("fence("))
        .map(|it| it.0)
        .collect()
}

/// Has `check` find something wrong as soon as any fence of `source` is left out.
fn no_fence_can_be_left_out(source: &str, check: fn()) {
    let fences = fences(source);
    assert_eq!(fences.len(), 4, "fences at {fences:?}");
    for line in fences {
        atomic::OMITTED.store(line, Ordering::Relaxed);
        let found = catch_unwind(AssertUnwindSafe(check));
        atomic::OMITTED.store(0, Ordering::Relaxed);
        assert!(found.is_err(), "loom finds nothing wrong without the fence in line {line}");
    }
}

#[test]
fn all_fences_together_are_right_and_none_can_be_left_out() {
    // One test, because the switch is one for the process.
    check_publish_and_snapshot();
    (0..2).for_each(check_recovery);
    let source = include_str!("../../../common/src/sync/seqlock.rs");
    no_fence_can_be_left_out(source, check_publish_and_snapshot);

    check_two_slots();
    (0..2).for_each(check_two_slots_recovery);
    let source = include_str!("../../../common/src/sync/two_slots.rs");
    no_fence_can_be_left_out(source, check_two_slots);
}
