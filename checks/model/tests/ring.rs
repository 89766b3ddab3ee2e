//! The queue of `common::ring`: has loom find that its orders are right, and that each is needed.
//!
//! loom sees neither crashes nor a hostile peer: the tests in `common` and `e2e` do.

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::sync::Arc;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use lines::Side;
use queue::{Queue, Received};

/// `common::ring::atomic`, as loom has it, with a switch that weakens what is done in one line.
mod atomic {
    use std::panic::Location;

    use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::atomic::Ordering;

    /// The line of the source that is weakened; 0 for none.
    pub(crate) static WEAKENED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

    #[track_caller]
    fn is_weakened() -> bool {
        Location::caller().line() == WEAKENED.load(Ordering::Relaxed)
    }

    #[derive(Debug, Default)]
    pub(crate) struct AtomicU32(loom::sync::atomic::AtomicU32);

    impl AtomicU32 {
        #[track_caller]
        pub(crate) fn load(&self, order: Ordering) -> u32 {
            self.0.load(if is_weakened() { Ordering::Relaxed } else { order })
        }

        #[track_caller]
        pub(crate) fn store(&self, value: u32, order: Ordering) {
            self.0.store(value, if is_weakened() { Ordering::Relaxed } else { order });
        }
    }

    #[track_caller]
    pub(crate) fn fence(order: Ordering) {
        if !is_weakened() {
            loom::sync::atomic::fence(order);
        }
    }

    /// A place of which loom notices if one side loads it while the other may be storing. Of two atomic
    /// accesses it would not, if the load comes first.
    #[derive(Debug, Default)]
    pub(crate) struct Place(UnsafeCell<u32>);

    impl Place {
        pub(crate) fn load(&self, _: Ordering) -> u32 {
            // SAFETY: loom runs one thread at a time, and nobody keeps the pointer.
            self.0.with(|it| unsafe { *it })
        }

        pub(crate) fn store(&self, value: u32, _: Ordering) {
            // SAFETY: as above.
            self.0.with_mut(|it| unsafe { *it = value });
        }
    }
}

#[allow(dead_code, unreachable_pub, missing_docs)]
#[path = "../../../common/src/ring/lines.rs"]
mod lines;

#[allow(dead_code, unreachable_pub, missing_docs)]
#[path = "../../../common/src/ring/queue.rs"]
mod queue;

/// Room for two messages of a word: a length and four bytes each.
type Small = Queue<4>;

/// What is received, as far as there is anything: the messages are numbers.
fn receive(queue: &Small, at: &mut queue::ReceiverAt) -> Option<u32> {
    let mut bytes = Vec::new();
    match queue.receive(at, &mut bytes).expect("an honest sender") {
        Received::Message => {
            queue.release(at);
            Some(u32::from_ne_bytes(bytes[..].try_into().expect("four bytes")))
        }
        Received::Empty => None,
        Received::End => panic!("nobody has ended the stream"),
    }
}

/// The ring is full, so the sender has to wait for places that the receiver has loaded from.
fn messages_arrive_in_order(packed: bool) {
    loom::model(move || {
        let queue = Arc::new(Small::default());
        let mut sender = queue.sender_at(packed).expect("a new ring");
        let mut receiver = queue.receiver_at(packed).expect("a new ring");
        let send = |queue: &Small, at: &mut queue::SenderAt, number: u32| {
            queue.send(at, Some(&number.to_ne_bytes())).expect("an honest receiver")
        };
        assert!(send(&queue, &mut sender, 1) && send(&queue, &mut sender, 2));
        let receiving = Arc::clone(&queue);
        let thread = thread::spawn(move || {
            let got = [receive(&receiving, &mut receiver), receive(&receiving, &mut receiver)];
            (got, receiver)
        });
        thread::yield_now();
        let sent = send(&queue, &mut sender, 3);
        thread::yield_now();
        let sent = sent || send(&queue, &mut sender, 3);
        let (got, mut receiver) = thread.join().expect("the receiver");
        assert_eq!(got, [Some(1), Some(2)]);
        assert_eq!(receive(&queue, &mut receiver), sent.then_some(3));
    });
}

