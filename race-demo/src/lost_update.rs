//! The lost update: two writers count in one number, as C's `count++` does and in one step.

use std::thread;
use std::time::Duration;

use common::Counters;
use common::ReadWrite;
use common::mapping::Mapping;
use serde::Serialize;
use terminal::{Stop, Terminal};

use crate::contest::start;

/// A way to add 1.
pub(crate) struct Way {
    name: &'static str,
    add: fn(&Mapping<Counters<1>, ReadWrite>, u64),
}

/// The race and its cure.
pub(crate) const WAYS: [Way; 2] =
    [Way { name: "count++", add: in_three_steps }, Way { name: "fetch_add", add: in_one_step }];

/// What C's `count++` does: load, add, store. Who stores a number that is out of date undoes what the
/// other has counted since.
fn in_three_steps(count: &Mapping<Counters<1>, ReadWrite>, round: u64) {
    let seen = count.get(0);
    // On a machine with one processor the other writer comes in between only if this one is
    // interrupted just here, so now and then it gives way.
    if round.is_multiple_of(10_000) {
        thread::yield_now();
    }
    count.writer().set(0, seen + 1);
}

/// The cure: nobody can come in between, because there is no between.
fn in_one_step(count: &Mapping<Counters<1>, ReadWrite>, _round: u64) {
    count.writer().add_one(0);
}

/// What came out.
#[derive(Serialize)]
pub(crate) struct Count {
    pub(crate) way: &'static str,
    writers: usize,
    /// How many times the writers have counted.
    pub(crate) wanted: u64,
    /// What the number says.
    pub(crate) found: u64,
    pub(crate) lost: u64,
}

const WRITERS: usize = 2;

/// Has two writers count for some time.
pub(crate) fn count(way: &Way, time: Duration, terminal: &mut Terminal) -> Result<Count, Stop> {
    terminal.progress(format_args!("{}: {WRITERS} writers count", way.name));
    let number = Mapping::<Counters<1>, ReadWrite>::anonymous()?;
    let rounds = Mapping::<Counters<WRITERS>, ReadWrite>::anonymous()?;
    let ended = Mapping::<Counters<1>, ReadWrite>::anonymous()?;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let work = || {
            for round in 1.. {
                (way.add)(&number, round);
                rounds.writer().set(writer, round);
                if ended.get(0) != 0 {
                    break;
                }
            }
            Ok(())
        };
        writers.push(start(work, terminal)?);
    }
    // The time begins when both are there.
    while (0..WRITERS).any(|writer| rounds.get(writer) == 0) {
        terminal.pause(Duration::from_millis(1))?;
    }
    terminal.pause(time)?;
    ended.writer().set(0, 1);
    for writer in writers {
        writer.wait(terminal)?;
    }
    let (wanted, found) = ((0..WRITERS).map(|writer| rounds.get(writer)).sum(), number.get(0));
    Ok(Count { way: way.name, writers: WRITERS, wanted, found, lost: wanted - found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_counts_alone_loses_nothing() {
        for way in &WAYS {
            let number = Mapping::<Counters<1>, ReadWrite>::anonymous().expect("a page");
            for round in 9_990..10_010 {
                (way.add)(&number, round);
            }
            assert_eq!(number.get(0), 20, "{}", way.name);
        }
    }
}
