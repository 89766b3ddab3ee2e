//! The whole screen: looks, keys, and what they do.

use std::io;
use std::time::{Duration, Instant};

use common::Error;
use common::error::errno_of;
use nix::sys::signal::Signal;
use ratatui::DefaultTerminal;
use terminal::args::human;
use terminal::keyboard::{Keyboard, Keypress};
use terminal::{Stop, Terminal};

use crate::demo::Demo;
use crate::memory::Memory;
use crate::overview::Overview;
use crate::picture;
use crate::state::State;

/// How to run without a terminal.
const WITHOUT: &str = "with --once no terminal is needed";

/// Which page the screen shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Picture,
    Overview,
    Help,
}

/// What the person has chosen.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) page: Page,
    /// Where help leads back to.
    before: Page,
    pub(crate) is_paused: bool,
    pub(crate) follows: bool,
    pub(crate) interval: Duration,
    /// The lines of the overview, and the first that is shown.
    pub(crate) overview: Vec<String>,
    pub(crate) first_line: usize,
    next_overview: Instant,
    is_new: bool,
}

/// Looks and shows until the person has had enough.
pub(crate) fn watch(
    state: &mut State,
    page: Page,
    interval: Duration,
    mut demo: Option<&mut Demo>,
    terminal: &mut Terminal,
) -> Result<(), Stop> {
    let now = Instant::now();
    let mut view = View {
        page,
        before: page,
        is_paused: false,
        follows: false,
        interval,
        overview: Vec::new(),
        first_line: 0,
        next_overview: now,
        is_new: true,
    };
    let mut screen = Screen::new()?;
    let mut keyboard = Keyboard::new(WITHOUT);
    let mut next_look = now;
    loop {
        if let Some(demo) = &mut demo {
            demo.reap();
        }
        if Instant::now() >= next_look && !view.is_paused {
            state.look();
            next_look = Instant::now() + interval;
            view.refresh();
        }
        screen.draw_if_new(state, &mut view)?;
        let patience = match view.is_paused {
            // Short enough for a window that changes its size.
            true => Duration::from_millis(200),
            false => {
                next_look.saturating_duration_since(Instant::now()).min(Duration::from_millis(200))
            }
        };
        let patience = match view.follows && !view.is_paused && sleep(state, patience) {
            true => {
                // Even if somebody stores all the time, there is a pause.
                next_look = next_look.min(Instant::now() + Duration::from_millis(10));
                Duration::ZERO
            }
            false if view.follows && is_segment(state) => Duration::ZERO,
            false => patience,
        };
        if let Some(key) = keyboard.next(patience, terminal)?
            && !view.key(key, state)?
        {
            return Ok(());
        }
    }
}

fn is_segment(state: &State) -> bool {
    matches!(state.memory, Some(Memory::Segment(_)))
}

/// Sleeps on the first word, but for no longer than a key may wait. Returns whether it has changed.
fn sleep(state: &State, patience: Duration) -> bool {
    let (Some(memory), Some(loaded)) = (&state.memory, &state.loaded) else { return false };
    memory.wait_for_change(loaded, patience.min(Duration::from_millis(50))).unwrap_or(false)
}

/// The whole terminal, in raw mode. Dropping it gives the terminal back as it was, and so does a panic.
struct Screen {
    terminal: DefaultTerminal,
    size: ratatui::layout::Size,
}

impl Screen {
    fn new() -> Result<Self, Stop> {
        let terminal = ratatui::try_init().map_err(|error| failed(&error))?;
        Ok(Self { terminal, size: ratatui::layout::Size::default() })
    }

    /// Draws, if anything is another than the last time: what is not drawn costs nothing.
    fn draw_if_new(&mut self, state: &mut State, view: &mut View) -> Result<(), Stop> {
        let size = self.terminal.size().map_err(|error| failed(&error))?;
        let is_new = std::mem::take(&mut state.is_new) | std::mem::take(&mut view.is_new);
        if !is_new && size == self.size {
            return Ok(());
        }
        self.size = size;
        let drawn = self.terminal.draw(|frame| picture::draw(frame, state, view));
        drawn.map_err(|error| failed(&error))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // If the terminal has gone, there is nothing to give back.
        let _ = ratatui::try_restore();
    }
}

fn failed(error: &io::Error) -> Stop {
    Stop::because(Error::new("write", "the terminal", errno_of(error)), WITHOUT)
}

impl View {
    /// Takes a new overview now and then: at most a hundredth of the time.
    fn refresh(&mut self) {
        if self.page == Page::Overview && Instant::now() >= self.next_overview {
            let overview = Overview::take();
            let pause = Duration::from_secs(1).max(overview.cost * 100);
            self.next_overview = Instant::now() + pause;
            let lines = overview.lines();
            self.is_new |= lines != self.overview;
            self.overview = lines;
        }
    }

    /// How it looks, for the title.
    pub(crate) fn mode(&self, state: &State) -> String {
        match (self.is_paused, self.follows) {
            (true, _) => "PAUSED".into(),
            (_, true) if is_segment(state) => "follows: sleeps on the first word (futex)".into(),
            (_, true) => format!("polls every {}: a file has no futex here", human(self.interval)),
            _ => format!("looks every {}", human(self.interval)),
        }
    }

    /// Does what the key says. Returns whether to go on.
    fn key(&mut self, key: Keypress, state: &mut State) -> Result<bool, Stop> {
        self.is_new = true;
        let screenful = isize::try_from(state.rows.max(2)).unwrap_or(8) - 1;
        match key {
            Keypress::Interrupt => return Err(Stop::Signal(Signal::SIGINT)),
            _ if self.page == Page::Help => self.page = self.before,
            Keypress::Char('q') | Keypress::Escape => return Ok(false),
            Keypress::Char('?' | 'h') => (self.before, self.page) = (self.page, Page::Help),
            Keypress::Char('p' | ' ') => self.is_paused = !self.is_paused,
            Keypress::Char('f') => self.follows = !self.follows,
            Keypress::Char('o') if self.page == Page::Overview => self.page = Page::Picture,
            Keypress::Char('o') => {
                (self.page, self.first_line, self.next_overview) =
                    (Page::Overview, 0, Instant::now());
                self.refresh();
            }
            Keypress::Left => state.choose(false),
            Keypress::Right => state.choose(true),
            Keypress::Up => self.scroll(state, -1),
            Keypress::Down => self.scroll(state, 1),
            Keypress::PageUp => self.scroll(state, -screenful),
            Keypress::PageDown => self.scroll(state, screenful),
            _ => {}
        }
        Ok(true)
    }

    fn scroll(&mut self, state: &mut State, by: isize) {
        match self.page {
            Page::Overview => self.first_line = self.first_line.saturating_add_signed(by),
            _ => state.scroll(by),
        }
    }
}
