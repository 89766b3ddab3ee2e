//! Two real processes over one shared page, and their scheduler: this process.

use std::fmt;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use common::{Error, Refusal};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};
use terminal::process::{Child, start_child};
use terminal::{Stop, Terminal};

use crate::atomic;
use crate::page::Page;
use crate::scenario::{End, Verdict, Version};
use crate::step::{Action, Answer, Message, Step};

/// Two processes that have been started and stand somewhere in their functions.
///
/// Dropping it kills them.
pub(crate) struct Run {
    pub(crate) version: &'static Version,
    processes: [Process; 2],
    page: Rc<Page>,
    /// The words before the first step.
    pub(crate) start: Vec<u32>,
    /// What has been done so far.
    pub(crate) taken: Vec<Taken>,
}

struct Process {
    /// `None` once it has been killed.
    child: Option<Child>,
    pid: Pid,
    state: State,
}

/// Where a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It stands before this step.
    Before(Step),
    Done(Answer),
    /// It has been killed before this step.
    Killed(Step),
}

/// What the scheduler can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Choice {
    /// Let process 0 or 1 take its next step.
    Step(usize),
    /// Kill process 0.
    Kill,
}

/// A choice, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) choice: Choice,
    pub(crate) step: Step,
    /// What the step has found; 0 for a kill.
    pub(crate) found: u32,
    /// The words after it.
    pub(crate) words: Vec<u32>,
}

/// The choices from the beginning on: `1` and `2` for a step, `k` for the kill.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Schedule(pub(crate) Vec<Choice>);

impl Process {
    /// Forks process 0 or 1, and waits until it stands before its first step.
    fn start(
        number: usize,
        page: &Page,
        play: &dyn Fn(usize) -> Answer,
        terminal: &mut Terminal,
    ) -> Result<Self, Stop> {
        let scheduler = getpid();
        let child = start_child(terminal, |_| {
            // prctl(2), PR_SET_PDEATHSIG: a killed scheduler must not leave processes behind. It may
            // have been killed before the call.
            let _ = set_pdeathsig(Signal::SIGKILL);
            if getppid() == scheduler {
                // The scheduler's hook would restore the terminal, which is not ours.
                drop(std::panic::take_hook());
                atomic::run(number, || play(number));
            }
            Ok(())
        })?;
        let pid = child.pid();
        let mut process = Self { child: Some(child), pid, state: State::Done(Answer::Nothing) };
        process.listen(number, page, terminal)?;
        Ok(process)
    }

    /// Waits until the process stands before its next step, or is done, and returns what its last
    /// step has found.
    fn listen(&mut self, number: usize, page: &Page, terminal: &mut Terminal) -> Result<u32, Stop> {
        loop {
            if let Some((message, found)) = page.listen(number) {
                self.state = match message {
                    Message::Before(step) => State::Before(step),
                    Message::Done(answer) => State::Done(answer),
                };
                return Ok(found);
            }
            if let Some(child) = &mut self.child {
                child.is_running()?;
            }
            // Whatever holds it up: the person may have had enough.
            terminal.pause(Duration::ZERO)?;
        }
    }
}

impl Run {
    /// Makes a page with the words, and forks two processes that stop before their first access.
    pub(crate) fn start(version: &'static Version, terminal: &mut Terminal) -> Result<Self, Stop> {
        let page = Rc::new(Page::new()?);
        atomic::use_page(Rc::clone(&page), version.sources);
        let play = (version.play)();
        let processes = [
            Process::start(0, &page, &*play, terminal)?,
            Process::start(1, &page, &*play, terminal)?,
        ];
        let mut run = Self { version, processes, page, start: Vec::new(), taken: Vec::new() };
        run.start = run.words();
        Ok(run)
    }

    /// A run that has gone through `schedule`.
    ///
    /// # Errors
    ///
    /// Refused if a step of it is not possible.
    pub(crate) fn replay(
        version: &'static Version,
        schedule: &Schedule,
        terminal: &mut Terminal,
    ) -> Result<Self, Stop> {
        let mut run = Self::start(version, terminal)?;
        for choice in &schedule.0 {
            run.take(*choice, terminal)?;
        }
        Ok(run)
    }

    pub(crate) fn pid(&self, process: usize) -> Pid {
        self.processes[process].pid
    }

    pub(crate) fn state(&self, process: usize) -> State {
        self.processes[process].state
    }

    /// The words of the scenario now.
    pub(crate) fn words(&self) -> Vec<u32> {
        self.page.values(self.version.words.len())
    }

