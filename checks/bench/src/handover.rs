//! The measurement itself: one process asks, the other answers.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use terminal::{Stop, Terminal};

use crate::processes::{self, Control, Processors};
use crate::way::{BACK, Result, THERE, Way, check, fill};

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// At most so many round trips,
    pub trips: u32,
    /// and no longer than this, but at least [`FEWEST`] round trips.
    pub time: Duration,
    /// Round trips before, which are not counted, and again no longer than `time`.
    pub warm_up: u32,
}

/// A measurement has at least as many round trips, however long they take.
pub const FEWEST: u32 = 5;

/// Nanoseconds of round trips, by how often they came.
pub type Times = Histogram<u64>;

/// Hands over the 68-byte record, there and back. What is timed lies between one record's leaving and
/// the next one's.
///
/// The clock is read, the next record is made and the last one is checked while a record is on its
/// way. So none of it makes the round trip longer, as long as it takes less time than the round trip.
///
/// # Errors
///
/// Those of the way, and a record that is not whole.
pub fn record<W: Way>(
    terminal: &mut Terminal,
    measured: &Measured<'_>,
) -> std::result::Result<Vec<u64>, Stop> {
    pair::<W>(terminal, measured, |way, who, control| {
        let mut answer = vec![0; measured.words];
        if who == 1 {
            let mut number = 0_u32;
            loop {
                number += 1;
                way.receive(THERE, number, &mut answer)?;
                way.send(BACK, &answer)?;
                check(&answer, number)?;
                if control.last() == u64::from(number) {
                    return Ok(Vec::new());
                }
            }
        }
        let mut message = vec![0; measured.words];
        fill(&mut message, 1);
        ask(measured, control, |number| {
            way.send(THERE, &message)?;
            let sent = Instant::now();
            if number > 1 {
                check(&answer, number - 1)?;
            }
            fill(&mut message, number + 1);
            way.receive(BACK, number, &mut answer)?;
            Ok(sent)
        })
    })
}

/// Hands over a payload, there and back. Making it and checking it are part of the time: so a way that
/// needs no copy gains what it saves.
///
/// # Errors
///
/// Those of the way, and a payload that is not whole.
pub fn payload<W: Way>(
    terminal: &mut Terminal,
    measured: &Measured<'_>,
) -> std::result::Result<Vec<u64>, Stop> {
    pair::<W>(terminal, measured, |way, who, control| {
        let mut buffer = vec![0; measured.words];
        if who == 1 {
            let mut number = 0_u32;
            loop {
                number += 1;
                way.consume(THERE, number, &mut buffer)?;
                way.produce(BACK, number, &mut buffer)?;
                if control.last() == u64::from(number) {
                    return Ok(Vec::new());
                }
            }
        }
        ask(measured, control, |number| {
            let start = Instant::now();
            way.produce(THERE, number, &mut buffer)?;
            way.consume(BACK, number, &mut buffer)?;
            Ok(start)
        })
    })
}

