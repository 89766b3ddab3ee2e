//! A robust mutex around every store and every load.

use common::Counters;
use common::mapping::Mapping;
use common::sync::mutex::{Guard, Lock, Mutex};
use common::{ConnStat, Error, ReadWrite, SharedConnStat};

use crate::mechanism::Mechanism;
use crate::record::record;

/// The record, behind its mutex.
pub(crate) struct ByMutex {
    shared: Mutex<SharedConnStat>,
    repairs: Mapping<Counters<1>, ReadWrite>,
}

impl ByMutex {
    /// Locks the mutex, and repairs the record if the last owner was killed.
    fn lock(&self) -> Result<Guard<'_, SharedConnStat>, Error> {
        match self.shared.lock()? {
            Lock::Clean(guard) => Ok(guard),
            // The record may be half written. Its text follows from its count, so it can be made
            // whole; a real application keeps a copy, or starts again from nothing.
            Lock::OwnerDied(broken) => broken.repair(|shared| {
                shared.store(&record(shared.load().count.cast_unsigned()));
                self.repairs.writer().add_one(0);
            }),
        }
    }
}

impl Mechanism for ByMutex {
    const NAME: &'static str = "mutex";

    fn new() -> Result<Self, Error> {
        let new = Self { shared: Mutex::anonymous()?, repairs: Mapping::anonymous()? };
        new.publish(&record(0), || ())?;
        Ok(new)
    }

    fn publish(&self, stat: &ConnStat, halfway: impl Fn()) -> Result<(), Error> {
        let guard = self.lock()?;
        guard.writer().store_ip(stat);
        halfway();
        guard.writer().store_count(stat);
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<ConnStat>, Error> {
        let guard = self.lock()?;
        Ok(Some(guard.writer().load()))
    }

    fn recover(&self) -> Result<(), Error> {
        // Whoever locks next is told, and repairs: this writer when it publishes, or a reader before.
        Ok(())
    }

    fn repairs(&self) -> Option<u64> {
        Some(self.repairs.get(0))
    }
}
