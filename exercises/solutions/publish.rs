//! The writer stores a text and then raises a flag. The reader sees the flag, and finds an old text.
//! Your machine nearly never does that. Rust's memory model allows it, and other machines do it.
//!
//! Question: why has your machine never shown it?
//!
//! Answer: an x86 processor shows its stores in their order, and loads in order too. The compiler may
//! still exchange the two lines; and on AArch64 the processor does it, too.

#![forbid(unsafe_code)]

// In shared memory these would be `SharedU32`. loom, which tries all that the memory model allows, has
// atomics of its own; the orderings mean the same.
#[cfg(test)]
use loom::sync::atomic::{AtomicU32, Ordering};
#[cfg(not(test))]
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug, Default)]
struct Board {
    text: AtomicU32,
    flag: AtomicU32,
}

impl Board {
    fn publish(&self, text: u32) {
        self.text.store(text, Ordering::Relaxed);
        // Release: who sees this store, by a load that acquires, sees all that was stored before it. Pairs
        // with the load in `read`.
        self.flag.store(1, Ordering::Release);
    }

    fn read(&self) -> Option<u32> {
        // Acquire: what is loaded after this is at least as new as what the flag was stored after. Pairs
        // with the store in `publish`.
        if self.flag.load(Ordering::Acquire) == 0 {
            return None;
        }
        Some(self.text.load(Ordering::Relaxed))
    }
}

fn main() {
    let board = Board::default();
    let before = board.read();
    board.publish(42);
    println!("Before: {before:?}. With the flag up: {:?}.", board.read());
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn the_flag_brings_the_text() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        // loom runs this again and again, each time in another order that the memory model allows.
        loom::model(|| {
            // From the day before.
            let board = Arc::new(Board { text: AtomicU32::new(7), flag: AtomicU32::new(0) });
            let writing = Arc::clone(&board);
            let writer = thread::spawn(move || writing.publish(42));
            let seen = board.read();
            assert!(matches!(seen, None | Some(42)), "the flag is up, and the text is {seen:?}");
            writer.join().expect("published");
            let seen = board.read();
            assert!(seen == Some(42), "after the writer's end the reader sees {seen:?}");
        });
    }
}
