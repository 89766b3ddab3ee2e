//! A free list whose blocks are used again.

use crate::atomic::{AtomicU32, SeqCst};
use crate::scenario::{End, Scenario, Verdict, Version, play};
use crate::source::Source;
use crate::step::Answer;

/// Blocks 1, 2 and 3; 0 is the end of the list.
struct List {
    head: AtomicU32,
    next: [AtomicU32; 3],
}

impl List {
    fn next(&self, block: u32) -> &AtomicU32 {
        &self.next[block as usize - 1]
    }
}

/// One try to take the first block. It fails if somebody was faster.
fn try_take(list: &List) -> Option<u32> {
    let top = list.head.load(SeqCst);
    let below = list.next(top).load(SeqCst);
    let taken = list.head.compare_exchange(top, below, SeqCst, SeqCst);
    taken.ok()
}

fn try_give(list: &List, block: u32) -> Option<u32> {
    let top = list.head.load(SeqCst);
    list.next(block).store(top, SeqCst);
    let given = list.head.compare_exchange(top, block, SeqCst, SeqCst);
    given.ok()
}

/// A head is a block and a version, which grows with every change.
const VERSION: u32 = 16;

fn try_take_versioned(list: &List) -> Option<u32> {
    let head = list.head.load(SeqCst);
    let (version, top) = (head / VERSION, head % VERSION);
    let below = list.next(top).load(SeqCst);
    let new = (version + 1) * VERSION + below;
    let taken = list.head.compare_exchange(head, new, SeqCst, SeqCst);
    taken.ok().map(|_| top)
}

fn try_give_versioned(list: &List, block: u32) -> Option<u32> {
    let head = list.head.load(SeqCst);
    let (version, top) = (head / VERSION, head % VERSION);
    list.next(block).store(top, SeqCst);
    let new = (version + 1) * VERSION + block;
    let given = list.head.compare_exchange(head, new, SeqCst, SeqCst);
    given.ok()
}

type Take = fn(&List) -> Option<u32>;
type Give = fn(&List, u32) -> Option<u32>;

/// Process 1 tries once. The answer is the block that it has; 0 for none.
fn take_one(list: &List, take: Take) -> u32 {
    take(list).unwrap_or(0)
}

/// Process 2 takes two blocks and gives the first one back. The answer is the second.
fn take_two_give_one(list: &List, take: Take, give: Give) -> u32 {
    let until_taken = || std::iter::repeat_with(|| take(list)).find_map(|it| it).unwrap_or(0);
    let (first, second) = (until_taken(), until_taken());
    while give(list, first).is_none() {}
    second
}

pub(crate) static SCENARIO: Scenario = Scenario {
    name: "aba",
    about: "compare-and-swap finds what it expects, and all has changed",
    explanation: "Compare-and-swap asks whether the word is what it was. It does not ask whether anything has happened \
        meanwhile. If block 1 is taken, block 2 is taken, and block 1 comes back, the head is 1 again (A, B, A). But \
        what lies below block 1 is another block now.",
    cure: "a version beside the index, in the same word, that grows with every change. (It must not come round too soon: 32 bits for both are few.)",
    wrong: Some(Version {
        title: "the index alone",
        goal: "Blocks 1, 2, 3 are free. Process 1 tries to take one. Process 2 takes two and gives the first back. \
            Make a block free that somebody has.",
        hint: "Let process 1 load the head and what is below it. Then let process 2 do everything.",
        deed: ["gives a block away twice", "give a block away twice"],
        words: WORDS,
        spell: None,
        sources: SOURCES,
        play: || {
            play(
                list(),
                |list| take_one(list, try_take),
                |list| take_two_give_one(list, try_take, try_give),
            )
        },
        mortal: false,
        check,
    }),
    right: Version {
        title: "index and version",
        goal: "Blocks 1, 2, 3 are free. Process 1 tries to take one. Process 2 takes two and gives the first back. \
            Try to make a block free that somebody has.",
        hint: "The block came back, the version did not: the compare-and-swap of process 1 fails, and it takes nothing.",
        deed: ["gives a block away twice", "give a block away twice"],
        words: WORDS,
        spell: Some(|word, value| match word {
            0 => format!("{} v{}", value % VERSION, value / VERSION),
            _ => value.to_string(),
        }),
        sources: SOURCES,
        play: || {
            play(
                list(),
                |list| take_one(list, try_take_versioned),
                |list| take_two_give_one(list, try_take_versioned, try_give_versioned),
            )
        },
        mortal: false,
        check,
    },
};

const WORDS: &[&str] = &["head", "next(1)", "next(2)", "next(3)"];

const SOURCES: &[Source] = &[Source { path: file!(), text: include_str!("aba.rs") }];

fn list() -> List {
    List { head: AtomicU32::new(1), next: [2, 3, 0].map(AtomicU32::new) }
}

fn check(end: &End) -> Verdict {
    let (Some(Answer::Number(mine)), Some(Answer::Number(yours))) =
        (end.answers[0], end.answers[1])
    else {
        return Verdict::new(true, "Somebody is not done.");
    };
    // In the version with the index alone the head is always below VERSION.
    let mut free = vec![end.words[0] % VERSION];
    while let Some(&block @ 1..) = free.last()
        && free.len() < 4
    {
        free.push(end.words[block as usize]);
    }
    let twice = |block: &u32| *block != 0 && (free.contains(block) || mine == yours);
    match [mine, yours].into_iter().find(twice) {
        Some(block) => Verdict::new(
            true,
            format!("Block {block} is in use, and the list will give it away once more."),
        ),
        None => Verdict::new(false, "Each block is in one place: free, or with one process."),
    }
}
