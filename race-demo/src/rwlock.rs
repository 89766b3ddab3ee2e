//! A read-write lock: readers look side by side, the writer stores alone.

use common::mapping::Mapping;
use common::sync::rwlock::RwLock;
use common::{ConnStat, Error, ReadWrite, SharedConnStat};

use crate::mechanism::Mechanism;
use crate::record::record;

/// The record, and a lock beside it.
pub(crate) struct ByRwLock {
    shared: Mapping<SharedConnStat, ReadWrite>,
    lock: RwLock,
}

impl Mechanism for ByRwLock {
    const NAME: &'static str = "rwlock";

    fn new() -> Result<Self, Error> {
        let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous()?;
        shared.writer().store(&record(0));
        Ok(Self { shared, lock: RwLock::anonymous()? })
    }

    fn publish(&self, stat: &ConnStat, halfway: impl Fn()) -> Result<(), Error> {
        let _held = self.lock.write()?;
        self.shared.writer().store_ip(stat);
        halfway();
        self.shared.writer().store_count(stat);
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<ConnStat>, Error> {
        let _held = self.lock.read()?;
        Ok(Some(self.shared.load()))
    }

    fn recover(&self) -> Result<(), Error> {
        // There is no robust kind of this lock, as there is of the mutex: nobody can free it.
        Ok(())
    }
}
