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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::record::record;
    use crate::{mutex, none, posix_semaphore, record_lock, rwlock, semaphore, seqlock, two_slots};

    fn hands_on<M: Mechanism>() {
        let mechanism = M::new().expect(M::NAME);
        let pauses = Cell::new(0);
        let publish = || mechanism.publish(&record(7), || pauses.set(pauses.get() + 1));
        let seen = [mechanism.snapshot(), publish().and_then(|()| mechanism.snapshot())];
        mechanism.remove().expect(M::NAME);
        assert_eq!(seen, [Ok(Some(record(0))), Ok(Some(record(7)))], "{}", M::NAME);
        assert_eq!(pauses.get(), 1, "{} has one middle", M::NAME);
    }

    #[test]
    fn what_is_published_is_handed_on() {
        hands_on::<none::Unguarded>();
        hands_on::<posix_semaphore::ByPosixSemaphore>();
        hands_on::<rwlock::ByRwLock>();
        hands_on::<semaphore::BySemaphore>();
        hands_on::<record_lock::ByRecordLock>();
        hands_on::<mutex::ByMutex>();
        hands_on::<seqlock::Versioned>();
        hands_on::<two_slots::Doubled>();
    }
}
