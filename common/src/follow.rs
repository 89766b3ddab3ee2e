//! Every change of a record as it happens, asleep in between.

use std::time::Duration;

use bytemuck::Zeroable as _;

use crate::cli::{Stop, Terminal};
use crate::conn_stat::{ConnStat, SharedConnStat};
use crate::error::Error;

/// The changes of a record that others write, one after the other.
///
/// A change that is overtaken by the next one before this process has run again is not seen: shared
/// memory holds the present, not the past.
#[derive(Debug)]
pub struct Changes<'a> {
    shared: &'a SharedConnStat,
    last: ConnStat,
}

impl<'a> Changes<'a> {
    /// The changes of `shared` from memory that nobody has written: what is there already, if
    /// anything is, counts as the first.
    #[must_use]
    pub fn of(shared: &'a SharedConnStat) -> Self {
        Self { shared, last: ConnStat::zeroed() }
    }

    /// Sleeps until the record is another than the last time, and returns it; `None` once a writer
    /// has been there and `has_company` says that none is any more.
    ///
    /// A writer that wakes its readers ([`Writer::wake`](crate::Writer::wake)) is seen at once; one
    /// that does not, such as a plain C program, and one that has gone, within `interval`.
    ///
    /// # Errors
    ///
    /// [`Stop::Signal`] as soon as a signal asks this process to end, and what `has_company` says.
    pub fn next(
        &mut self,
        terminal: &mut Terminal,
        interval: Duration,
        has_company: impl Fn() -> Result<bool, Error>,
    ) -> Result<Option<ConnStat>, Stop> {
        loop {
            // First this, then the record: so what the last writer stored before it went is in it.
            let alone = !has_company()?;
            let stat = self.shared.load();
            if stat != self.last {
                self.last = stat;
                return Ok(Some(stat));
            }
            if alone && stat != ConnStat::zeroed() {
                return Ok(None);
            }
            terminal.wait_for_change(self.shared, stat.count, interval)?;
        }
    }
}
