//! A cashier is killed in the middle of a transfer, while it holds the lock. The next one to lock gets an
//! error, and so does everybody after it.
//!
//! Question: why is it right that a mutex is lost for ever that nobody repairs?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;

use common::{SharedU32, Writer, shared_record};
use lab::pthread;

shared_record! {
    /// Two accounts. Whenever the lock is free, their sum is 100.
    pub struct Bank {
        /// A `pthread_mutex_t`, made for several processes, and robust.
        lock: pthread::Mutex,
        left: SharedU32,
        right: SharedU32,
    }
}

/// In what state the lock's new owner has found the bank.
#[derive(Debug, PartialEq)]
enum Found {
    Clean,
    #[allow(dead_code)]
    Repaired,
}

/// Locks the bank. `Err` has the error number, and then the bank is not locked.
fn lock(bank: Writer<'_, Bank>) -> Result<Found, i32> {
    let lock = bank.field(|it| &it.lock);

    // pthread_mutex_lock(3) returns 0 or an error number.
    match pthread::mutex_lock(lock) {
        0 => Ok(Found::Clean),
        // TODO: EOWNERDEAD is no failure: the lock is yours, and its last owner has died with it. Make the
        // sum 100 again, `right` from `left`. Then say so: pthread::mutex_consistent.
        error => Err(error),
    }
}

fn unlock(bank: Writer<'_, Bank>) {
    let error = pthread::mutex_unlock(bank.field(|it| &it.lock));
    assert_eq!(error, 0, "pthread_mutex_unlock by its owner");
}

fn open(bank: Writer<'_, Bank>) {
    pthread::mutex_init(bank.field(|it| &it.lock));
    bank.field(|it| &it.left).store(50, Relaxed);
    bank.field(|it| &it.right).store(50, Relaxed);
}

fn sum(bank: &Bank) -> u32 {
    bank.left.load(Relaxed) + bank.right.load(Relaxed)
}

fn main() {
    let lab = lab::Lab::<Bank>::new();
    let bank = lab.shared.writer();
    open(bank);
    let found = lock(bank);
    println!("The first owner finds {found:?}, and a sum of {}.", sum(&bank));
    unlock(bank);
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::Lab;

    #[test]
    fn role() {
        if lab::role() == "cashier" {
            let bank = lab::attach::<Bank>();
            lock(bank.writer()).expect("locked");
            bank.writer().field(|it| &it.left).fetch_sub(10, Relaxed);
            lab::stop_here();
            bank.writer().field(|it| &it.right).fetch_add(10, Relaxed);
            unlock(bank.writer());
        }
    }

    #[test]
    fn the_next_owner_repairs() {
        let _dog = lab::watchdog(60, "somebody waits for a lock that nobody gives back");
        let lab = Lab::<Bank>::new();
        let bank = lab.shared.writer();
        open(bank);
        for death in 1..=3 {
            let mut cashier = lab.start("cashier");
            cashier.until_stopped().expect("the cashier stops in the middle of the transfer");
            assert_eq!(sum(&bank), 90, "10 are on their way");
            cashier.kill();

            let found = lock(bank);
            assert!(
                found == Ok(Found::Repaired),
                "after death {death} the next owner finds {found:?}; EOWNERDEAD is {}",
                libc::EOWNERDEAD
            );
            assert!(sum(&bank) == 100, "after the repair the sum is {}", sum(&bank));
            unlock(bank);

            let found = lock(bank);
            assert!(
                found == Ok(Found::Clean),
                "it was repaired before, and the next owner finds {found:?}; ENOTRECOVERABLE is {}",
                libc::ENOTRECOVERABLE
            );
            unlock(bank);
        }
    }
}
