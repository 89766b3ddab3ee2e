//! Two processes add 1 to one count.

use crate::atomic::{AtomicU32, SeqCst, register};
use crate::scenario::{End, Scenario, Verdict, Version, play};
use crate::source::Source;

/// C's `count++`, as the processor does it.
fn add(count: &AtomicU32) {
    let seen = count.load(SeqCst);
    let more = register(seen + 1);
    count.store(more, SeqCst);
}

fn add_atomically(count: &AtomicU32) {
    count.fetch_add(1, SeqCst);
}

pub(crate) static SCENARIO: Scenario = Scenario {
    name: "lost-update",
    about: "two processes add 1 to one count, and one of the two is lost",
    explanation: "count++ is one line of C and three steps of the processor: load the count, add 1 in a register, \
        store the sum. Nobody else sees the register. A process that stores what it computed from an old count stores \
        over what the other has added meanwhile.",
    cure: "one atomic add: fetch_add, as in shm-sysv-writer --join. race-demo counts the losses without it: docs/the-race.md.",
    wrong: Some(Version {
        title: "load, add, store",
        goal: "Both processes add 1 to count, which is 0. Make one of the two additions disappear: \
            at the end count is 1, not 2.",
        hint: "Let both load before either of them stores.",
        deed: ["loses a count", "lose a count"],
        words: &["count"],
        spell: None,
        sources: SOURCES,
        play: || play(AtomicU32::new(0), add, add),
        mortal: false,
        check,
    }),
    right: Version {
        title: "one atomic add",
        goal: "Both processes add 1 to count, which is 0. Try to make one of the two additions disappear.",
        hint: "Load, add and store are one step here: nobody comes in between.",
        deed: ["loses a count", "lose a count"],
        words: &["count"],
        spell: None,
        sources: SOURCES,
        play: || play(AtomicU32::new(0), add_atomically, add_atomically),
        mortal: false,
        check,
    },
};

const SOURCES: &[Source] = &[Source { path: file!(), text: include_str!("lost_update.rs") }];

fn check(end: &End) -> Verdict {
    match end.words[0] {
        2 => Verdict::new(false, "count is 2: both additions are there."),
        _ => Verdict::new(
            true,
            "count is 1: an addition is lost. Who stored last had loaded before the other stored.",
        ),
    }
}
