//! The game on the full screen: keys, and what they do.

use std::io;
use std::time::{Duration, Instant};

use common::Error;
use common::error::errno_of;
use nix::sys::signal::Signal;
use ratatui::DefaultTerminal;
use terminal::keyboard::{Keyboard, Keypress};
use terminal::{Stop, Terminal};

use crate::run::{Choice, Run, Schedule};
use crate::scenario::{Scenario, Version};
use crate::scenarios::ALL;
use crate::screen;
use crate::search::{Findings, MOST_SCHEDULES, Search};

/// What the screen shows.
pub(crate) enum View {
    /// The list of scenarios, and which of them is chosen.
    Menu(usize),
    Game(Box<Game>),
}

/// A scenario that is being played.
pub(crate) struct Game {
    pub(crate) scenario: &'static Scenario,
    pub(crate) cure: bool,
    pub(crate) run: Run,
    /// Why the last key did nothing.
    pub(crate) objection: Option<String>,
    pub(crate) popup: Option<Popup>,
}

/// What lies over the game.
pub(crate) enum Popup {
    Explanation,
    Searching(Search),
    Found(Findings),
}

/// How to run without a terminal.
const WITHOUT: &str = "with --schedule or --search no terminal is needed";

/// Whether to go on.
enum Next {
    GoOn,
    Show(View),
    Quit,
}

/// Plays `scenario`, or first lets the person choose one, until the person has had enough.
pub(crate) fn play(
    scenario: Option<&'static Scenario>,
    cure: bool,
    terminal: &mut Terminal,
) -> Result<(), Stop> {
    let mut view = match scenario {
        None => View::Menu(0),
        Some(scenario) => View::game(scenario, cure, terminal)?,
    };
    let mut screen = Screen::new()?;
    let mut keyboard = Keyboard::new(WITHOUT);
    loop {
        if let View::Game(game) = &mut view {
            game.run.notice_kill();
        }
        screen.draw(&view)?;
        let patience = match &mut view {
            View::Game(game) if game.is_searching() => {
                game.search(terminal)?;
                Duration::ZERO
            }
            // Long enough to be calm, short enough for a window that changes its size.
            _ => Duration::from_millis(200),
        };
        let next = match keyboard.next(patience, terminal)? {
            Some(key) => view.key(key, terminal)?,
            None => Next::GoOn,
        };
        match next {
            Next::GoOn => {}
            Next::Show(other) => view = other,
            Next::Quit => return Ok(()),
        }
    }
}

/// The whole terminal, in raw mode. Dropping it gives the terminal back as it was, and so does a
/// panic.
struct Screen(DefaultTerminal);

impl Screen {
    fn new() -> Result<Self, Stop> {
        ratatui::try_init().map(Self).map_err(|error| failed(&error))
    }

