//! A process is killed in the middle. What does the other find?

use crate::atomic::{AtomicU32, SeqCst, wait_while};
use crate::scenario::{End, Scenario, Verdict, Version, play};
use crate::seqlock::{Busy, SeqLock};
use crate::source::Source;
use crate::step::Answer;

struct Record {
    locked: AtomicU32,
    words: [AtomicU32; 2],
}

fn write(record: &Record) {
    let Record { locked, words } = record;
    while locked.swap(1, SeqCst) == 1 {
        wait_while(locked, 1);
    }
    words[0].store(1, SeqCst);
    words[1].store(1, SeqCst);
    locked.store(0, SeqCst);
}

fn read(record: &Record) -> [u32; 2] {
    let Record { locked, words } = record;
    while locked.swap(1, SeqCst) == 1 {
        wait_while(locked, 1);
    }
    let first = words[0].load(SeqCst);
    let second = words[1].load(SeqCst);
    locked.store(0, SeqCst);
    [first, second]
}

fn publish(record: &SeqLock<2>) {
    record.publish(|_| 1);
}

fn snapshot(record: &SeqLock<2>) -> Result<[u32; 2], Busy> {
    record.snapshot(1)
}

pub(crate) static SCENARIO: Scenario = Scenario {
    name: "dead-writer",
    about: "the writer is killed while it has the lock",
    explanation: "kill -9 gives a process no time to tidy up. A lock that is a word stays taken: nobody knows that its \
        owner is dead. A seqlock's reader waits for nobody: it finds the sequence odd, says Busy, and never takes a half \
        record for whole.",
    cure: "the seqlock, or a robust mutex, which tells the next owner: race-demo kills writers of each, see docs/the-race.md.",
    wrong: Some(Version {
        title: "a plain lock",
        goal: "Process 1 writes [1, 1] behind a lock. Kill it (k) so that process 2 waits for ever.",
        hint: "Kill process 1 after it has taken the lock and before it gives it back.",
        deed: ["hangs", "hang"],
        words: &["locked", "words[0]", "words[1]"],
        spell: None,
        sources: &[Source { path: file!(), text: include_str!("dead_writer.rs") }],
        play: || {
            let words = || [AtomicU32::new(0), AtomicU32::new(0)];
            play(Record { locked: AtomicU32::new(0), words: words() }, write, read)
        },
        mortal: true,
        check,
    }),
    right: Version {
        title: "a seqlock",
        goal: "Process 1 publishes [1, 1]. Kill it (k), and try to make process 2 wait for ever, or take half a record.",
        hint: "The reader waits for nobody. What is half written stays behind an odd sequence.",
        deed: ["hangs or is torn", "hang or are torn"],
        words: &["sequence", "words[0]", "words[1]"],
        spell: None,
        sources: super::seqlock::SOURCES,
        play: || play(SeqLock::<2>::default(), publish, snapshot),
        mortal: true,
        check,
    },
};

fn check(end: &End) -> Verdict {
    match end.answers[1] {
        Some(Answer::Pair([a, b])) if a != b => {
            Verdict::new(true, format!("The reader has [{a}, {b}]: half a record."))
        }
        Some(Answer::Pair([a, b])) => {
            Verdict::new(false, format!("The reader has [{a}, {b}]: a whole record."))
        }
        Some(_) => Verdict::new(false, "The reader is Busy: it has nothing, and knows it."),
        None => Verdict::new(true, "The reader waits for ever: the lock's owner is dead."),
    }
}
