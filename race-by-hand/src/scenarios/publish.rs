//! A writer stores data and a flag that says that the data is there.

use crate::atomic::{AtomicU32, SeqCst, wait_while};
use crate::scenario::{End, Scenario, Verdict, Version, play};
use crate::source::Source;
use crate::step::Answer;

struct Note {
    data: AtomicU32,
    ready: AtomicU32,
}

fn flag_first(note: &Note) {
    note.ready.store(1, SeqCst);
    note.data.store(42, SeqCst);
}

fn data_first(note: &Note) {
    note.data.store(42, SeqCst);
    note.ready.store(1, SeqCst);
}

fn read(note: &Note) -> u32 {
    while note.ready.load(SeqCst) == 0 {
        wait_while(&note.ready, 0);
    }
    note.data.load(SeqCst)
}

pub(crate) static SCENARIO: Scenario = Scenario {
    name: "publish",
    about: "the flag says that the data is there, and it is not",
    explanation: "A flag that says \"ready\" must be stored after the data. Whoever sees the flag then also sees the data. \
        The order in the source is not enough: the store must be Release and the load Acquire, or the compiler and the \
        processor may change the order again. That part is not shown here.",
    cure: "data first, then the flag with Release, loaded with Acquire: the count of common/src/conn_stat.rs; docs/sharing-and-rust.md says why.",
    wrong: Some(Version {
        title: "the flag first",
        goal: "Process 1 stores 42 and sets ready. Make process 2 read something else than 42.",
        hint: "Stop process 1 between its two stores.",
        deed: ["reads too early", "read too early"],
        words: &["data", "ready"],
        spell: None,
        sources: SOURCES,
        play: || play(note(), flag_first, read),
        mortal: false,
        check,
    }),
    right: Version {
        title: "the data first",
        goal: "Process 1 stores 42 and sets ready. Try to make process 2 read something else than 42.",
        hint: "When the flag is there, the data is there: it was stored before.",
        deed: ["reads too early", "read too early"],
        words: &["data", "ready"],
        spell: None,
        sources: SOURCES,
        play: || play(note(), data_first, read),
        mortal: false,
        check,
    },
};

const SOURCES: &[Source] = &[Source { path: file!(), text: include_str!("publish.rs") }];

fn note() -> Note {
    Note { data: AtomicU32::new(0), ready: AtomicU32::new(0) }
}

fn check(end: &End) -> Verdict {
    match end.answers[1] {
        Some(Answer::Number(42)) => Verdict::new(false, "The reader has 42."),
        Some(_) => Verdict::new(true, "The reader has 0: the flag was there before the data."),
        None => Verdict::new(true, "The reader waits for ever."),
    }
}
