//! A ring of four places between a producer and a consumer. Now and then it forgets four messages at
//! once; and on some machines a message comes out that was never put in.
//!
//! Question: why two numbers that grow for ever, and not two positions?
//!
//! Answer: two equal positions can mean empty or full. And each number has one process that stores it, so
//! nobody needs more than loads and stores.

#![forbid(unsafe_code)]

// In shared memory these would be `SharedU32`: see `publish`.
#[cfg(test)]
use loom::sync::atomic::{AtomicU32, Ordering};
#[cfg(not(test))]
use std::sync::atomic::{AtomicU32 as Place, AtomicU32, Ordering};
#[cfg(test)]
use tests::Place;

const PLACES: u32 = 4;

#[derive(Default)]
struct Ring {
    /// How many messages were ever put in. Only the producer stores it. Behind `u32::MAX` comes 0.
    put: AtomicU32,
    /// How many messages were ever taken out. Only the consumer stores it.
    taken: AtomicU32,
    places: [Place; PLACES as usize],
}

impl Ring {
    /// Puts `message` in, if there is room.
    fn put(&self, message: u32) -> bool {
        let put = self.put.load(Ordering::Relaxed);
        // Pairs with the store in `take`: the place's old message has been loaded.
        if put.wrapping_sub(self.taken.load(Ordering::Acquire)) == PLACES {
            return false;
        }
        self.places[(put % PLACES) as usize].store(message, Ordering::Relaxed);
        // Pairs with the load in `take`: the message is there.
        self.put.store(put.wrapping_add(1), Ordering::Release);
        true
    }

    /// Takes the oldest message out, if there is one.
    fn take(&self) -> Option<u32> {
        let taken = self.taken.load(Ordering::Relaxed);
        // Pairs with the store in `put`.
        if self.put.load(Ordering::Acquire) == taken {
            return None;
        }
        let message = self.places[(taken % PLACES) as usize].load(Ordering::Relaxed);
        // Pairs with the load in `put`.
        self.taken.store(taken.wrapping_add(1), Ordering::Release);
        Some(message)
    }
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let ring = Ring::default();
    let room: Vec<bool> = (1..=5).map(|message| ring.put(message)).collect();
    println!("Room for five messages in four places: {room:?}. The oldest is {:?}.", ring.take());
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    /// A place of which loom notices if one side loads it while the other may be storing. (Of two atomic
    /// accesses it would not, where the load comes first.) Then it says `Causality violation`.
    #[derive(Debug, Default)]
    pub(super) struct Place {
        watched: UnsafeCell<()>,
        message: std::sync::atomic::AtomicU32,
    }

    impl Place {
        pub(super) fn load(&self, _: Ordering) -> u32 {
            lab::alone(|| self.watched.with(|_| self.message.load(Ordering::Relaxed)))
        }

        pub(super) fn store(&self, message: u32, _: Ordering) {
            lab::alone(|| {
                self.watched.with_mut(|_| self.message.store(message, Ordering::Relaxed));
            });
        }
    }

    #[test]
    fn it_is_full_after_four_and_empty_after_four() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        for start in [0, 3, u32::MAX - 2] {
            loom::model(move || {
                let ring = Ring::default();
                ring.put.store(start, Ordering::Relaxed);
                ring.taken.store(start, Ordering::Relaxed);
                let at = format!("counting from {start}");
                assert!(ring.take().is_none(), "{at}: nothing is in it, and something comes out");
                for message in 1..=4 {
                    assert!(ring.put(message), "{at}: no room for message {message} of 4");
                }
                assert!(!ring.put(5), "{at}: four are in it, and a fifth is put in");
                let oldest = ring.take();
                assert!(oldest == Some(1), "{at}: 1 is the oldest, and {oldest:?} comes out");
                assert!(ring.put(5), "{at}: one was taken out, and there is no room");
                let rest = [(); 5].map(|()| ring.take());
                let wanted = [Some(2), Some(3), Some(4), Some(5), None];
                assert!(rest == wanted, "{at}: 2, 3, 4, 5 are in it, and {rest:?} come out");
            });
        }
    }

    /// One place is left, so the second message has to wait for the consumer.
    #[test]
    fn every_message_arrives_once_and_in_order() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        loom::model(|| {
            let ring = Arc::new(Ring::default());
            assert!((1..=3).all(|message| ring.put(message)), "room for three");
            let consuming = Arc::clone(&ring);
            let consumer = thread::spawn(move || [consuming.take(), consuming.take()]);
            let sent = ring.put(4) && ring.put(5);
            let first = consumer.join().expect("two are taken");
            assert!(first == [Some(1), Some(2)], "1 and 2 are the oldest, and {first:?} come out");
            let rest: Vec<u32> = std::iter::from_fn(|| ring.take()).collect();
            let wanted: &[u32] = if sent { &[3, 4, 5] } else { &[3, 4] };
            assert!(rest == wanted, "{wanted:?} are left, and {rest:?} come out");
        });
    }

    #[test]
    fn a_message_is_there_when_its_number_is() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        loom::model(|| {
            let ring = Arc::new(Ring::default());
            let producing = Arc::clone(&ring);
            let producer = thread::spawn(move || producing.put(9));
            // loom remembers one access to each atomic. The producer's last one to `put` is its own load and
            // store; without this line loom would not try the order in which we come after them.
            thread::yield_now();
            let message = ring.take();
            assert!(matches!(message, None | Some(9)), "9 was put in, and {message:?} comes out");
            producer.join().expect("it is put in");
        });
    }
}
