//! A reader looks at a count, finds nothing new, and goes to sleep. Now and then it sleeps through a change:
//! through the one that came after its look and before its sleep.
//!
//! Question: why is it no cure to wake twice?
//!
//! Answer: the second wake-up can come too early as well. What helps is a look that the kernel makes
//! itself, when nobody can come in between any more.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use common::sync::futex;
use common::{SharedU32, Writer, shared_record};

shared_record! {
    pub struct Counter {
        count: SharedU32,
    }
}

const FOR_EVER: Duration = Duration::MAX;

/// Returns the count as soon as it is no longer `seen`, and sleeps until then.
fn next(counter: &Counter, seen: u32) -> u32 {
    loop {
        let now = counter.count.load(Acquire);
        if now != seen {
            return now;
        }

        // The value that we have decided on. The kernel compares it with the word, and puts us to sleep, in
        // one step: a change after our look is a word that is another, and we don't sleep.
        futex::wait(&counter.count, seen, FOR_EVER);
    }
}

/// Stores a new count, and wakes all who wait for it.
fn change(counter: Writer<'_, Counter>, count: u32) {
    counter.field(|it| &it.count).store(count, Release);
    futex::wake(&counter.count, u32::MAX);
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let lab = lab::Lab::<Counter>::new();
    change(lab.shared.writer(), 7);
    println!("It was 6, and now it is {}.", next(&lab.shared, 6));
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab, Now, Reached};

    #[test]
    fn role() {
        let counter = || lab::attach::<Counter>();
        match lab::role().as_str() {
            "reader" => {
                let counter = counter();
                lab::one_step_at_a_time(|| assert_eq!(next(&counter, 0), 1));
            }
            "sleeping reader" => assert_eq!(next(&counter(), 0), 1),
            "writer" => {
                let counter = counter();
                lab::one_step_at_a_time(|| change(counter.writer(), 1));
            }
            _ => {}
        }
    }

    fn instructions_until_it_sleeps() -> u32 {
        let lab = Lab::<Counter>::new();
        let reached = lab.start("reader").steps_until_asleep(libc::SYS_futex, 5000);
        let (reached, sleeps) = reached.expect("the reader waits");
        assert!(
            reached == Reached::Sleep,
            "nothing has changed, and after {sleeps} instructions the reader does not sleep in futex(2)"
        );
        sleeps
    }

    /// Nobody but `change` ends the sleep. After each of its instructions the reader has all the time that it
    /// wants: if it is woken too early, it looks, finds nothing new, and sleeps again.
    #[test]
    fn who_sleeps_is_woken() {
        let _dog = lab::watchdog(15, "the reader neither sleeps nor ends");
        let lab = Lab::<Counter>::new();
        let mut reader = lab.start("sleeping reader");
        assert!(
            reader.settles(libc::SYS_futex) == Now::Asleep,
            "nothing has changed, so it sleeps"
        );
        // Woken, and nothing has changed: the man page of futex(2) says that this may happen.
        futex::wake(&lab.shared.count, u32::MAX);
        let now = reader.settles(libc::SYS_futex);
        assert!(
            now == Now::Asleep,
            "it was woken, nothing has changed, and it does not sleep again: {now:?}"
        );

        let mut writer = lab.start("writer");
        let stepped = writer.step_through(|_| {
            reader.settles(libc::SYS_futex);
        });
        stepped.expect("`change` does not have to wait");
        let now = reader.settles(libc::SYS_futex);
        assert!(
            now == Now::Ended(Ended::Exited(0)),
            "it slept, then the count was stored; was it woken, and after that? Now: {now:?}"
        );
    }

    /// First the reader runs one machine instruction after the other until it sleeps. Then again, but now the
    /// change comes after 5 instructions; and again, after 10; and so on, up to its sleep.
    #[test]
    fn no_change_is_missed() {
        let _dog = lab::watchdog(120, "the reader neither sleeps nor ends");
        let sleeps = instructions_until_it_sleeps();
        for instruction in (1..sleeps).step_by(5) {
            let lab = Lab::<Counter>::new();
            let mut reader = lab.start("reader");
            reader.steps(instruction).expect("the reader is on its way");
            change(lab.shared.writer(), 1);
            let reached = reader.run_on(libc::SYS_futex).expect("the reader goes on");
            assert!(
                reached == Reached::End,
                "the change came after instruction {instruction}, and the reader goes to sleep all the same"
            );
            assert_eq!(reader.end(), Ended::Exited(0));
        }
    }
}
