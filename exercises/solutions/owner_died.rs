//! A cashier is killed in the middle of a transfer, while it holds the lock. The next one to lock gets an
//! error, and so does everybody after it.
//!
//! Question: why is it right that a mutex is lost for ever that nobody repairs?
//!
//! Answer: the other choice would be to let the next one in, who doesn't know that half of a transfer is
//! missing, and who tells nobody either.

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
    Repaired,
}

/// Locks the bank. `Err` has the error number, and then the bank is not locked.
fn lock(bank: Writer<'_, Bank>) -> Result<Found, i32> {
    let lock = bank.field(|it| &it.lock);

    // pthread_mutex_lock(3) returns 0 or an error number.
    match pthread::mutex_lock(lock) {
        0 => Ok(Found::Clean),
        // We have the lock, so nobody else stores. Which of the two accounts is right we can't know: the
        // bank's rule says what the sum must be, and so what a repair is.
        libc::EOWNERDEAD => {
            let right = 100 - bank.left.load(Relaxed);
            bank.field(|it| &it.right).store(right, Relaxed);
            match pthread::mutex_consistent(lock) {
                0 => Ok(Found::Repaired),
                error => Err(error),
            }
        }
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
    let _dog = lab::watchdog(10, "main does not come to an end");
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
    use lab::{Ended, Lab, Now, Process};

    #[test]
    fn role() {
        let bank = || lab::attach::<Bank>();
        match lab::role().as_str() {
            "cashier" => {
                let (bank, amount) = (bank(), lab::argument("AMOUNT").parse().expect("a number"));
                lock(bank.writer()).expect("locked");
                bank.writer().field(|it| &it.left).fetch_sub(amount, Relaxed);
                lab::stop_here();
                bank.writer().field(|it| &it.right).fetch_add(amount, Relaxed);
                unlock(bank.writer());
            }
            "customer" => {
                let bank = bank();
                lock(bank.writer()).expect("locked");
                unlock(bank.writer());
            }
            _ => {}
        }
    }

    /// A cashier who has taken `amount` from the left, and now stands still.
    fn half_a_transfer(lab: &Lab<Bank>, amount: u32) -> Process {
        let mut cashier = lab.start_with_argument("cashier", "AMOUNT", &amount.to_string());
        cashier.until_stopped().expect("the cashier stops in the middle of the transfer");
        cashier
    }

    #[test]
    fn the_next_owner_repairs() {
        let _dog = lab::watchdog(60, "somebody waits for a lock that nobody gives back");
        let lab = Lab::<Bank>::new();
        let bank = lab.shared.writer();
        open(bank);
        bank.field(|it| &it.left).store(70, Relaxed);
        bank.field(|it| &it.right).store(30, Relaxed);
        for (death, amount) in (1..).zip([10, 25, 0]) {
            let mut cashier = half_a_transfer(&lab, amount);
            let [left, right] = [&bank.left, &bank.right].map(|it| it.load(Relaxed));
            cashier.kill();

            let found = lock(bank);
            assert!(
                found == Ok(Found::Repaired),
                "after death {death} the next owner finds {found:?}; EOWNERDEAD is {}",
                libc::EOWNERDEAD
            );
            assert!(
                sum(&bank) == 100,
                "{amount} were on their way at death {death}, and after the repair the sum is {}",
                sum(&bank)
            );
            let [now_left, now_right] = [&bank.left, &bank.right].map(|it| it.load(Relaxed));
            assert!(
                left == now_left || right == now_right,
                "the repair has changed both accounts: {left} and {right} have become {now_left} and {now_right}"
            );
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

    /// Two wait while the owner dies. The first of them repairs and unlocks, and that wakes the second.
    #[test]
    fn all_who_wait_get_in() {
        let _dog = lab::watchdog(60, "somebody neither sleeps nor ends");
        let lab = Lab::<Bank>::new();
        open(lab.shared.writer());
        let mut cashier = half_a_transfer(&lab, 10);
        let mut customers = [lab.start("customer"), lab.start("customer")];
        for customer in &mut customers {
            assert!(customer.settles(libc::SYS_futex) == Now::Asleep, "the cashier has the lock");
        }
        cashier.kill();
        // If all who are left sleep, that is for ever. The first is looked at once more, since the second may have
        // woken it.
        let [first, second] = &mut customers;
        loop {
            let call = libc::SYS_futex;
            match [first.settles(call), second.settles(call), first.settles(call)] {
                [_, Now::Ended(two), Now::Ended(one)] => {
                    let well = [one, two] == [Ended::Exited(0); 2];
                    assert!(well, "one of those who waited: {one}; the other one: {two}");
                    break;
                }
                [Now::Ended(_), Now::Asleep, _] | [_, Now::Ended(_), Now::Asleep] => {
                    panic!(
                        "one of those who waited has got in, and the other one sleeps, for ever"
                    );
                }
                [Now::Asleep, Now::Asleep, Now::Asleep] => {
                    panic!("the owner has died, and both who waited sleep")
                }
                _ => {}
            }
        }
    }
}
