//! The keys that the person presses, one by one.
//!
//! Not with crossterm's events: they read(2) where no signal ends the wait, and they never return once
//! the terminal has gone (version 0.29).

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use common::{Error, Refusal};
use nix::unistd::read;

use crate::person::Terminal;
use crate::stop::Stop;

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keypress {
    /// A printable ASCII character.
    Char(char),
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// Page Up.
    PageUp,
    /// Page Down.
    PageDown,
    /// Enter.
    Enter,
    /// Backspace.
    Backspace,
    /// Escape.
    Escape,
    /// Ctrl-C: in raw mode the terminal makes no signal of it.
    Interrupt,
    /// One that means nothing here.
    Other,
}

/// Stdin, in raw mode.
#[derive(Debug)]
pub struct Keyboard {
    /// What to say if the terminal has gone: how the program runs without one.
    without: &'static str,
    /// What has been typed ahead.
    typed: VecDeque<u8>,
}

impl Keyboard {
    /// The keyboard of a terminal that is in raw mode already. `without` is one sentence, without a full
    /// stop, that tells a person how the program runs without a terminal.
    #[must_use]
    pub fn new(without: &'static str) -> Self {
        Self { without, typed: VecDeque::new() }
    }

    /// The next key, if one comes before `patience` is over.
    ///
    /// # Errors
    ///
    /// [`Stop::Signal`] as soon as a signal asks this process to end; refused if the terminal has gone.
    pub fn next(
        &mut self,
        patience: Duration,
        terminal: &mut Terminal,
    ) -> Result<Option<Keypress>, Stop> {
        if self.typed.is_empty() {
            if !terminal.wait_for_input(patience)? {
                return Ok(None);
            }
            let mut bytes = [0; 64];
            let length = read(io::stdin(), &mut bytes).unwrap_or(0);
            if length == 0 {
                let refusal = Refusal::Other("it has gone".into());
                return Err(Stop::because(
                    Error::refused("read", "the terminal", refusal),
                    self.without,
                ));
            }
            self.typed.extend(&bytes[..length]);
        }
        Ok(self.parse())
    }

    fn parse(&mut self) -> Option<Keypress> {
        Some(match self.typed.pop_front()? {
            0x03 => Keypress::Interrupt,
            b'\r' | b'\n' => Keypress::Enter,
            0x08 | 0x7f => Keypress::Backspace,
            0x1b => self.parse_escape(),
            byte if byte.is_ascii_graphic() || byte == b' ' => Keypress::Char(byte.into()),
            _ => Keypress::Other,
        })
    }

    /// What follows an escape character at once is a sequence of console_codes(4): a letter ends it.
    fn parse_escape(&mut self) -> Keypress {
        if !matches!(self.typed.front(), Some(b'[' | b'O')) {
            return Keypress::Escape;
        }
        self.typed.pop_front();
        let mut number = None;
        loop {
            match self.typed.pop_front() {
                Some(b'A') => return Keypress::Up,
                Some(b'B') => return Keypress::Down,
                Some(b'C') => return Keypress::Right,
                Some(b'D') => return Keypress::Left,
                Some(b'~') if number == Some(b'5') => return Keypress::PageUp,
                Some(b'~') if number == Some(b'6') => return Keypress::PageDown,
                Some(digit @ (b'0'..=b'9' | b';')) => number = Some(digit),
                _ => return Keypress::Other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        let mut keyboard = Keyboard::new("");
        keyboard.typed.extend(b"1\x1b[D\x1bOC\x1b[5~\x1b[6~\x1b[3~\x1b[1;5A\r\x7f\x03\xc3\xa9\x1b");
        let keys: Vec<_> = std::iter::from_fn(|| keyboard.parse()).collect();
        let expected = [
            Keypress::Char('1'),
            Keypress::Left,
            Keypress::Right,
            Keypress::PageUp,
            Keypress::PageDown,
            Keypress::Other,
            Keypress::Up,
            Keypress::Enter,
            Keypress::Backspace,
            Keypress::Interrupt,
            Keypress::Other,
            Keypress::Other,
            Keypress::Escape,
        ];
        assert_eq!(keys, expected);
    }
}
