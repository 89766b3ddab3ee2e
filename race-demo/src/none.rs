//! No mechanism: the record is stored and loaded word by word, and nobody keeps anybody out.
//!
//! There is no undefined behaviour: every word is an atomic. There is a race all the same: a reader
//! may look between two stores, and then gets words of both records.

use common::mapping::Mapping;
use common::{ConnStat, Error, ReadWrite, SharedConnStat};

use crate::mechanism::Mechanism;
use crate::record::record;

/// The record alone.
pub(crate) struct Unguarded {
    shared: Mapping<SharedConnStat, ReadWrite>,
}

impl Mechanism for Unguarded {
    const NAME: &'static str = "none";

    fn new() -> Result<Self, Error> {
        let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous()?;
        shared.writer().store(&record(0));
        Ok(Self { shared })
    }

    fn publish(&self, stat: &ConnStat, halfway: impl Fn()) -> Result<(), Error> {
        self.shared.writer().store_ip(stat);
        halfway();
        self.shared.writer().store_count(stat);
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<ConnStat>, Error> {
        Ok(Some(self.shared.load()))
    }

    fn recover(&self) -> Result<(), Error> {
        // A killed writer leaves half a record, and nothing that would tell.
        Ok(())
    }
}
