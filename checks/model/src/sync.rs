//! The seqlock and the two slots: a snapshot is one whole publication.

/// The record's waiting is not checked here: the kernel does it.
pub mod futex {
    use std::time::Duration;

    use crate::atomic::AtomicU32;
    use crate::words::SharedI32;

    pub fn wait_unless(_: &SharedI32, _: i32, _: &AtomicU32, _: Duration) {}

    pub fn wake(_: &SharedI32, _: u32) {}
}

#[path = "../../../common/src/sync/seqlock.rs"]
pub mod seqlock;
#[path = "../../../common/src/sync/two_slots.rs"]
pub mod two_slots;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use loom::sync::Arc;
use loom::thread;

use crate::in_each_order;
use seqlock::SeqLock;
use two_slots::TwoSlots;

/// One writer publishes twice, one reader takes a snapshot of two words that must be equal.
pub fn check_publish_and_snapshot() {
    in_each_order(|| {
        let shared = Arc::new(SeqLock::<2>::default());
        let writing = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            writing.publish(|_| 1);
            writing.publish(|_| 2);
        });
        let seen = shared.sequence();
        if let Ok([first, second]) = shared.snapshot(2) {
            assert_eq!(first, second, "a torn snapshot");
            assert!(first >= seen / 2, "older than what the sequence said before");
        }
        writer.join().expect("the writer");
        // With nobody writing any more, a snapshot succeeds at once and is the newest.
        assert_eq!(shared.snapshot(1), Ok([2, 2]));
    });
}

/// A writer dies after `stored` words of its second publication, and is replaced by another process
/// while a reader looks.
pub fn check_recovery(stored: usize) {
    in_each_order(move || {
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
pub fn check_two_slots() {
    in_each_order(|| {
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
pub fn check_two_slots_recovery(stored: usize) {
    in_each_order(move || {
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
