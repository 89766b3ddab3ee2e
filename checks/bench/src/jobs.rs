//! The list of all that is measured.

use std::time::Duration;

use terminal::{Stop, Terminal};

use crate::beside::{Beside, MOST, NEIGHBOURS, WITH_READERS};
use crate::handover::{Limit, Measured};
use crate::processes::Processors;
use crate::single::{SINGLES, Single, alone};
use crate::way::RECORD;
use crate::ways::{Measure, SIZES, WAYS};

/// What is measured of something with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// The record, there and back.
    Record,
    /// A payload of so many words, there and back.
    Payload(usize),
    /// Payloads of so many words, one after the other.
    Throughput(usize),
    /// A publication with so many readers.
    Readers(usize),
    /// A step in one process, or with a neighbour.
    Step,
}

/// One measurement.
pub struct Job {
    /// Of what.
    pub name: &'static str,
    /// And what of it.
    pub what: What,
    how: How,
}

enum How {
    Between(Measure),
    Beside(Beside, usize),
    Alone(&'static Single),
}

/// All measurements; for a smoke test with two sizes and three numbers of readers.
#[must_use]
pub fn jobs(smoke: bool) -> Vec<Job> {
    let sizes = if smoke { &[SIZES[0], SIZES[5]][..] } else { &SIZES };
    let mut jobs = Vec::new();
    let mut add = |name, what, how| jobs.push(Job { name, what, how });
    for way in WAYS {
        let name = way.name;
        way.record.into_iter().for_each(|it| add(name, What::Record, How::Between(it)));
        for &words in sizes {
            if let Some(payload) = way.payload.and_then(|it| it(words)) {
                add(name, What::Payload(words), How::Between(payload));
            }
            if let Some(throughput) = way.throughput.and_then(|it| it(words)) {
                add(name, What::Throughput(words), How::Between(throughput));
            }
        }
    }
    for readers in (0..=MOST).step_by(if smoke { 4 } else { 1 }) {
        for (name, measure) in WITH_READERS {
            add(name, What::Readers(readers), How::Beside(measure, readers));
        }
    }
    for (name, measure) in NEIGHBOURS {
        add(name, What::Step, How::Beside(measure, 1));
    }
    for single in SINGLES {
        add(single.name, What::Step, How::Alone(single));
    }
    jobs
}

impl Job {
    /// Measures.
    ///
    /// # Errors
    ///
    /// Those of what is measured, a payload that is not whole, and a signal that asks for the end.
    pub fn run(
        &self,
        smoke: bool,
        processors: &Processors,
        terminal: &mut Terminal,
    ) -> Result<Vec<u64>, Stop> {
        let (words, milliseconds) = match self.what {
            What::Record => (RECORD, 500),
            What::Payload(words) | What::Throughput(words) => (words, 60),
            What::Readers(_) | What::Step => (RECORD, 100),
        };
        let limit =
            Limit { trips: 100_000, time: Duration::from_millis(milliseconds), warm_up: 2000 };
        let few = Limit { trips: 20, time: Duration::ZERO, warm_up: 1 };
        let limit = if smoke { few } else { limit };
        let measured = Measured { name: self.name, words, limit, processors };
        match self.how {
            How::Between(measure) => measure(terminal, &measured),
            How::Beside(measure, others) => measure(terminal, &measured, others),
            How::Alone(single) => alone(single, terminal, &measured),
        }
    }
}
