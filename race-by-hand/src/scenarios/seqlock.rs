//! The seqlock of this project: the very file, compiled with atomics that stop.

use crate::scenario::{Scenario, Version, play};
use crate::seqlock::{Busy, SeqLock};
use crate::source::Source;

fn write(record: &SeqLock<2>) {
    record.publish(|_| 1);
}

fn read(record: &SeqLock<2>) -> Result<[u32; 2], Busy> {
    record.snapshot(2)
}

pub(crate) static SCENARIO: Scenario = Scenario {
    name: "seqlock",
    about: "the same record behind a sequence number: nobody gets a mixture",
    explanation: "The writer makes the sequence number odd, stores the words, and makes it even again. The reader \
        loads the number before and after the words. If it was odd or has changed, the reader tries again; here it has \
        two tries, and then it is Busy. The fences do nothing here, where everything is in order anyhow.",
    cure: "this is one: common/src/sync/seqlock.rs is the file on the screen. Its price is in docs/the-race.md.",
    wrong: None,
    right: SEQLOCK,
};

pub(super) const SEQLOCK: Version = Version {
    title: "seqlock",
    goal: "Process 1 makes the record [0, 0] into [1, 1]. Try to make process 2 return a mixture.",
    hint: "A reader that looked in the middle finds the sequence odd or changed, and looks again.",
    deed: ["is torn", "are torn"],
    words: &["sequence", "words[0]", "words[1]"],
    spell: None,
    sources: SOURCES,
    play: || play(SeqLock::<2>::default(), write, read),
    mortal: false,
    check: super::torn::check,
};

pub(super) const SOURCES: &[Source] = &[
    Source {
        path: "common/src/sync/seqlock.rs",
        text: include_str!("../../../common/src/sync/seqlock.rs"),
    },
    Source { path: file!(), text: include_str!("seqlock.rs") },
];
