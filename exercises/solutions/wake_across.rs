//! A process sleeps on a word in shared memory. Another one changes the word and wakes it, and it sleeps
//! on. Within one process it works.
//!
//! Question: why does Rust's std use the flag?
//!
//! Answer: its locks are for the threads of one process, and then the kernel need not find out which page
//! it is. So no lock of std works in shared memory.

use std::ptr;
use std::sync::atomic::Ordering::Release;

use common::{SharedU32, Writer, shared_record};

shared_record! {
    pub struct Door {
        is_open: SharedU32,
    }
}

// Without FUTEX_PRIVATE_FLAG the kernel finds the sleeper by the page and the place in it, which are the same
// for all who have it mapped. With the flag it looks for the process and the address.
const FLAGS: i32 = 0;

/// Sleeps while `word` is `seen`, until somebody wakes it: futex(2) `FUTEX_WAIT`.
fn wait(word: &SharedU32, seen: u32) {
    let operation = libc::FUTEX_WAIT | FLAGS;
    let for_ever = ptr::null::<libc::timespec>();
    // SAFETY: the word is mapped and aligned, and the kernel only loads it.
    unsafe { libc::syscall(libc::SYS_futex, ptr::from_ref(word), operation, seen, for_ever) };
}

/// Wakes all who sleep on `word`, and returns how many there were: futex(2) `FUTEX_WAKE`.
fn wake(word: &SharedU32) -> i64 {
    let operation = libc::FUTEX_WAKE | FLAGS;
    // SAFETY: the address is all that the kernel uses.
    unsafe { libc::syscall(libc::SYS_futex, ptr::from_ref(word), operation, i32::MAX) }
}

fn open(door: Writer<'_, Door>) {
    door.field(|it| &it.is_open).store(1, Release);
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let lab = lab::Lab::<Door>::new();
    open(lab.shared.writer());
    // It returns at once: the word is not 0.
    wait(&lab.shared.is_open, 0);
    println!("The door is open, and {} slept in front of it.", wake(&lab.shared.is_open));
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab, Reached};
    use std::sync::atomic::Ordering::Acquire;

    #[test]
    fn role() {
        let door = || lab::attach::<Door>();
        let go_through = |door: &Door| {
            while door.is_open.load(Acquire) == 0 {
                wait(&door.is_open, 0);
            }
        };
        match lab::role().as_str() {
            "guest" => go_through(&door()),
            "stepped guest" => {
                let door = door();
                lab::one_step_at_a_time(|| go_through(&door));
            }
            _ => {}
        }
    }

    #[test]
    fn who_waits_sleeps() {
        let _dog = lab::watchdog(15, "the guest neither sleeps nor ends");
        let lab = Lab::<Door>::new();
        let reached = lab.start("stepped guest").steps_until_asleep(libc::SYS_futex, 3000);
        let (reached, steps) = reached.expect("the guest waits");
        assert!(
            reached == Reached::Sleep,
            "the door is shut, and after {steps} instructions the guest does not sleep in futex(2)"
        );
    }

    #[test]
    fn the_guest_is_woken() {
        let _dog = lab::watchdog(15, "the guest neither sleeps nor ends");
        let lab = Lab::<Door>::new();
        let mut guest = lab.start("guest");
        assert_eq!(guest.settles(libc::SYS_futex), lab::Now::Asleep, "the door is shut");
        open(lab.shared.writer());
        let woken = wake(&lab.shared.is_open);
        assert!(woken == 1, "one guest sleeps on this word; FUTEX_WAKE has woken {woken}");
        assert_eq!(guest.end(), Ended::Exited(0));
    }
}
