//! The page that the two processes and their scheduler share.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use common::mapping::Mapping;
use common::sync::futex;
use common::{Error, ReadWrite, SharedU32, Writer};

use crate::step::{Action, LENGTH, Message};

/// How many words a scenario may share.
const WORDS: usize = 8;

/// The two processes have a desk each in the page, behind the scenario's words.
const DESK: usize = 2 + LENGTH;

/// Where on a desk the baton lies: whose turn it is. It is the futex by which they wait for each other.
const BATON: usize = 0;
/// What the last step of the process has found.
const FOUND: usize = 1;
/// What the process says to the scheduler.
const MESSAGE: usize = 2;

/// The baton is with the process: it takes a step.
const PROCESS: u32 = 0;
/// The baton is with the scheduler: the process waits.
const SCHEDULER: u32 = 1;

/// One anonymous page: the words that the scenario is about, and behind them what the processes and
/// the scheduler tell each other.
#[derive(Debug)]
pub(crate) struct Page(Mapping<[SharedU32; WORDS + 2 * DESK], ReadWrite>);

impl Page {
    /// A page of zeros, in which it is the turn of both processes.
    pub(crate) fn new() -> Result<Self, Error> {
        // mmap(2), MAP_SHARED and MAP_ANONYMOUS: shared with the children from here on.
        Ok(Self(Mapping::anonymous()?))
    }

    fn word(&self, index: usize) -> Writer<'_, SharedU32> {
        self.0.writer().field(|words| &words[index])
    }

    fn desk(&self, process: usize, index: usize) -> Writer<'_, SharedU32> {
        self.word(WORDS + process * DESK + index)
    }

    /// Stores the first value of a word, before anybody else uses the page.
    pub(crate) fn initialise(&self, word: u32, value: u32) {
        self.shared(word).store(value, SeqCst);
    }

    /// The values of the first `count` words of the scenario.
    pub(crate) fn values(&self, count: usize) -> Vec<u32> {
        (0..count).map(|index| self.word(index).load(SeqCst)).collect()
    }

    fn shared(&self, word: u32) -> Writer<'_, SharedU32> {
        let index = usize::try_from(word).expect("a small number");
        assert!(index < WORDS, "a scenario has at most {WORDS} words");
        self.word(index)
    }

    /// Does `action` and returns what it found: the word as it was before.
    pub(crate) fn perform(&self, action: Action) -> u32 {
        match action {
            Action::Load { word } => self.shared(word).load(SeqCst),
            Action::Store { word, value } => {
                self.shared(word).store(value, SeqCst);
                value
            }
            Action::Add { word, number } => self.shared(word).fetch_add(number, SeqCst),
            Action::Swap { word, value } => self.shared(word).swap(value, SeqCst),
            Action::CompareExchange { word, current, new } => {
                let exchanged = self.shared(word).compare_exchange(current, new, SeqCst, SeqCst);
                exchanged.unwrap_or_else(|found| found)
            }
            Action::Register { value } => value,
            // The scheduler gives it the turn only when the wait is over.
            Action::Wait { .. } | Action::WaitBoth { .. } => 0,
        }
    }

    /// The process's side of a hand-over: leaves a message and waits for its turn.
    pub(crate) fn stop(&self, process: usize, message: Message) {
        self.say(process, message);
        let baton = self.desk(process, BATON);
        while baton.load(SeqCst) == SCHEDULER {
            // futex(2), FUTEX_WAIT
            futex::wait(&*baton, SCHEDULER, Duration::from_secs(60));
        }
    }

    /// Leaves a message and hands over the baton.
    pub(crate) fn say(&self, process: usize, message: Message) {
        for (index, word) in message.encode().into_iter().enumerate() {
            self.desk(process, MESSAGE + index).store(word, Relaxed);
        }
        let baton = self.desk(process, BATON);
        // The message is stored before the baton; pairs with the load in `listen`.
        baton.store(SCHEDULER, SeqCst);
        // futex(2), FUTEX_WAKE
        futex::wake(&*baton, 1);
    }

    /// Keeps what a step has found, for the scheduler to see.
    pub(crate) fn found(&self, process: usize, value: u32) {
        self.desk(process, FOUND).store(value, Relaxed);
    }

    /// The scheduler's side of a hand-over: it is the process's turn.
    pub(crate) fn go(&self, process: usize) {
        let baton = self.desk(process, BATON);
        baton.store(PROCESS, SeqCst);
        // futex(2), FUTEX_WAKE
        futex::wake(&*baton, 1);
    }

    /// What the process has to say, and what its last step has found; `None` if it still has the
    /// baton after some time.
    pub(crate) fn listen(&self, process: usize) -> Option<(Message, u32)> {
        let baton = self.desk(process, BATON);
        // Pairs with the store in `say`.
        if baton.load(SeqCst) == PROCESS {
            // futex(2), FUTEX_WAIT
            futex::wait(&*baton, PROCESS, Duration::from_millis(100));
        }
        if baton.load(SeqCst) == PROCESS {
            return None;
        }
        let words = std::array::from_fn(|it| self.desk(process, MESSAGE + it).load(Relaxed));
        let message = Message::decode(words).expect("a message of `say`");
        Some((message, self.desk(process, FOUND).load(Relaxed)))
    }
}
