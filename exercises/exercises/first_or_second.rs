//! Two programs start at once, and each wants to be the one that makes the segment. One of them ends with
//! "File exists", although it would have been glad to come second.
//!
//! Question: why is "look, then make" wrong, and "make, or else look" right?

#![forbid(unsafe_code)]

use common::Result;
use common::sysv::{Key, Segment};

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
    // TODO: `create` and `open` are shmget(2), with and without IPC_CREAT | IPC_EXCL. What may happen
    // between the two? Which of their errors are none? `error.errno()` is `Some(Errno::...)`.
    // (`Segment::open_or_create` is the answer, so do without it.)
    if let Ok(found) = Segment::open(key, size) {
        return Ok((found, Came::Second));
    }
    meanwhile();
    let made = Segment::create(key, size, 0o600)?;
    Ok((made, Came::First))
}

fn main() {
    let (segment, came) = make_or_find(Key::Private, 68, || ()).expect("a segment");
    segment.remove().expect("removed");
    println!("A private segment has no name that others could know: we always come {came:?}.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::Refusal;
    use lab::OwnKey;
    use std::cell::Cell;

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
