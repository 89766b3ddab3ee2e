//! Two programs start at once, and each wants to be the one that makes the segment. One of them ends with
//! "File exists", although it would have been glad to come second.
//!
//! Question: why is "look, then make" wrong, and "make, or else look" right?
//!
//! Answer: what was seen by a look may be wrong by the time of the making: two processes look, neither sees
//! anything, both make, and one gets EEXIST, or, with IPC_CREAT alone, does not even learn that it came
//! second. "Make, or else look" asks the kernel to look and make in one step. What is found may still be
//! removed before it is looked at, so both ways need the loop. A segment of another size, or a key that is
//! not ours to use, is an error that stays: no loop for those.

#![forbid(unsafe_code)]

use common::sysv::{Key, Segment};
use common::{Error, Result};
use nix::errno::Errno;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Came {
    /// The segment is new, and ours to fill.
    First,
    /// Somebody else has made it.
    Second,
}

/// Makes the segment, or finds it. `meanwhile` stands for what other processes do: call it each time
/// between two system calls.
fn make_or_find(key: Key, size: usize, meanwhile: impl Fn()) -> Result<(Segment, Came)> {
    loop {
        // IPC_CREAT | IPC_EXCL: the kernel looks and makes in one step, so only one can come first.
        match Segment::create(key, size, 0o600) {
            Ok(made) => return Ok((made, Came::First)),
            Err(error) if error.errno() == Some(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
        meanwhile();
        match Segment::open(key, size) {
            Ok(found) => return Ok((found, Came::Second)),
            // It was removed between the two calls (ENOENT), or while it was looked at: try again.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
        meanwhile();
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error.errno(), Some(Errno::ENOENT | Errno::EINVAL | Errno::EIDRM))
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let own = lab::OwnKey::new();
    let [one, two] = [(); 2].map(|()| make_or_find(own.key(), 68, || ()).expect("a segment").1);
    println!("Nobody was there, and we came {one:?}. The second time we came {two:?}.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::Refusal;
    use lab::{Ended, OwnKey, Process, Reached};
    use std::cell::Cell;

    #[test]
    fn role() {
        if lab::role() == "we" {
            let key = Key::Number(lab::argument("KEY").parse().expect("a number"));
            let mut found = None;
            lab::one_step_at_a_time(|| found = Some(make_or_find(key, 68, || ())));
            let (segment, came) = found.expect("it returns").expect("a segment");
            if came == Came::First {
                segment.remove().expect("ours");
            }
        }
    }

    /// Others do `change` after one machine instruction of `make_or_find`; and again, after 150 more; and so on,
    /// up to its end.
    fn at_any_moment(what: &str, before: impl Fn(Key), change: impl Fn(&OwnKey)) {
        for instruction in (1..).step_by(150) {
            let own = OwnKey::new();
            let Key::Number(number) = own.key() else { unreachable!("it has a number") };
            before(own.key());
            let mut we = Process::start("we", &[("KEY", &number.to_string())]);
            let reached = we.steps(instruction).expect("it is on its way");
            change(&own);
            if reached == Reached::End {
                we.end();
                return;
            }
            let ended = we.run_on(libc::SYS_pause).map_or_else(|ended| ended, |_| we.end());
            assert!(
                ended == Ended::Exited(0),
                "others {what} it after instruction {instruction} of `make_or_find`, and the process: {ended}"
            );
        }
    }

    #[test]
    fn others_may_make_it_at_any_moment() {
        let _dog = lab::watchdog(120, "your code does not come to an end");
        let make = |own: &OwnKey| {
            let _ = Segment::create(own.key(), 68, 0o600);
        };
        at_any_moment("make", |_| (), make);
    }

    #[test]
    fn others_may_remove_it_at_any_moment() {
        let _dog = lab::watchdog(120, "your code does not come to an end");
        let make = |key| {
            Segment::create(key, 68, 0o600).expect("made");
        };
        at_any_moment("remove", make, OwnKey::remove_segment);
    }

    #[test]
    fn one_comes_first_and_one_second() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let own = OwnKey::new();
        let (made, first) = make_or_find(own.key(), 68, || ()).expect("the first one");
        let (found, second) = make_or_find(own.key(), 68, || ()).expect("the second one");
        assert!(first == Came::First, "nobody was there, and we came {first:?}");
        assert!(second == Came::Second, "{made} was there, and we came {second:?}");
        assert!(made.id() == found.id(), "one made {made}, the other found {found}");
    }

    #[test]
    fn somebody_makes_it_between_our_two_calls() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let own = OwnKey::new();
        let other = Cell::new(None);
        let found = make_or_find(own.key(), 68, || {
            if other.get().is_none() {
                other.set(Some(Segment::create(own.key(), 68, 0o600).expect("made").id()));
            }
        });
        let (segment, came) = found.expect("we come second, if somebody else comes first");
        match other.get() {
            Some(id) => assert!(
                segment.id() == id && came == Came::Second,
                "somebody has made segment {id}, and we came {came:?} and have {segment}"
            ),
            None => assert!(came == Came::First, "nobody else was there, and we came {came:?}"),
        }
    }

    #[test]
    fn somebody_removes_it_between_our_two_calls() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let own = OwnKey::new();
        let old = Segment::create(own.key(), 68, 0o600).expect("made");
        let removed = Cell::new(false);
        let found = make_or_find(own.key(), 68, || {
            if !removed.replace(true) {
                own.remove_segment();
            }
        });
        let (segment, came) = found.expect("we come first, if it is gone by then");
        match removed.get() {
            true => assert!(
                segment.id() != old.id() && came == Came::First,
                "{old} was removed, and we came {came:?} and have {segment}"
            ),
            false => assert!(
                segment.id() == old.id() && came == Came::Second,
                "{old} is there, and we came {came:?} and have {segment}"
            ),
        }
    }

    #[test]
    fn an_error_that_stays_is_an_error() {
        let _dog = lab::watchdog(60, "an error that stays, and we try for ever");
        let own = OwnKey::new();
        let rounds = Cell::new(0);
        let count = || {
            rounds.set(rounds.get() + 1);
            assert!(rounds.get() < 100, "an error that stays, and we try for ever");
        };

        let error = make_or_find(own.key(), 0, count).expect_err("no segment has 0 bytes");
        assert!(error.errno().is_some(), "shmget says EINVAL, we say {error}");

        let _ = Segment::create(own.key(), 100, 0o600).expect("made");
        let error = make_or_find(own.key(), 68, count).expect_err("it has 100 bytes");
        let is_size = matches!(error.refusal(), Some(Refusal::Size { found: 100, wanted: 68 }));
        assert!(is_size, "it has 100 bytes and not 68, and we say: {error}");
    }
}