    pub(crate) fn schedule(&self) -> Schedule {
        Schedule(self.taken.iter().map(|it| it.choice).collect())
    }

    /// Whether the process waits for a word to change.
    pub(crate) fn waits(&self, process: usize) -> bool {
        let words = self.words();
        let is = |word: u32, seen: u32| {
            usize::try_from(word).ok().and_then(|it| words.get(it)) == Some(&seen)
        };
        match self.state(process) {
            State::Before(Step { action: Action::Wait { word, seen }, .. }) => is(word, seen),
            State::Before(Step { action: Action::WaitBoth { words, seen }, .. }) => {
                is(words[0], seen[0]) && is(words[1], seen[1])
            }
            _ => false,
        }
    }

    /// Why `choice` is not possible now; `None` if it is.
    pub(crate) fn objection(&self, choice: Choice) -> Option<String> {
        let (process, verb) = match choice {
            Choice::Step(process) => (process, "take a step"),
            Choice::Kill if !self.version.mortal => {
                return Some("nobody is killed in this scenario".into());
            }
            Choice::Kill => (0, "be killed"),
        };
        let name = process + 1;
        match self.state(process) {
            State::Done(_) => Some(format!("process {name} is done: it cannot {verb}")),
            State::Killed(_) => Some(format!("process {name} is dead: it cannot {verb}")),
            State::Before(step) if choice == Choice::Step(process) && self.waits(process) => {
                let wait = self.version.will(step.action).replacen("wait", "waits", 1);
                Some(format!("process {name} {wait}: let the other go on"))
            }
            State::Before(_) => None,
        }
    }

    /// What is possible now.
    pub(crate) fn choices(&self) -> Vec<Choice> {
        let all = [Choice::Step(0), Choice::Step(1), Choice::Kill];
        all.into_iter().filter(|it| self.objection(*it).is_none()).collect()
    }

    /// Lets a process take its next step, or kills it.
    ///
    /// # Errors
    ///
    /// Refused if that is not possible now.
    pub(crate) fn take(&mut self, choice: Choice, terminal: &mut Terminal) -> Result<(), Stop> {
        if let Some(objection) = self.objection(choice) {
            let object = format!("step {} ({choice})", self.taken.len() + 1);
            let help = "the lines above show how far it has gone: change what comes next";
            let error = Error::refused("schedule", object, Refusal::Other(objection));
            return Err(Stop::because(error, help));
        }
        let process = match choice {
            Choice::Step(process) => process,
            Choice::Kill => 0,
        };
        let State::Before(step) = self.state(process) else { unreachable!("an objection says so") };
        let found = if choice == Choice::Kill {
            // kill(2), SIGKILL, and waitpid(2): that is what dropping a child does.
            self.processes[process].child = None;
            self.processes[process].state = State::Killed(step);
            0
        } else {
            self.page.go(process);
            self.processes[process].listen(process, &self.page, terminal)?
        };
        self.taken.push(Taken { choice, step, found, words: self.words() });
        Ok(())
    }

    /// Looks whether somebody else has killed process 0, as with kill(1) from another terminal. Where
    /// the scenario allows it, that is as good as [`Choice::Kill`].
    pub(crate) fn notice_kill(&mut self) {
        let State::Before(step) = self.state(0) else { return };
        let Some(child) = &mut self.processes[0].child else { return };
        if self.version.mortal && child.is_running().is_err() {
            self.processes[0].child = None;
            self.processes[0].state = State::Killed(step);
            let words = self.words();
            self.taken.push(Taken { choice: Choice::Kill, step, found: 0, words });
        }
    }

    /// What has come of it, once nobody can take a step any more.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        if self.choices().iter().any(|it| matches!(it, Choice::Step(_))) {
            return None;
        }
        let answer = |process| match self.state(process) {
            State::Done(answer) => Some(answer),
            _ => None,
        };
        let end = End {
            words: self.words(),
            answers: [answer(0), answer(1)],
            stuck: (0..2).any(|it| self.waits(it)),
        };
        Some((self.version.check)(&end))
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(process) => write!(f, "{}", process + 1),
            Self::Kill => f.write_str("k"),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|choice| choice.fmt(f))
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let choices = text.chars().filter(|it| !it.is_whitespace()).map(|it| match it {
            '1' => Ok(Choice::Step(0)),
            '2' => Ok(Choice::Step(1)),
            'k' => Ok(Choice::Kill),
            _ => Err(format!("{it:?} is no step: write 1 or 2 for a process, k for the kill")),
        });
        choices.collect::<Result<_, _>>().map(Self)
    }
}
