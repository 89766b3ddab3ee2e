//! Two processes count up to a limit.

use crate::atomic::{AtomicU32, SeqCst};
use crate::scenario::{End, Scenario, Verdict, Version, play};
use crate::source::Source;

const LIMIT: u32 = 2;

/// C's `while (count < LIMIT) count++`, with an atomic add.
fn count_up(count: &AtomicU32) {
    while count.load(SeqCst) < LIMIT {
        count.fetch_add(1, SeqCst);
    }
}

fn exchange(count: &AtomicU32) {
    let mut seen = count.load(SeqCst);
    while seen < LIMIT {
        let more = seen + 1;
        match count.compare_exchange(seen, more, SeqCst, SeqCst) {
            Ok(_) => seen = more,
            Err(found) => seen = found,
        }
    }
}

pub(crate) static SCENARIO: Scenario = Scenario {
    name: "limit",
    about: "two processes count up to a limit, and pass it",
    explanation: "The test is one access, and the add is another. Each is atomic, the two together are not: what the \
        test has seen may be old when the add comes. A check that is followed by an act needs both in one step.",
    cure: "compare-and-swap: increment_below in common/src/conn_stat.rs, and mmap-file-writer --join, which counts with it.",
    wrong: Some(Version {
        title: "test, then add",
        goal: "Both count up to LIMIT, which is 2. Make count pass it: at the end it is 3.",
        hint: "When count is 1, let both do their test before either of them adds.",
        deed: ["passes the limit", "pass the limit"],
        words: &["count"],
        spell: None,
        sources: SOURCES,
        play: || play(AtomicU32::new(0), count_up, count_up),
        mortal: false,
        check,
    }),
    right: Version {
        title: "compare-and-swap",
        goal: "Both count up to LIMIT, which is 2. Try to make count pass it.",
        hint: "Test and store are one step here: whoever has seen an old count stores nothing and looks again.",
        deed: ["passes the limit", "pass the limit"],
        words: &["count"],
        spell: None,
        sources: SOURCES,
        play: || play(AtomicU32::new(0), exchange, exchange),
        mortal: false,
        check,
    },
};

const SOURCES: &[Source] = &[Source { path: file!(), text: include_str!("limit.rs") }];

fn check(end: &End) -> Verdict {
    let count = end.words[0];
    if count > LIMIT {
        Verdict::new(
            true,
            format!("count is {count}: both had seen a count below the limit, and both added 1."),
        )
    } else {
        Verdict::new(false, format!("count is {count}, as the limit says."))
    }
}
