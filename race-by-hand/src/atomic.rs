//! Atomics that stop before each access, until the scheduler lets the process go on.
//!
//! They look like those of std, so that a file that is written for std's compiles with these: that is
//! how `common/src/sync/seqlock.rs` comes to be played here. An atomic is the name of a word in the
//! shared page. The words are handed out in the order in which the atomics are made.
//!
//! All accesses are sequentially consistent, whatever order the caller asks for: one whole access
//! after the other. What a weaker order allows cannot be shown this way.

use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;

pub(crate) use std::sync::atomic::Ordering;
pub(crate) use std::sync::atomic::Ordering::SeqCst;

use crate::page::Page;
use crate::source::Source;
use crate::step::{Action, Answer, Message, Place, Step};

thread_local! {
    /// The page, and who uses it here.
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

struct Here {
    page: Rc<Page>,
    sources: &'static [Source],
    /// How many words have been handed out.
    words: u32,
    /// Which of the two processes this is, once it is one of them.
    process: Option<usize>,
}

/// From here on, atomics are words of `page`.
pub(crate) fn use_page(page: Rc<Page>, sources: &'static [Source]) {
    HERE.set(Some(Here { page, sources, words: 0, process: None }));
}

/// Runs one of the two processes, in that process, and tells the scheduler how it ended.
pub(crate) fn run(process: usize, body: impl FnOnce() -> Answer) {
    with(|here| here.process = Some(process));
    let answer = body();
    with(|here| here.page.say(process, Message::Done(answer)));
}

fn with<R>(f: impl FnOnce(&mut Here) -> R) -> R {
    HERE.with_borrow_mut(|here| f(here.as_mut().expect("use_page comes first")))
}

/// Stops, does `action` when it is this process's turn, and returns what it found.
fn take(action: Action, caller: &Location<'_>) -> u32 {
    with(|here| {
        let process = here.process.expect("run comes first");
        let place = Place::of(caller, here.sources);
        here.page.stop(process, Message::Before(Step { action, place }));
        let found = here.page.perform(action);
        here.page.found(process, found);
        found
    })
}

/// A word in the shared page.
#[derive(Debug)]
pub(crate) struct AtomicU32(u32);

#[allow(dead_code, reason = "these are what std has; not every scenario uses them all")]
impl AtomicU32 {
    /// The next word, which is `value` in the beginning.
    pub(crate) fn new(value: u32) -> Self {
        with(|here| {
            let word = here.words;
            here.words += 1;
            here.page.initialise(word, value);
            Self(word)
        })
    }

    #[track_caller]
    pub(crate) fn load(&self, _: Ordering) -> u32 {
        take(Action::Load { word: self.0 }, Location::caller())
    }

    #[track_caller]
    pub(crate) fn store(&self, value: u32, _: Ordering) {
        take(Action::Store { word: self.0, value }, Location::caller());
    }

    #[track_caller]
    pub(crate) fn fetch_add(&self, number: u32, _: Ordering) -> u32 {
        take(Action::Add { word: self.0, number }, Location::caller())
    }

    #[track_caller]
    pub(crate) fn swap(&self, value: u32, _: Ordering) -> u32 {
        take(Action::Swap { word: self.0, value }, Location::caller())
    }

    #[track_caller]
    pub(crate) fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        _: Ordering,
        _: Ordering,
    ) -> Result<u32, u32> {
        let action = Action::CompareExchange { word: self.0, current, new };
        match take(action, Location::caller()) {
            found if found == current => Ok(found),
            found => Err(found),
        }
    }
}

/// Accesses are in order here anyhow.
pub(crate) fn fence(_: Ordering) {}

/// A pause that is no access.
pub(crate) fn spin_loop() {}

/// Computes something in a register, as a step of its own: `register(seen + 1)`.
#[track_caller]
pub(crate) fn register(value: u32) -> u32 {
    take(Action::Register { value }, Location::caller())
}

/// Waits while `word` is `seen`. A real program spins here, or sleeps with futex(2).
#[track_caller]
pub(crate) fn wait_while(word: &AtomicU32, seen: u32) {
    take(Action::Wait { word: word.0, seen }, Location::caller());
}

/// Waits while both words are what was seen of them.
#[track_caller]
pub(crate) fn wait_while_both(first: (&AtomicU32, u32), second: (&AtomicU32, u32)) {
    let (words, seen) = ([first.0.0, second.0.0], [first.1, second.1]);
    take(Action::WaitBoth { words, seen }, Location::caller());
}
