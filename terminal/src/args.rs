//! Arguments that several programs have.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use common::sysv::Key;
use common::{Error, Refusal};

use crate::stop::Stop;

/// Which key both programs of a System V pair use.
#[derive(Debug, Clone, clap::Args)]
pub struct KeyArgs {
    /// Key that names the segment: decimal, 0x and hexadecimal, or `private` (writer only)
    #[arg(short, long, default_value = "1234", conflicts_with = "ftok")]
    key: Key,

    /// Derive the key from this file's device and inode number, as ftok(3) does
    #[arg(long, value_name = "PATH")]
    ftok: Option<PathBuf>,

    /// Project id for --ftok: the same file gives another key for each [1 to 255]
    #[arg(long, value_name = "N", default_value_t = 1, requires = "ftok")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    proj_id: u8,
}

impl KeyArgs {
    /// The key, from ftok(3) if the arguments name a file.
    ///
    /// # Errors
    ///
    /// Those of [`Key::ftok`].
    pub fn key(&self) -> Result<Key, Error> {
        match &self.ftok {
            Some(path) => Key::ftok(path, self.proj_id),
            None => Ok(self.key),
        }
    }

    /// The key, for a program that looks for what another one has made.
    ///
    /// # Errors
    ///
    /// Those of [`Key::ftok`]; refused for `private`, by which nothing can be found.
    pub fn key_to_find(&self) -> Result<Key, Stop> {
        match self.key()? {
            Key::Private => {
                let refusal = Refusal::Other("a private segment has no key to find it by".into());
                let error = Error::refused("shmget", Key::Private, refusal);
                let help = "read it by its shmid, which the writer prints: --id SHMID";
                Err(Stop::because(error, help))
            }
            key => Ok(key),
        }
    }
}

/// How a reader looks at the record.
#[derive(Debug, Clone, clap::Args)]
pub struct LookArgs {
    /// How many times to look [default: 10, with --follow until the writer has gone]
    #[arg(short = 'n', long)]
    pub(crate) ticks: Option<u32>,

    /// Pause after each look, such as 1s, 10ms or 0s
    #[arg(short, long, default_value = "1s", value_parser = duration)]
    pub interval: Duration,

    /// Show each change as it happens, and sleep in between
    #[arg(short, long)]
    pub follow: bool,
}

impl LookArgs {
    /// How many times to look.
    #[must_use]
    pub fn ticks(&self) -> u32 {
        self.ticks.unwrap_or(if self.follow { u32::MAX } else { 10 })
    }
}

/// Permission bits as an argument: octal, such as `0600`.
#[derive(Debug, Clone, Copy)]
pub struct Mode(pub u32);

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        // Not "+600", which from_str_radix takes.
        let octal = digits.bytes().all(|it| it.is_ascii_digit());
        match u32::from_str_radix(digits, 8) {
            Ok(mode @ 0..=0o777) if octal => Ok(Self(mode)),
            _ => Err("a mode is octal, from 0 to 0777, such as 0600".into()),
        }
    }
}

/// Reads a duration such as `1s`, `10ms`, `1m 30s` or `0s`; for clap's `value_parser`.
///
/// # Errors
///
/// What is wrong with it, and an example.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 1s, 10ms or 0s"))
}

/// A duration as a person writes it, such as `1s` or `1s 500ms`.
#[must_use]
pub fn human(duration: Duration) -> impl Display {
    humantime::format_duration(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal() {
        for (text, mode) in [("0600", 0o600), ("640", 0o640), ("0o777", 0o777), ("0", 0)] {
            assert_eq!(text.parse::<Mode>().expect(text).0, mode);
        }
        for wrong in ["", "0o", "+600", "-1", "0o+7", "8", "1000", "0x1ff", "rw"] {
            assert!(wrong.parse::<Mode>().is_err(), "{wrong:?} is a mode");
        }
    }
}
