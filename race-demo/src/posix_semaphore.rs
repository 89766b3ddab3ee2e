//! A POSIX semaphore, which lies in the shared memory, around every store and every load.

use common::mapping::Mapping;
use common::sync::posix_semaphore::PosixSemaphore;
use common::{ConnStat, Error, ReadWrite, SharedConnStat};

use crate::mechanism::Mechanism;
use crate::record::record;

/// The record, and a semaphore beside it.
pub(crate) struct ByPosixSemaphore {
    shared: Mapping<SharedConnStat, ReadWrite>,
    semaphore: PosixSemaphore,
}

impl Mechanism for ByPosixSemaphore {
    const NAME: &'static str = "posix-semaphore";

    fn new() -> Result<Self, Error> {
        let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous()?;
        shared.writer().store(&record(0));
        Ok(Self { shared, semaphore: PosixSemaphore::anonymous()? })
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
        // Nothing tells who holds the semaphore, or that its holder is dead: a sem_post(3) on
        // suspicion would let two in at once.
        Ok(())
    }
}
