//! Several processes take places from a list of free ones, and give them back. One of them is held up in
//! `take`, and afterwards two processes own the same place.
//!
//! Question: after how many changes does it go wrong again?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use common::{SharedU32, Writer, shared_record};

const PLACES: usize = 4;
/// No place: the end of the list.
const END: u32 = 0xff;

shared_record! {
    pub struct Free {
        /// The first free place, in the low 8 bits.
        head: SharedU32,
        /// For each free place the next one.
        next: [SharedU32; PLACES],
    }
}

/// Takes the first free place. At `before_swap` the check holds this process up.
fn take(free: Writer<'_, Free>, before_swap: impl Fn()) -> Option<u32> {
    loop {
        let head = free.head.load(Acquire);
        let place = head & 0xff;
        let next = free.next.get(place as usize)?.load(Relaxed);
        before_swap();
        if swap(free, head, next) {
            return Some(place);
        }
    }
}

/// Puts a place that we own at the front.
fn give_back(free: Writer<'_, Free>, place: u32) {
    loop {
        let head = free.head.load(Relaxed);
        free.field(|it| &it.next[place as usize]).store(head & 0xff, Relaxed);
        if swap(free, head, place) {
            return;
        }
    }
}

/// Makes `place` the first one, if the head is still `seen`.
fn swap(free: Writer<'_, Free>, seen: u32, place: u32) -> bool {
    // TODO: the head can be the same number again, and the list another one. 24 bits of it are not used:
    // count the changes there.
    let new = place;
    free.field(|it| &it.head).compare_exchange(seen, new, AcqRel, Relaxed).is_ok()
}

fn fill(free: Writer<'_, Free>) {
    free.field(|it| &it.head).store(END, Relaxed);
    (0..PLACES as u32).rev().for_each(|place| give_back(free, place));
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let lab = lab::Lab::<Free>::new();
    let free = lab.shared.writer();
    fill(free);
    let head = free.head.load(Relaxed);
    let place = take(free, || ());
    if let Some(place) = place {
        give_back(free, place);
    }
    println!(
        "We take {place:?} and give it back. The head was {head:#x}, and is {:#x}.",
        free.head.load(Relaxed)
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab};
    use std::cell::Cell;

    /// What the slow one exits with if it has found no place.
    const NONE: i32 = 99;

    #[test]
    fn role() {
        if lab::role() == "slow" {
            let held_up = Cell::new(false);
            let place = take(lab::attach::<Free>().writer(), || {
                if !held_up.replace(true) {
                    lab::stop_here();
                }
            });
            std::process::exit(place.map_or(NONE, u32::cast_signed));
        }
    }

    /// While a process is held up between its load and its swap, we take `away` places, of which the first
    /// is the one that it has seen; give that one back; and take it and give it back `again` times more.
    fn held_up(away: usize, again: u32) {
        let _dog = lab::watchdog(60, "the process that was held up does not come to an end");
        let lab = Lab::<Free>::new();
        let free = lab.shared.writer();
        fill(free);
        let mut slow = lab.start("slow");
        slow.until_stopped().expect("it is held up between its load and its swap");

        let mut ours: Vec<u32> = (0..away).map(|_| take(free, || ()).expect("a place")).collect();
        let first = ours.remove(0);
        give_back(free, first);
        for _ in 0..again {
            let same = take(free, || ()).expect("the same place");
            give_back(free, same);
        }
        let changes = away as u32 + 1 + 2 * again;

        slow.go_on();
        let ended = slow.end();
        let Ended::Exited(theirs @ ..=98) = ended else {
            let none = ended == Ended::Exited(NONE);
            let what =
                if none { "finds no place, and there is one".into() } else { ended.to_string() };
            panic!("the process that was held up during {changes} changes: {what}");
        };
        let mut owned = ours.clone();
        owned.push(theirs.cast_unsigned());
        let rest: Vec<u32> = std::iter::from_fn(|| take(free, || ())).take(PLACES).collect();
        owned.extend(&rest);
        owned.sort_unstable();
        assert!(
            owned == [0, 1, 2, 3],
            "each place must have one owner. During {changes} changes a process was held up: it owns \
             {theirs}, we own {ours:?}, and {rest:?} are free"
        );
    }

    #[test]
    fn two_are_taken_and_one_comes_back() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        held_up(2, 0);
    }

    #[test]
    fn three_are_taken_and_one_comes_back() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        held_up(3, 0);
    }

    #[test]
    fn a_small_count_is_not_enough() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        held_up(3, 126);
        held_up(3, 32_766);
    }
}
