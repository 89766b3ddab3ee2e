//! Whoever comes first initialises the record.

use crate::atomic::{AtomicU32, SeqCst, wait_while};
use crate::scenario::{End, Scenario, Verdict, Version, play};
use crate::source::Source;

/// The record's count starts here.
const START: u32 = 100;

const NEW: u32 = 0;
const BUSY: u32 = 1;
const READY: u32 = 2;

struct Record {
    state: AtomicU32,
    count: AtomicU32,
}

fn look(record: &Record) {
    if record.state.load(SeqCst) == NEW {
        record.count.store(START, SeqCst);
        record.state.store(READY, SeqCst);
    }
    record.count.fetch_add(1, SeqCst);
}

fn claim(record: &Record) {
    match record.state.compare_exchange(NEW, BUSY, SeqCst, SeqCst) {
        Ok(_) => {
            record.count.store(START, SeqCst);
            record.state.store(READY, SeqCst);
        }
        Err(BUSY) => wait_while(&record.state, BUSY),
        Err(_) => {}
    }
    record.count.fetch_add(1, SeqCst);
}

pub(crate) static SCENARIO: Scenario = Scenario {
    name: "first-comer",
    about: "both find the record new, and both initialise it",
    explanation: "Both processes may be the first. Who finds the record new initialises it, and then counts itself. \
        If both find it new, the second initialisation wipes out what the first process has counted. The same happens \
        with a segment or a file: \"is it there? then I make it\" is two steps.",
    cure: "one step decides who is first: compare-and-swap here, O_EXCL of open and IPC_EXCL of shmget in the kernel (docs/system-v.md, docs/mapped-files.md).",
    wrong: Some(Version {
        title: "look, then initialise",
        goal: "Who finds the state NEW (0) stores 100; then both add 1: 102. Make one process wipe out the other's 1.",
        hint: "Let both find the state NEW, and let one of them finish first.",
        deed: ["initialises over a count", "initialise over a count"],
        words: &["state", "count"],
        spell: None,
        sources: SOURCES,
        play: || play(record(), look, look),
        mortal: false,
        check,
    }),
    right: Version {
        title: "claim, then initialise",
        goal: "Who claims the state NEW (0) stores 100; then both add 1: 102. Try to wipe out one of the two.",
        hint: "Only one compare-and-swap finds NEW. The other process waits until the state is READY.",
        deed: ["initialises over a count", "initialise over a count"],
        words: &["state", "count"],
        spell: None,
        sources: SOURCES,
        play: || play(record(), claim, claim),
        mortal: false,
        check,
    },
};

const SOURCES: &[Source] = &[Source { path: file!(), text: include_str!("first_comer.rs") }];

fn record() -> Record {
    Record { state: AtomicU32::new(NEW), count: AtomicU32::new(0) }
}

fn check(end: &End) -> Verdict {
    match end.words[1] {
        102 => Verdict::new(false, "count is 102: initialised once, counted twice."),
        count => Verdict::new(
            true,
            format!(
                "count is {count}: the second initialisation wiped out what the first had counted."
            ),
        ),
    }
}
