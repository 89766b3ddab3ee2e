//! Two slots: the writer fills the one that is not shown, readers look again if they were overtaken.

use common::mapping::Mapping;
use common::sync::two_slots::TwoSlots;
use common::{ConnStat, Error, ReadWrite};

use crate::mechanism::Mechanism;
use crate::record::{WORDS, record};

/// How often a reader tries before it gives up: enough for any writer that pauses now and then.
const TRIES: u32 = 1000;

/// The words of two records, and which one is shown.
pub(crate) struct Doubled {
    shared: Mapping<TwoSlots<WORDS>, ReadWrite>,
}

impl Mechanism for Doubled {
    const NAME: &'static str = "two-slots";

    fn new() -> Result<Self, Error> {
        let new = Self { shared: Mapping::anonymous()? };
        new.publish(&record(0), || ())?;
        Ok(new)
    }

    fn publish(&self, stat: &ConnStat, halfway: impl Fn()) -> Result<(), Error> {
        let words: [u32; WORDS] = bytemuck::cast(*stat);
        self.shared.writer().publish(|index| {
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
        // A killed writer leaves half a record in the slot that is not shown. The next one fills it.
        Ok(())
    }
}
