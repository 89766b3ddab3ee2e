//! A record lock of fcntl(2) around every store and every load.

use std::cell::RefCell;

use common::mapping::Mapping;
use common::sync::record_lock::RecordLock;
use common::{ConnStat, Error, ReadWrite, SharedConnStat};

use crate::mechanism::Mechanism;
use crate::record::record;

/// The record, and a file beside it that is there to be locked.
pub(crate) struct ByRecordLock {
    shared: Mapping<SharedConnStat, ReadWrite>,
    lock: RefCell<RecordLock>,
}

impl Mechanism for ByRecordLock {
    const NAME: &'static str = "record-lock";

    fn new() -> Result<Self, Error> {
        let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous()?;
        shared.writer().store(&record(0));
        Ok(Self { shared, lock: RefCell::new(RecordLock::anonymous()?) })
    }

    fn publish(&self, stat: &ConnStat, halfway: impl Fn()) -> Result<(), Error> {
        let mut lock = self.lock.borrow_mut();
        let _held = lock.lock()?;
        self.shared.writer().store_ip(stat);
        halfway();
        self.shared.writer().store_count(stat);
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<ConnStat>, Error> {
        let mut lock = self.lock.borrow_mut();
        let _held = lock.lock()?;
        Ok(Some(self.shared.load()))
    }

    fn recover(&self) -> Result<(), Error> {
        // The kernel has closed a killed holder's files, and with them freed its lock, without a
        // word: nobody can know whether the record is whole.
        Ok(())
    }
}
