//! What a process does in one step, and what it found in the end.

use std::panic::Location;

use crate::source::Source;

/// A process's next step. A word is named by its place in the page: 0, 1 and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Load {
        word: u32,
    },
    Store {
        word: u32,
        value: u32,
    },
    Add {
        word: u32,
        number: u32,
    },
    Swap {
        word: u32,
        value: u32,
    },
    CompareExchange {
        word: u32,
        current: u32,
        new: u32,
    },
    /// Something in a register of the processor: nobody else can see it.
    Register {
        value: u32,
    },
    /// Waits while the word is `seen`.
    Wait {
        word: u32,
        seen: u32,
    },
    /// Waits while both words are what was seen of them.
    WaitBoth {
        words: [u32; 2],
        seen: [u32; 2],
    },
}

/// Where in the source a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which of the version's sources.
    pub(crate) source: usize,
    pub(crate) line: u32,
}

/// A step, as a process announces it before it takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) action: Action,
    pub(crate) place: Place,
}

/// What a process has found when it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Nothing,
    Number(u32),
    Pair([u32; 2]),
    Busy,
}

/// What a process tells the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// It stands before this step.
    Before(Step),
    Done(Answer),
}

/// How many 32-bit words a message takes.
pub(crate) const LENGTH: usize = 7;

impl Message {
    /// The message as it lies in the page.
    pub(crate) fn encode(self) -> [u32; LENGTH] {
        let (code, rest, place) = match self {
            Self::Before(Step { action, place }) => {
                let (code, rest) = match action {
                    Action::Load { word } => (0, [word, 0, 0, 0]),
                    Action::Store { word, value } => (1, [word, value, 0, 0]),
                    Action::Add { word, number } => (2, [word, number, 0, 0]),
                    Action::Swap { word, value } => (3, [word, value, 0, 0]),
                    Action::CompareExchange { word, current, new } => (4, [word, current, new, 0]),
                    Action::Register { value } => (5, [value, 0, 0, 0]),
                    Action::Wait { word, seen } => (6, [word, seen, 0, 0]),
                    Action::WaitBoth { words: [a, b], seen: [x, y] } => (7, [a, b, x, y]),
                };
                (code, rest, [place.source.try_into().unwrap_or(u32::MAX), place.line])
            }
            Self::Done(answer) => {
                let (code, rest) = match answer {
                    Answer::Nothing => (8, [0; 4]),
                    Answer::Number(number) => (9, [number, 0, 0, 0]),
                    Answer::Pair([a, b]) => (10, [a, b, 0, 0]),
                    Answer::Busy => (11, [0; 4]),
                };
                (code, rest, [0; 2])
            }
        };
        let ([a, b, c, d], [source, line]) = (rest, place);
        [code, a, b, c, d, source, line]
    }

    /// The message that lies in the page; `None` if it is none.
    pub(crate) fn decode([code, a, b, c, d, source, line]: [u32; LENGTH]) -> Option<Self> {
        let action = match code {
            0 => Action::Load { word: a },
            1 => Action::Store { word: a, value: b },
            2 => Action::Add { word: a, number: b },
            3 => Action::Swap { word: a, value: b },
            4 => Action::CompareExchange { word: a, current: b, new: c },
            5 => Action::Register { value: a },
            6 => Action::Wait { word: a, seen: b },
            7 => Action::WaitBoth { words: [a, b], seen: [c, d] },
            8 => return Some(Self::Done(Answer::Nothing)),
            9 => return Some(Self::Done(Answer::Number(a))),
            10 => return Some(Self::Done(Answer::Pair([a, b]))),
            11 => return Some(Self::Done(Answer::Busy)),
            _ => return None,
        };
        let source = usize::try_from(source).ok()?;
        Some(Self::Before(Step { action, place: Place { source, line } }))
    }
}

impl Action {
    /// The words that the step is about.
    pub(crate) fn words(self) -> Vec<u32> {
        match self {
            Self::Load { word }
            | Self::Store { word, .. }
            | Self::Add { word, .. }
            | Self::Swap { word, .. }
            | Self::CompareExchange { word, .. }
            | Self::Wait { word, .. } => vec![word],
            Self::Register { .. } => Vec::new(),
            Self::WaitBoth { words, .. } => words.to_vec(),
        }
    }
}

impl Place {
    /// Where the caller stands, in one of `sources`.
    pub(crate) fn of(caller: &Location<'_>, sources: &[Source]) -> Self {
        let source = sources.iter().position(|it| caller.file().ends_with(it.path));
        let source = source.unwrap_or_else(|| panic!("{} is no source of this", caller.file()));
        Self { source, line: caller.line() }
    }
}

impl From<()> for Answer {
    fn from((): ()) -> Self {
        Self::Nothing
    }
}

impl From<u32> for Answer {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

impl From<[u32; 2]> for Answer {
    fn from(pair: [u32; 2]) -> Self {
        Self::Pair(pair)
    }
}

impl<Busy> From<Result<[u32; 2], Busy>> for Answer {
    fn from(snapshot: Result<[u32; 2], Busy>) -> Self {
        snapshot.map_or(Self::Busy, Self::Pair)
    }
}
