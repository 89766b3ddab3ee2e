//! A seqlock: readers look again until nothing was published while they looked.

use common::Counters;
use common::mapping::Mapping;
use common::sync::seqlock::SeqLock;
use common::{ConnStat, Error, ReadWrite};

use crate::mechanism::Mechanism;
use crate::record::{WORDS, record};

/// How often a reader tries before it gives up: enough for any writer that pauses now and then.
const TRIES: u32 = 1000;

/// The record's words, behind a sequence number.
pub(crate) struct Versioned {
    shared: Mapping<SeqLock<WORDS>, ReadWrite>,
    repairs: Mapping<Counters<1>, ReadWrite>,
}

impl Mechanism for Versioned {
    const NAME: &'static str = "seqlock";

    fn new() -> Result<Self, Error> {
        let new = Self { shared: Mapping::anonymous()?, repairs: Mapping::anonymous()? };
        new.publish(&record(0), || ())?;
        Ok(new)
    }

    fn publish(&self, stat: &ConnStat, halfway: impl Fn()) -> Result<(), Error> {
        let words: [u32; WORDS] = bytemuck::cast(*stat);
        self.shared.writer().publish_with(|index| {
            if index == WORDS / 2 {
                halfway();
            }
            words[index]
        });
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<ConnStat>, Error> {
        Ok(self.shared.snapshot(TRIES).ok().map(bytemuck::cast))
    }

    fn recover(&self) -> Result<(), Error> {
        // A killed writer may have left the sequence odd, and the readers without a snapshot. The
        // next publication makes it even again: there is nothing more to do than to go on.
        if self.shared.is_publishing() {
            self.repairs.writer().add_one(0);
        }
        Ok(())
    }

    fn repairs(&self) -> Option<u64> {
        Some(self.repairs.get(0))
    }
}
