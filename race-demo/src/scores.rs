//! What the processes of a contest tell each other.

use std::thread;
use std::time::Duration;

use common::Counters;
use common::mapping::Mapping;
use common::{Error, ReadWrite};

/// A writer and at most 31 readers.
type PerProcess = Mapping<Counters<32>, ReadWrite>;

/// The orders of the parent, and what each process has done. Every counter has one process that writes
/// it; the processes are numbered from 0.
pub(crate) struct Scores {
    /// See [`Scores::let_all_run`].
    order: Mapping<Counters<1>, ReadWrite>,
    /// How often a writer has come to the middle of a publication.
    halfway: Mapping<Counters<1>, ReadWrite>,
    /// How often each has done its part: published, or taken a snapshot.
    done: PerProcess,
    /// How many snapshots were torn.
    torn: PerProcess,
    /// How often a reader has given up on a snapshot.
    gave_up: PerProcess,
    /// The last turn in which each has done its part.
    turn: PerProcess,
}

/// The last order.
const END: u64 = u64::MAX;

/// How long who has nothing to do sleeps before it looks again.
pub(crate) const NAP: Duration = Duration::from_micros(100);

impl Scores {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            order: Mapping::anonymous()?,
            halfway: Mapping::anonymous()?,
            done: Mapping::anonymous()?,
            torn: Mapping::anonymous()?,
            gave_up: Mapping::anonymous()?,
            turn: Mapping::anonymous()?,
        })
    }

    /// Orders everybody to do their part again and again: an even number, as at the start.
    pub(crate) fn let_all_run(&self) {
        self.order.writer().set(0, (self.order.get(0) | 1) + 1);
    }

    /// Orders everybody to do their part once and to rest: an odd number, which is the turn's.
    pub(crate) fn call_turn(&self) -> u64 {
        let turn = (self.order.get(0) + 1) | 1;
        self.order.writer().set(0, turn);
        turn
    }

    /// Orders everybody to end.
    pub(crate) fn call_end(&self) {
        self.order.writer().set(0, END);
    }

    /// Has process number `who` do its `part` as the orders say. The part tells whether it is done; if
    /// not, it is tried again.
    pub(crate) fn take_part<E>(
        &self,
        who: usize,
        part: impl Fn() -> Result<bool, E>,
    ) -> Result<(), E> {
        loop {
            // Before the part: a snapshot that began before the turn does not count for it.
            let order = self.order.get(0);
            if order == END {
                return Ok(());
            }
            if part()? {
                count(&self.done, who);
            } else {
                count(&self.gave_up, who);
                thread::sleep(NAP);
                continue;
            }
            if order % 2 == 1 {
                self.turn.writer().set(who, order);
                while self.order.get(0) == order {
                    thread::sleep(NAP);
                }
            }
        }
    }

    /// Notes that the writer is in the middle of a publication.
    pub(crate) fn count_halfway(&self) {
        self.halfway.writer().add_one(0);
    }

    pub(crate) fn halfway(&self) -> u64 {
        self.halfway.get(0)
    }

    /// Notes that process number `who` has taken a torn snapshot.
    pub(crate) fn count_torn(&self, who: usize) {
        count(&self.torn, who);
    }

    /// Whether process number `who` has done its part in `turn`, and rests.
    pub(crate) fn rests(&self, who: usize, turn: u64) -> bool {
        self.turn.get(who) == turn
    }

    pub(crate) fn done(&self, who: usize) -> u64 {
        self.done.get(who)
    }

    pub(crate) fn torn(&self, who: usize) -> u64 {
        self.torn.get(who)
    }

    pub(crate) fn gave_up(&self, who: usize) -> u64 {
        self.gave_up.get(who)
    }
}

fn count(counters: &PerProcess, who: usize) {
    counters.writer().set(who, counters.get(who) + 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turn_is_a_new_one() {
        let scores = Scores::new().expect("pages");
        let mut turns = vec![scores.call_turn(), scores.call_turn()];
        for _ in 0..2 {
            scores.let_all_run();
            turns.push(scores.call_turn());
        }
        // Whoever has rested in one turn must do its part again in the next.
        assert!(turns.is_sorted_by(|one, next| one < next), "{turns:?}");
        assert!(turns.iter().all(|turn| turn % 2 == 1), "{turns:?}");
    }

    #[test]
    fn what_is_done_and_what_is_given_up_is_counted() {
        let scores = Scores::new().expect("pages");
        let parts = [false, true, false, false, true, true, false, true, true];
        let next = std::cell::Cell::new(0);
        let part = || {
            let number = next.replace(next.get() + 1);
            if number == parts.len() - 1 {
                scores.call_end();
            }
            Ok::<_, Error>(parts[number])
        };
        scores.take_part(3, part).expect("no part fails");
        assert_eq!((scores.done(3), scores.gave_up(3)), (5, 4));
        assert_eq!((scores.done(2), scores.gave_up(2)), (0, 0));

        scores.count_halfway();
        scores.count_halfway();
        assert_eq!(scores.halfway(), 2);
    }
}