/// What `put` counts is there.
fn a_message_is_there_when_it_is_counted() {
    loom::model(|| {
        let queue = Arc::new(Small::default());
        let mut receiver = queue.receiver_at(false).expect("a new ring");
        let sending = Arc::clone(&queue);
        let thread = thread::spawn(move || {
            let mut sender = sending.sender_at(false).expect("a new ring");
            assert_eq!(sending.send(&mut sender, Some(&[9; 4])), Ok(true));
        });
        // Without this loom tries the other order only: it remembers one access to an atomic, and the
        // sender's last one is its own.
        thread::yield_now();
        let got = receive(&queue, &mut receiver);
        assert!(got.is_none() || got == Some(0x0909_0909), "{got:?}");
        thread.join().expect("the sender");
    });
}

/// The receiver is about to sleep while the sender puts a message in.
fn a_receiver_that_sleeps_is_woken() {
    loom::model(|| {
        let queue = Arc::new(Small::default());
        let receiver = queue.receiver_at(false).expect("a new ring");
        let sending = Arc::clone(&queue);
        let thread = thread::spawn(move || {
            let mut sender = sending.sender_at(false).expect("a new ring");
            assert_eq!(sending.send(&mut sender, Some(&[])), Ok(true));
            sending.must_wake(Side::Receiver)
        });
        thread::yield_now();
        queue.will_sleep(Side::Receiver);
        // What FUTEX_WAIT does: it compares, and goes to sleep if nothing has changed.
        let (put, seen) = queue.receiver_sleeps_on(&receiver);
        let sleeps = put.load(Relaxed) == seen;
        let is_woken = thread.join().expect("the sender");
        assert!(!sleeps || is_woken, "it sleeps, and nobody wakes it");
    });
}

/// The sender is about to sleep while the receiver releases a message.
fn a_sender_that_sleeps_is_woken() {
    loom::model(|| {
        let queue = Arc::new(Small::default());
        let mut sender = queue.sender_at(false).expect("a new ring");
        let mut receiver = queue.receiver_at(false).expect("a new ring");
        assert_eq!(queue.send(&mut sender, Some(&[0; 12])), Ok(true));
        assert_eq!(queue.send(&mut sender, Some(&[])), Ok(false));
        let receiving = Arc::clone(&queue);
        let thread = thread::spawn(move || {
            let got = receiving.receive(&mut receiver, &mut Vec::new());
            assert_eq!(got, Ok(Received::Message));
            receiving.release(&mut receiver);
            receiving.must_wake(Side::Sender)
        });
        thread::yield_now();
        queue.will_sleep(Side::Sender);
        let (taken, seen) = queue.sender_sleeps_on(&sender);
        let sleeps = taken.load(Relaxed) == seen;
        let is_woken = thread.join().expect("the receiver");
        assert!(!sleeps || is_woken, "it sleeps, and nobody wakes it");
    });
}

fn all() {
    [false, true].into_iter().for_each(messages_arrive_in_order);
    a_message_is_there_when_it_is_counted();
    a_receiver_that_sleeps_is_woken();
    a_sender_that_sleeps_is_woken();
}

#[test]
fn all_orders_together_are_right_and_each_is_needed() {
    // One test, because the switch is one for the process.
    all();
    let source = include_str!("../../../common/src/ring/queue.rs");
    let is_ordered = |line: &str| {
        let orders = ["Ordering::Acquire)", "Ordering::Release)", "Ordering::SeqCst)"];
        // A kill, which the compiler's fence is there for, is nothing that loom knows.
        orders.iter().any(|it| line.contains(it)) && !line.contains("compiler_fence(")
    };
    let lines: Vec<_> = (1..).zip(source.lines()).filter(|(_, line)| is_ordered(line)).collect();
    assert_eq!(lines.len(), 6, "{lines:#?}");
    for (number, line) in lines {
        atomic::WEAKENED.store(number, Relaxed);
        let found = catch_unwind(AssertUnwindSafe(all));
        atomic::WEAKENED.store(0, Relaxed);
        assert!(found.is_err(), "loom finds nothing wrong without the order in {line}");
    }
}
