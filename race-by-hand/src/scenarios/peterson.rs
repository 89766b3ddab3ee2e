//! Peterson's algorithm: a lock made of loads and stores alone.

use crate::atomic::{AtomicU32, SeqCst, wait_while_both};
use crate::scenario::{Scenario, Version, play};
use crate::source::Source;

struct Shared {
    wants: [AtomicU32; 2],
    turn: AtomicU32,
    count: AtomicU32,
}

/// One of the two processes: whether it wants, whether the other wants, and the other's number.
fn add(shared: &Shared, mine: &AtomicU32, yours: &AtomicU32, other: u32) {
    let Shared { turn, count, .. } = shared;
    mine.store(1, SeqCst);
    turn.store(other, SeqCst);
    while yours.load(SeqCst) == 1 && turn.load(SeqCst) == other {
        wait_while_both((yours, 1), (turn, other));
    }
    let seen = count.load(SeqCst);
    count.store(seen + 1, SeqCst);
    mine.store(0, SeqCst);
}

pub(crate) static SCENARIO: Scenario = Scenario {
    name: "peterson",
    about: "a lock of loads and stores alone: right if they stay in order",
    explanation: "Each says that it wants, and gives the turn to the other. Who finds that the other does not want, or \
        that it has the turn itself, goes on. This is right only if the two stores come before the loads. A processor \
        may let a load overtake an earlier store, x86 too, unless all of them are SeqCst. That breaks this lock, and it \
        is not shown here.",
    cure: "it is right as it stands, with SeqCst. Nobody uses it any more: one swap does the same, see spin-lock.",
    wrong: None,
    right: Version {
        title: "Peterson's algorithm",
        goal: "A lock protects count. Try to get both processes behind it at once, so that a count is lost.",
        hint: "Who stores turn last waits for the other.",
        deed: ["loses a count", "lose a count"],
        words: &["wants_1", "wants_2", "turn", "count"],
        spell: None,
        sources: &[Source { path: file!(), text: include_str!("peterson.rs") }],
        play: || {
            let [wants0, wants1, turn, count] = [0, 0, 0, 0].map(AtomicU32::new);
            let shared = Shared { wants: [wants0, wants1], turn, count };
            play(
                shared,
                |it| add(it, &it.wants[0], &it.wants[1], 2),
                |it| add(it, &it.wants[1], &it.wants[0], 1),
            )
        },
        mortal: false,
        check: super::spin_lock::check,
    },
};
