//! What a scenario is: two functions, the names of the words that they share, a goal, and a check of
//! the end.

use std::fmt;

use crate::source::Source;
use crate::step::{Action, Answer};

/// A race, as it goes wrong and as it is put right.
pub(crate) struct Scenario {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// One line for the list.
    pub(crate) about: &'static str,
    /// What it shows, for the person who asks.
    pub(crate) explanation: &'static str,
    /// Where the cure is: pages and files of this project.
    pub(crate) cure: &'static str,
    pub(crate) wrong: Option<Version>,
    pub(crate) right: Version,
}

/// One way to write it.
#[derive(Clone, Copy)]
pub(crate) struct Version {
    pub(crate) title: &'static str,
    /// What the person tries to bring about.
    pub(crate) goal: &'static str,
    /// For a person who has not reached it. For a version that is right: why nobody does.
    pub(crate) hint: &'static str,
    /// What reaching the goal is called, of one schedule and of several: "loses a count", "lose a
    /// count".
    pub(crate) deed: [&'static str; 2],
    /// The names of the words, in the order in which the atomics are made.
    pub(crate) words: &'static [&'static str],
    /// How a word's value is written, if not as a number.
    pub(crate) spell: Option<fn(word: usize, value: u32) -> String>,
    /// The files in which the two processes make their accesses.
    pub(crate) sources: &'static [Source],
    /// Makes the atomics, and what the two processes do with them.
    pub(crate) play: fn() -> Play,
    /// Whether process 1 may be killed.
    pub(crate) mortal: bool,
    pub(crate) check: fn(&End) -> Verdict,
}

/// What process 0 and process 1 do. (A person calls them 1 and 2.)
pub(crate) type Play = Box<dyn Fn(usize) -> Answer>;

/// Two functions over the same shared words.
pub(crate) fn play<S: 'static, A: Into<Answer> + 'static, B: Into<Answer> + 'static>(
    shared: S,
    first: fn(&S) -> A,
    second: fn(&S) -> B,
) -> Play {
    Box::new(move |process| match process {
        0 => first(&shared).into(),
        _ => second(&shared).into(),
    })
}

/// How a schedule has ended.
#[derive(Debug)]
pub(crate) struct End {
    /// The words at the end.
    pub(crate) words: Vec<u32>,
    /// What each process has found; `None` if it is not done.
    pub(crate) answers: [Option<Answer>; 2],
    /// Somebody waits for what will never come.
    pub(crate) stuck: bool,
}

/// What an end means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Verdict {
    /// Whether the goal is reached: the thing has gone wrong.
    pub(crate) reached: bool,
    /// What has happened, in a sentence.
    pub(crate) said: String,
}

impl Verdict {
    pub(crate) fn new(reached: bool, said: impl Into<String>) -> Self {
        Self { reached, said: said.into() }
    }
}

/// The guarantee under which everything here runs; said on the screen and in the output.
pub(crate) const GUARANTEE: &str = "whole accesses, one after the other (sequentially consistent)";

/// What this program cannot show.
pub(crate) const LIMITS: &str = "Here each access is whole and comes after the one before: sequentially consistent \
     interleavings. A compiler and a processor may also change the order of accesses. That is not shown here; \
     the model check (docs/the-race.md) looks for it with loom.";

impl Scenario {
    /// The version to play: the wrong one first, if there is one.
    pub(crate) fn version(&self, cure: bool) -> &Version {
        match &self.wrong {
            Some(wrong) if !cure => wrong,
            _ => &self.right,
        }
    }

    /// What an end means for the person: a headline, and why it came so.
    pub(crate) fn conclusion(&self, verdict: &Verdict, cure: bool) -> (&'static str, String) {
        let Verdict { reached, said } = verdict;
        let hint = self.version(cure).hint;
        match (reached, &self.wrong) {
            (true, _) => ("The goal is reached", format!("{said} The cure: {}", self.cure)),
            (false, Some(_)) if !cure => (MISSED, format!("{said} Hint: {hint}")),
            (false, _) => (MISSED, format!("{said} {hint}")),
        }
    }
}

/// The headline of an end without harm.
const MISSED: &str = "Over, and nothing has gone wrong";

impl Version {
    /// A word's value, as it is shown.
    pub(crate) fn value(&self, word: u32, value: u32) -> String {
        let word = usize::try_from(word).unwrap_or(usize::MAX);
        self.spell.map_or_else(|| value.to_string(), |spell| spell(word, value))
    }

    fn name(&self, word: u32) -> &'static str {
        usize::try_from(word).ok().and_then(|it| self.words.get(it)).copied().unwrap_or("?")
    }

    /// What a step will do: "load count".
    pub(crate) fn will(&self, action: Action) -> String {
        let name = |word| self.name(word);
        match action {
            Action::Load { word } => format!("load {}", name(word)),
            Action::Store { word, value } => {
                format!("store {}: {}", name(word), self.value(word, value))
            }
            Action::Add { word, number } => format!("add {number} to {}", name(word)),
            Action::Swap { word, value } => {
                format!("swap {}: {}", name(word), self.value(word, value))
            }
            Action::CompareExchange { word, current, new } => {
                let [current, new] = [current, new].map(|it| self.value(word, it));
                format!("if {} is {current}, store {new}", name(word))
            }
            Action::Register { value } => format!("compute {value}"),
            Action::Wait { word, seen } => {
                format!("wait while {} is {}", name(word), self.value(word, seen))
            }
            Action::WaitBoth { words: [a, b], seen: [x, y] } => {
                let [x, y] = [self.value(a, x), self.value(b, y)];
                format!("wait while {} is {x} and {} is {y}", name(a), name(b))
            }
        }
    }

    /// What a step has done: "load count: 0".
    pub(crate) fn has(&self, action: Action, found: u32) -> String {
        let will = self.will(action);
        match action {
            Action::Load { word } => format!("{will}: {}", self.value(word, found)),
            Action::Store { .. } | Action::Register { .. } => will,
            Action::Add { word, .. } | Action::Swap { word, .. } => {
                format!("{will} (was {})", self.value(word, found))
            }
            Action::CompareExchange { word, current, .. } => {
                let is = self.value(word, found);
                let done = if found == current { "yes".into() } else { format!("no, it is {is}") };
                format!("{will}: {done}")
            }
            Action::Wait { .. } | Action::WaitBoth { .. } => "wait is over".into(),
        }
    }

    /// The value that a step has given to the process, if it has.
    pub(crate) fn found(&self, action: Action, found: u32) -> Option<String> {
        match action {
            Action::Load { word }
            | Action::Store { word, .. }
            | Action::Add { word, .. }
            | Action::Swap { word, .. }
            | Action::CompareExchange { word, .. } => Some(self.value(word, found)),
            Action::Register { value } => Some(value.to_string()),
            Action::Wait { .. } | Action::WaitBoth { .. } => None,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("done"),
            Self::Number(number) => write!(f, "done: {number}"),
            Self::Pair([a, b]) => write!(f, "done: [{a}, {b}]"),
            Self::Busy => f.write_str("done: Busy"),
        }
    }
}
