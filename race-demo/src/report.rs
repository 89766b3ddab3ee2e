//! The results, as a table or as JSON.

use common::Error;
use nix::errno::Errno;
use terminal::data;
use terminal::{Stop, Terminal};

use crate::contest::Row;

/// Prints the rows for people.
pub(crate) fn table(rows: &[Row], kills: u32, terminal: &mut Terminal) -> Result<(), Stop> {
    data!(terminal, "mechanism  published/s  snapshots/s       torn  after {kills} x kill -9")?;
    for row in rows {
        data!(
            terminal,
            "{:<9} {:>12.0} {:>12.0} {:>10}  {} survived, {} torn{}",
            row.mechanism,
            row.published_per_s,
            row.snapshots_per_s,
            row.torn,
            row.survived,
            row.torn_after_kill,
            row.remark,
        )?;
    }
    Ok(())
}

/// The rows for programs.
pub(crate) fn json(rows: &[Row]) -> Result<String, Error> {
    serde_json::to_string_pretty(rows)
        .map_err(|error| Error::new("serde_json", error, Errno::EINVAL))
}
