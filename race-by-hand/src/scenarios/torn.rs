//! A writer stores two words, a reader loads two.

use crate::atomic::{AtomicU32, SeqCst};
use crate::scenario::{End, Scenario, Verdict, Version, play};
use crate::source::Source;
use crate::step::Answer;

struct Record {
    first: AtomicU32,
    second: AtomicU32,
}

fn write(record: &Record) {
    record.first.store(1, SeqCst);
    record.second.store(1, SeqCst);
}

fn read(record: &Record) -> [u32; 2] {
    let first = record.first.load(SeqCst);
    let second = record.second.load(SeqCst);
    [first, second]
}

pub(crate) static SCENARIO: Scenario = Scenario {
    name: "torn",
    about: "a reader gets one word of the old record and one of the new",
    explanation: "A record of several words is stored word by word. Each store is atomic, all of them together are \
        not. A reader that looks in the middle gets a mixture of two records: a torn snapshot.",
    cure: "a lock or a seqlock: race-demo measures both, docs/the-race.md explains them.",
    wrong: Some(Version {
        title: "word by word",
        goal: "Process 1 makes the record [0, 0] into [1, 1]. Make process 2 read a mixture: [0, 1] or [1, 0].",
        hint: "Let process 2 load one word before and one word after a change.",
        deed: ["is torn", "are torn"],
        words: &["first", "second"],
        spell: None,
        sources: &[Source { path: file!(), text: include_str!("torn.rs") }],
        play: || {
            let record = Record { first: AtomicU32::new(0), second: AtomicU32::new(0) };
            play(record, write, read)
        },
        mortal: false,
        check,
    }),
    right: super::seqlock::SEQLOCK,
};

pub(super) fn check(end: &End) -> Verdict {
    match end.answers[1] {
        Some(Answer::Pair([a, b])) if a == b => {
            Verdict::new(false, format!("The reader has [{a}, {b}]: a whole record."))
        }
        Some(Answer::Pair([a, b])) => Verdict::new(
            true,
            format!("The reader has [{a}, {b}]: a record that nobody has written."),
        ),
        Some(_) => {
            Verdict::new(false, "The reader has nothing: it was Busy both times, and says so.")
        }
        None => Verdict::new(true, "The reader waits for ever."),
    }
}
