//! What a mechanism must do; each does it in a file of its own.

use common::{ConnStat, Error};

/// A way to hand records from one writer to any number of readers.
pub(crate) trait Mechanism: Sized {
    /// Its name in the table.
    const NAME: &'static str;

    /// Makes the shared memory, with the first record in it, before anybody forks.
    fn new() -> Result<Self, Error>;

    /// Publishes a record, and calls `halfway` when a part of it is stored. Only the writer calls it.
    fn publish(&self, stat: &ConnStat, halfway: impl Fn()) -> Result<(), Error>;

    /// Takes a snapshot; `None` if the mechanism gave up on it.
    fn snapshot(&self) -> Result<Option<ConnStat>, Error>;

    /// What a new writer does before it publishes, in case the last one was killed.
    fn recover(&self) -> Result<(), Error>;

    /// How often somebody noticed that a writer was killed in the middle, and made it good; `None` if
    /// nobody can notice, or nothing needs to be made good.
    fn repairs(&self) -> Option<u64> {
        None
    }

    /// What would outlive the processes, for a person who must remove it by hand.
    fn leaves(&self) -> Option<String> {
        None
    }

    /// Removes what would outlive the processes.
    fn remove(&self) -> Result<(), Error> {
        Ok(())
    }
}
