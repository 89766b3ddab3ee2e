//! A System V semaphore around every store and every load.

use common::mapping::Mapping;
use common::sync::semaphore::Semaphore;
use common::sysv::Key;
use common::{ConnStat, Error, ReadWrite, SharedConnStat};

use crate::mechanism::Mechanism;
use crate::record::record;

/// The record, and a semaphore beside it.
pub(crate) struct BySemaphore {
    shared: Mapping<SharedConnStat, ReadWrite>,
    semaphore: Semaphore,
}

impl Mechanism for BySemaphore {
    const NAME: &'static str = "semaphore";

    fn new() -> Result<Self, Error> {
        let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous()?;
        shared.writer().store(&record(0));
        Ok(Self { shared, semaphore: Semaphore::create(Key::Private, 0o600)? })
    }

    fn publish(&self, stat: &ConnStat, halfway: impl Fn()) -> Result<(), Error> {
        let _held = self.semaphore.lock()?;
        self.shared.writer().store_ip(stat);
        halfway();
        self.shared.writer().store_count(stat);
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<ConnStat>, Error> {
        let _held = self.semaphore.lock()?;
        Ok(Some(self.shared.load()))
    }

    fn recover(&self) -> Result<(), Error> {
        // The kernel has given a killed holder's semaphore back (SEM_UNDO), without a word: nobody
        // can know whether the record is whole.
        Ok(())
    }

    fn leaves(&self) -> Option<String> {
        Some(format!("semaphore set {}", self.semaphore.id()))
    }

    fn remove(&self) -> Result<(), Error> {
        self.semaphore.remove()
    }
}
