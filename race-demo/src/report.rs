//! The results, each as soon as it is there: tables for people, or JSON for programs.

use clap::ValueEnum;
use common::Error;
use nix::errno::Errno;
use serde::Serialize;
use terminal::args::human;
use terminal::data;
use terminal::{Stop, Terminal};

use crate::contest::{Contest, End, Row};
use crate::lost_update::Count;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
}

/// What is printed, piece by piece.
pub(crate) struct Report {
    format: Format,
    /// Whether the next entry of a JSON array is its first.
    first: bool,
    /// What is still needed to make the JSON whole.
    missing: &'static str,
}

impl Report {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, first: true, missing: "" }
    }

    /// The counts come now.
    pub(crate) fn counts(&mut self, terminal: &mut Terminal) -> Result<(), Stop> {
        match self.format {
            Format::Json => {
                self.missing = r#"], "mechanisms": []}"#;
                data!(terminal, r#"{{"counts": ["#)
            }
            Format::Table => {
                data!(terminal, "2 writers, 1 number          wanted        found         lost")
            }
        }
    }

    pub(crate) fn count(&mut self, count: &Count, terminal: &mut Terminal) -> Result<(), Stop> {
        let Count { way, wanted, found, lost, .. } = count;
        match self.format {
            Format::Json => self.entry(count, terminal),
            Format::Table => data!(terminal, "{way:<20} {wanted:>14} {found:>12} {lost:>12}"),
        }
    }

    /// The mechanisms come now; `alone` if no counts have come before.
    pub(crate) fn mechanisms(
        &mut self,
        contest: &Contest,
        alone: bool,
        terminal: &mut Terminal,
    ) -> Result<(), Stop> {
        let Contest { readers, time, kills, within } = contest;
        match self.format {
            Format::Json => {
                self.missing = "]}";
                self.first = true;
                let start = if alone { r#"{"counts": ["# } else { "" };
                data!(terminal, r#"{start}], "mechanisms": ["#)
            }
            Format::Table => {
                if !alone {
                    data!(terminal, "")?;
                }
                let (time, within) = (human(*time), human(*within));
                data!(
                    terminal,
                    "1 writer, {readers} readers: {time} undisturbed, then up to {kills} x kill -9 in {within}"
                )?;
                data!(
                    terminal,
                    "mechanism        published/s  snapshots/s      torn | kills survived      torn repaired  in the end"
                )
            }
        }
    }

    pub(crate) fn row(&mut self, row: &Row, terminal: &mut Terminal) -> Result<(), Stop> {
        match self.format {
            Format::Json => self.entry(row, terminal),
            Format::Table => data!(
                terminal,
                "{:<15} {:>12.0} {:>12.0} {:>9} | {:>5} {:>8} {:>9} {:>8}  {}",
                row.mechanism,
                row.published_per_s,
                row.snapshots_per_s,
                row.torn,
                row.kills,
                row.survived,
                row.torn_after_kill,
                row.repaired.map_or("-".into(), |it| it.to_string()),
                in_the_end(row),
            ),
        }
    }

    /// Makes the JSON whole, also after Ctrl-C.
    pub(crate) fn end(&self, terminal: &mut Terminal) {
        if !self.missing.is_empty() {
            terminal.print_last(self.missing);
        }
    }

    fn entry(&mut self, entry: &impl Serialize, terminal: &mut Terminal) -> Result<(), Stop> {
        let comma = if self.first { "" } else { "," };
        self.first = false;
        let json = serde_json::to_string(entry)
            .map_err(|error| Error::new("serde_json", error, Errno::EINVAL))?;
        data!(terminal, "{comma}{json}")
    }
}

fn in_the_end(row: &Row) -> String {
    let end = match row.end {
        End::Survived if row.kills < row.kills_wanted => "survived, time was over",
        End::Survived => "survived",
        End::Hung => "hung",
        End::Starved => "starved",
    };
    match row.starved {
        0 => end.into(),
        number => format!("{end}; undisturbed, {number} starved"),
    }
}
