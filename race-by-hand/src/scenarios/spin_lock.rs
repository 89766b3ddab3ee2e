//! A lock that is a word: 1 while somebody has it.

use crate::atomic::{AtomicU32, SeqCst, wait_while};
use crate::scenario::{End, Scenario, Verdict, Version, play};
use crate::source::Source;

struct Account {
    locked: AtomicU32,
    count: AtomicU32,
}

fn test_then_set(account: &Account) {
    let Account { locked, count } = account;
    while locked.load(SeqCst) == 1 {
        wait_while(locked, 1);
    }
    locked.store(1, SeqCst);
    let seen = count.load(SeqCst);
    count.store(seen + 1, SeqCst);
    locked.store(0, SeqCst);
}

fn test_and_set(account: &Account) {
    let Account { locked, count } = account;
    while locked.swap(1, SeqCst) == 1 {
        wait_while(locked, 1);
    }
    let seen = count.load(SeqCst);
    count.store(seen + 1, SeqCst);
    locked.store(0, SeqCst);
}

pub(crate) static SCENARIO: Scenario = Scenario {
    name: "spin-lock",
    about: "two processes have the lock at once",
    explanation: "The lock is a word: 0 when it is free, 1 when somebody has it. If the test and the set are two steps, \
        both processes find it free and both take it. Then they count as if there were no lock.",
    cure: "one step that sets and says what was there before: swap. Real locks also sleep instead of spinning: docs/waiting.md.",
    wrong: Some(Version {
        title: "test, then set",
        goal: "A lock protects count. Get both processes behind it at once, so that a count is lost: count is 1.",
        hint: "Let both find locked 0 before either of them stores 1.",
        deed: ["loses a count", "lose a count"],
        words: &["locked", "count"],
        spell: None,
        sources: SOURCES,
        play: || play(account(), test_then_set, test_then_set),
        mortal: false,
        check,
    }),
    right: Version {
        title: "test and set",
        goal: "A lock protects count. Try to get both processes behind it at once, so that a count is lost.",
        hint: "swap sets the word and says what it was. Only one of two gets the 0.",
        deed: ["loses a count", "lose a count"],
        words: &["locked", "count"],
        spell: None,
        sources: SOURCES,
        play: || play(account(), test_and_set, test_and_set),
        mortal: false,
        check,
    },
};

const SOURCES: &[Source] = &[Source { path: file!(), text: include_str!("spin_lock.rs") }];

fn account() -> Account {
    Account { locked: AtomicU32::new(0), count: AtomicU32::new(0) }
}

pub(super) fn check(end: &End) -> Verdict {
    let count = end.words[end.words.len() - 1];
    match (end.stuck, count) {
        (true, _) => Verdict::new(true, "Somebody waits for ever."),
        (false, 2) => Verdict::new(false, "count is 2: one after the other."),
        (false, _) => Verdict::new(true, "count is 1: both were behind the lock at once."),
    }
}