    fn draw(&mut self, view: &View) -> Result<(), Stop> {
        self.0.draw(|frame| screen::draw(frame, view)).map_err(|error| failed(&error))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn failed(error: &io::Error) -> Stop {
    Stop::because(Error::new("write", "the terminal", errno_of(error)), WITHOUT)
}

impl View {
    fn game(
        scenario: &'static Scenario,
        cure: bool,
        terminal: &mut Terminal,
    ) -> Result<Self, Stop> {
        let run = Run::start(scenario.version(cure), terminal)?;
        Ok(Self::Game(Box::new(Game { scenario, cure, run, objection: None, popup: None })))
    }

    fn key(&mut self, key: Keypress, terminal: &mut Terminal) -> Result<Next, Stop> {
        if key == Keypress::Interrupt {
            return Err(Stop::Signal(Signal::SIGINT));
        }
        match self {
            Self::Menu(chosen) => {
                match key {
                    Keypress::Up => *chosen = chosen.checked_sub(1).unwrap_or(ALL.len() - 1),
                    Keypress::Down => *chosen = (*chosen + 1) % ALL.len(),
                    Keypress::Enter => {
                        return Ok(Next::Show(Self::game(ALL[*chosen], false, terminal)?));
                    }
                    Keypress::Char('q') | Keypress::Escape => return Ok(Next::Quit),
                    _ => {}
                }
                Ok(Next::GoOn)
            }
            Self::Game(game) => game.key(key, terminal),
        }
    }
}

impl Game {
    pub(crate) fn version(&self) -> &'static Version {
        self.run.version
    }

    fn key(&mut self, key: Keypress, terminal: &mut Terminal) -> Result<Next, Stop> {
        self.objection = None;
        match self.popup.take() {
            None => {}
            // A key ends the search; what it has found so far is shown.
            Some(Popup::Searching(search)) => {
                self.popup = Some(Popup::Found(search.findings));
                return Ok(Next::GoOn);
            }
            Some(Popup::Found(Findings { shortest: Some(shortest), .. }))
                if key == Keypress::Char('p') =>
            {
                self.replay(&shortest, terminal)?;
                return Ok(Next::GoOn);
            }
            Some(_) => return Ok(Next::GoOn),
        }
        match key {
            Keypress::Char('1') | Keypress::Left => self.take(Choice::Step(0), terminal)?,
            Keypress::Char('2') | Keypress::Right => self.take(Choice::Step(1), terminal)?,
            Keypress::Char('k') => self.take(Choice::Kill, terminal)?,
            Keypress::Char('u') | Keypress::Backspace => {
                let mut schedule = self.run.schedule();
                schedule.0.pop();
                self.replay(&schedule, terminal)?;
            }
            Keypress::Char('r') => self.replay(&Schedule::default(), terminal)?,
            Keypress::Char('c') if self.scenario.wrong.is_some() => {
                return Ok(Next::Show(View::game(self.scenario, !self.cure, terminal)?));
            }
            Keypress::Char('n') => {
                let next = ALL[(self.position() + 1) % ALL.len()];
                return Ok(Next::Show(View::game(next, false, terminal)?));
            }
            Keypress::Char('m') => return Ok(Next::Show(View::Menu(self.position()))),
            Keypress::Char('s') => self.popup = Some(Popup::Searching(Search::new(self.version()))),
            Keypress::Char('?' | 'h') => self.popup = Some(Popup::Explanation),
            Keypress::Char('q') | Keypress::Escape => return Ok(Next::Quit),
            _ => {}
        }
        Ok(Next::GoOn)
    }

    fn position(&self) -> usize {
        ALL.iter().position(|it| std::ptr::eq(*it, self.scenario)).unwrap_or(0)
    }

    fn take(&mut self, choice: Choice, terminal: &mut Terminal) -> Result<(), Stop> {
        self.objection = self.run.objection(choice);
        if self.objection.is_none() {
            self.run.take(choice, terminal)?;
        }
        Ok(())
    }

    fn replay(&mut self, schedule: &Schedule, terminal: &mut Terminal) -> Result<(), Stop> {
        self.run = Run::replay(self.version(), schedule, terminal)?;
        Ok(())
    }

    /// Whether this is the version that goes wrong.
    pub(crate) fn is_wrong(&self) -> bool {
        !self.cure && self.scenario.wrong.is_some()
    }

    fn is_searching(&self) -> bool {
        matches!(self.popup, Some(Popup::Searching(_)))
    }

    /// Searches for a moment.
    fn search(&mut self, terminal: &mut Terminal) -> Result<(), Stop> {
        const MOMENT: Duration = Duration::from_millis(50);
        let Some(Popup::Searching(mut search)) = self.popup.take() else { return Ok(()) };
        let start = Instant::now();
        let mut ended = false;
        while !ended && start.elapsed() < MOMENT {
            search.advance(terminal)?;
            ended = search.findings.complete || search.findings.schedules == MOST_SCHEDULES;
        }
        self.popup = Some(match ended {
            true => Popup::Found(search.findings),
            false => Popup::Searching(search),
        });
        Ok(())
    }
}
