//! A customer sleeps until there is bread. Woken, it takes a loaf that is not there, and the shelf says
//! 4294967295.
//!
//! Question: what reasons are there to be woken for nothing?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;

use common::{SharedU32, Writer, shared_record};

shared_record! {
    /// Whoever looks at it holds a lock, which is not shown here.
    pub struct Shelf {
        loaves: SharedU32,
    }
}

/// Takes a loaf, and sleeps while there is none. Returns how many are left.
///
/// `wait` is what pthread_cond_wait(3) does: it gives the lock back and sleeps, all in one step; woken, it
/// takes the lock again and returns. In between others had the lock.
fn take(shelf: Writer<'_, Shelf>, mut wait: impl FnMut()) -> u32 {
    // TODO: who wakes up knows that something has happened. Does it know what? One word is wrong.
    if shelf.loaves.load(Relaxed) == 0 {
        wait();
    }
    shelf.field(|it| &it.loaves).fetch_sub(1, Relaxed).wrapping_sub(1)
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let lab = lab::Lab::<Shelf>::new();
    let shelf = lab.shared.writer();
    let left = take(shelf, || shelf.field(|it| &it.loaves).store(3, Relaxed));
    println!("The baker has brought 3 loaves. We take one, and {left} are left.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::Lab;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// What happens while the customer sleeps, up to the wake-up.
    #[derive(Debug, Clone, Copy)]
    enum Woken {
        /// A signal.
        ForNothing,
        /// The baker brings a loaf, and somebody else, who was woken too, takes it.
        TooLate,
        /// The baker brings two.
        ForBread,
    }
    use Woken::{ForBread, ForNothing, TooLate};

    /// Has a customer take a loaf, and returns how many are left, or what has gone wrong.
    fn customer(loaves: u32, nights: &[Woken]) -> Result<u32, String> {
        let lab = Lab::<Shelf>::new();
        let shelf = lab.shared.writer();
        let loaves_on_it = shelf.field(|it| &it.loaves);
        loaves_on_it.store(loaves, Relaxed);
        let mut slept = 0;
        let left = catch_unwind(AssertUnwindSafe(|| {
            take(shelf, || {
                slept += 1;
                // The name of what goes wrong is the panic's text.
                match nights.get(slept - 1) {
                    Some(ForNothing) => {}
                    Some(TooLate) => {
                        loaves_on_it.fetch_add(1, Relaxed);
                        loaves_on_it.fetch_sub(1, Relaxed);
                    }
                    Some(ForBread) => loaves_on_it.store(2, Relaxed),
                    None => panic!("the customer sleeps, and nobody will wake it any more"),
                }
            })
        }));
        let lies_there = loaves_on_it.load(Relaxed);
        match left {
            Ok(left) if slept == nights.len() && lies_there < 100 => Ok(left),
            _ => Err(format!(
                "there were {loaves} loaves; it slept {slept} times, was woken {nights:?}, and now \
                 the shelf says {lies_there}"
            )),
        }
    }

    #[test]
    fn with_bread_it_does_not_sleep() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        assert_eq!(customer(2, &[]), Ok(1));
    }

    #[test]
    fn woken_for_bread_it_takes_one() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        assert_eq!(customer(0, &[ForBread]), Ok(1));
    }

    #[test]
    fn woken_for_nothing_it_sleeps_on() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        for nights in [
            &[ForNothing, ForBread][..],
            &[TooLate, ForBread],
            &[ForNothing, ForNothing, TooLate, ForBread],
            &[TooLate, TooLate, TooLate, ForNothing, ForNothing, TooLate, ForBread],
        ] {
            if let Err(what) = customer(0, nights) {
                panic!("{what}");
            }
        }
    }
}