/// Sends payloads one after the other, and waits for an answer after many. Returns how many and how
/// many nanoseconds they took.
///
/// # Errors
///
/// Those of the way, and a payload that is not whole.
pub fn throughput<W: Way>(
    terminal: &mut Terminal,
    measured: &Measured<'_>,
) -> std::result::Result<Vec<u64>, Stop> {
    pair::<W>(terminal, measured, |way, who, control| {
        let mut buffer = vec![0; measured.words];
        let (mut sent, mut answered) = (0_u32, 0_u32);
        if who == 1 {
            loop {
                sent += 1;
                way.consume(THERE, sent, &mut buffer)?;
                for _ in 1..control.batch() {
                    sent += 1;
                    way.consume(THERE, sent, &mut buffer)?;
                }
                answered += 1;
                way.produce(BACK, answered, &mut buffer)?;
                if control.last() == u64::from(answered) {
                    return Ok(Vec::new());
                }
            }
        }
        let mut batch = 1_u64;
        loop {
            control.set_batch(batch);
            // Only the batch that fills the time counts; those before it are the warm-up.
            let enough = |took: Duration| took >= measured.limit.time || batch > 1 << 24;
            let start = Instant::now();
            for _ in 0..batch {
                sent += 1;
                way.produce(THERE, sent, &mut buffer)?;
            }
            answered += 1;
            way.consume(BACK, answered, &mut buffer)?;
            let took = start.elapsed();
            if enough(took) || control.last() > 0 {
                if control.last() == 0 {
                    control.end_with(u64::from(answered) + 1);
                    // One more batch, so that the other process sees that it is the last.
                    control.set_batch(1);
                    sent += 1;
                    way.produce(THERE, sent, &mut buffer)?;
                    way.consume(BACK, answered + 1, &mut buffer)?;
                }
                return Ok(vec![batch, nanoseconds(took)]);
            }
            // A smoke test has no time to fill.
            let seen = took.as_secs_f64() / measured.limit.time.as_secs_f64().max(1e-9);
            batch = if seen > 0.2 { (batch as f64 * 1.2 / seen) as u64 + 1 } else { batch * 4 };
        }
    })
}

/// What is measured, and for how long.
#[derive(Debug)]
pub struct Measured<'a> {
    /// The name of the way.
    pub name: &'a str,
    /// How many words a message has.
    pub words: usize,
    /// How long.
    pub limit: Limit,
    /// Where.
    pub processors: &'a Processors,
}

/// Adds the round trips that a measurement has returned to `times`.
///
/// # Panics
///
/// Never: the histogram grows.
pub fn add_to(times: &mut Times, found: &[u64]) {
    for pair in found.chunks_exact(2) {
        times.record_n(pair[0], pair[1]).expect("a histogram that grows");
    }
}

/// An empty histogram with three digits.
///
/// # Panics
///
/// Never: three digits are allowed.
#[must_use]
pub fn times() -> Times {
    Times::new(3).expect("three digits")
}

fn pair<W: Way>(
    terminal: &mut Terminal,
    measured: &Measured<'_>,
    mut work: impl FnMut(&mut W, usize, &Control) -> Result<Vec<u64>>,
) -> std::result::Result<Vec<u64>, Stop> {
    let failed = |error: Box<dyn std::error::Error>| {
        let refusal = common::Refusal::Other(error.to_string());
        common::Error::refused("prepare", measured.name, refusal)
    };
    let mut way = W::new(measured.words).map_err(failed)?;
    let both = (measured.name, 2);
    let mut found = processes::run(terminal, both, measured.processors, |who, control| {
        way.open(who)?;
        control.meet(2);
        let found = work(&mut way, who, control)?;
        // Nobody takes its half away while the other still needs it.
        control.meet(4);
        way.close();
        Ok(found)
    })?;
    Ok(found.swap_remove(0))
}

/// Makes round trips until the limit. `trip` says when it began.
fn ask(
    measured: &Measured<'_>,
    control: &Control,
    mut trip: impl FnMut(u32) -> Result<Instant>,
) -> Result<Vec<u64>> {
    let limit = measured.limit;
    let mut times = times();
    let (mut number, mut counted) = (0_u32, 0_u32);
    let mut start = Instant::now();
    let mut before: Option<Instant> = None;
    let mut warm = false;
    loop {
        number += 1;
        let began = trip(number)?;
        if let Some(before) = before.replace(began) {
            if warm {
                times.record(nanoseconds(began - before))?;
                counted += 1;
            } else if number > limit.warm_up || began - start > limit.time {
                warm = true;
                start = began;
            }
        }
        if warm && (counted >= limit.trips || (began - start > limit.time && counted >= FEWEST)) {
            break;
        }
    }
    control.end_with(u64::from(number) + 1);
    trip(number + 1)?;
    Ok(times.iter_recorded().flat_map(|it| [it.value_iterated_to(), it.count_at_value()]).collect())
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
