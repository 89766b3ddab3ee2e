//! A slow reader, and a writer that waits for nobody: two slots tear, three that change hands don't.
//!
//! ```text
//! cargo run -p lessons --example double-buffer
//! ```
//!
//! predict: how often may the writer overtake a reader of two slots? Of three?

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use common::mapping::Mapping;
use common::{ReadWrite, SharedU32, Writer};
use lessons::Steps;
use terminal::{Stop, Terminal, data, run_without_args};

common::shared_record! {
    struct Buffer { shown: SharedU32, slots: [[SharedU32; 4]; 3] }
}

fn main() -> ExitCode {
    run_without_args(|terminal| {
        [0, 1, 2].into_iter().try_for_each(|times| overtake(terminal, "two", times))?;
        [2, 1000].into_iter().try_for_each(|times| overtake(terminal, "three", times))
    })
}

fn overtake(terminal: &mut Terminal, slots: &str, times: u32) -> Result<(), Stop> {
    let shared = Mapping::<Buffer, ReadWrite>::anonymous()?;
    let (shown, three, mut mine) = (shared.writer().field(|it| &it.shown), slots == "three", 1);
    let writer = Steps::of(terminal, |number| publish(shared.writer(), number, three, &mut mine))?;
    writer.one()?;

    // Two: the reader looks. Three: it takes what is shown, and gives slot 2 for it, which was its own. (A
    // real one takes only what is new to it, or it gets back what it has just given.)
    let slot = if three { shown.swap(2, AcqRel) } else { shown.load(Acquire) } as usize;
    let [a, b] = [0, 1].map(|word| shared.slots[slot][word].load(Relaxed));
    (0..times).try_for_each(|_| writer.one())?;
    let [c, d] = [2, 3].map(|word| shared.slots[slot][word].load(Relaxed));
    let verdict = if b == c { format!("whole, {times} late") } else { "torn".into() };
    data!(terminal, "{slots} slots, overtaken {times} times: {a} {b} {c} {d}, {verdict}")
}

/// Stores `number` in the slot that nobody is shown, and shows it. What was shown is `mine` then.
fn publish(buffer: Writer<'_, Buffer>, number: u32, three: bool, mine: &mut u32) {
    let slot = *mine as usize;
    (0..4).for_each(|word| buffer.field(|it| &it.slots[slot][word]).store(number, Relaxed));
    let shown = buffer.field(|it| &it.shown);
    if three {
        // One step, not two: whoever has a slot has it alone.
        *mine = shown.swap(*mine, AcqRel);
    } else {
        shown.store(*mine, Release);
        *mine = 1 - *mine;
    }
}
