//! Runs a mechanism: first a writer and its readers undisturbed, then a writer that is killed and
//! replaced again and again.
//!
//! After a kill everybody takes turns. In a turn each process does its part once, which is to publish
//! or to take a snapshot, and then rests and holds nothing. So those who are slow or were unlucky get
//! theirs too, and a busy machine makes a turn longer, but never fail.
//!
//! A mechanism *hangs* if everybody who still has to do a part sleeps in the kernel, and none of them
//! has woken for a second ([`sleepers`](crate::sleepers)): all others rest, so nobody is left to wake
//! them. Somebody who runs, or would if there were a processor free, may still go on, and is waited
//! for; should that take too long, the row says *starved*, and not that it hung.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};
use serde::Serialize;
use terminal::args::human;
use terminal::process::{Child, start_child};
use terminal::say;
use terminal::{Stop, Terminal};

use crate::mechanism::Mechanism;
use crate::record::{is_torn, record};
use crate::scores::{NAP, Scores};
use crate::sleepers::{SILENCE, Sleepers};

/// How to run every mechanism.
pub(crate) struct Contest {
    /// How many readers there are.
    pub(crate) readers: usize,
    /// How long the run without kills takes.
    pub(crate) time: Duration,
    /// How many writers are killed in the run after it,
    pub(crate) kills: u32,
    /// if that takes no longer than this.
    pub(crate) within: Duration,
}

/// What came out.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) mechanism: &'static str,
    readers: usize,
    published: u64,
    snapshots: u64,
    /// How often a reader gave up on a snapshot.
    gave_up: u64,
    /// How many processes never came to do their part undisturbed.
    pub(crate) starved: u64,
    pub(crate) torn: u64,
    pub(crate) published_per_s: f64,
    pub(crate) snapshots_per_s: f64,
    pub(crate) kills_wanted: u32,
    pub(crate) kills: u32,
    pub(crate) survived: u32,
    pub(crate) torn_after_kill: u64,
    pub(crate) repaired: Option<u64>,
    pub(crate) end: End,
}

/// How a run with kills ended.
#[derive(Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    /// Everybody went on after every kill.
    Survived,
    /// Somebody waits for ever.
    Hung,
    /// Somebody had no turn in a long time, and might still get it.
    Starved,
}

/// The pause between two looks at what the others have done.
const LOOK: Duration = Duration::from_micros(50);

/// How often to look for a turn to end: more than ten seconds. Not a time: that would go on while all
/// processes are stopped, as by Ctrl-Z.
const LOOKS: u32 = 100_000;

/// How long a writer may take to come to the middle of its first publication.
const FIRST: Duration = Duration::from_millis(20);

impl Contest {
    pub(crate) fn run<M: Mechanism>(&self, terminal: &mut Terminal) -> Result<Row, Stop> {
        let mechanism = M::new()?;
        if let Some(left) = mechanism.leaves() {
            say!(terminal, "{}: {left}, removed at the end", M::NAME);
        }
        let row = self.measure(&mechanism, terminal);
        mechanism.remove()?;
        row
    }

    fn measure<M: Mechanism>(&self, mechanism: &M, terminal: &mut Terminal) -> Result<Row, Stop> {
        let calm = Scores::new()?;
        let seconds = self.run_undisturbed(mechanism, &calm, terminal)?;
        let storm = Scores::new()?;
        let (kills, end) = self.kill_writers(mechanism, &storm, terminal)?;

        let readers = 0..self.readers;
        let published = calm.done(self.readers);
        let snapshots = readers.clone().map(|who| calm.done(who)).sum();
        Ok(Row {
            mechanism: M::NAME,
            readers: self.readers,
            published,
            snapshots,
            gave_up: readers.clone().map(|who| calm.gave_up(who)).sum(),
            starved: (0..=self.readers).map(|who| u64::from(calm.done(who) == 0)).sum(),
            torn: readers.clone().map(|who| calm.torn(who)).sum(),
            published_per_s: rate(published, seconds),
            snapshots_per_s: rate(snapshots, seconds),
            kills_wanted: self.kills,
            kills,
            survived: if end == End::Survived { kills } else { kills.saturating_sub(1) },
            torn_after_kill: readers.map(|who| storm.torn(who)).sum(),
            repaired: mechanism.repairs(),
            end,
        })
    }

    /// Returns how many seconds it took.
    fn run_undisturbed<M: Mechanism>(
        &self,
        mechanism: &M,
        scores: &Scores,
        terminal: &mut Terminal,
    ) -> Result<f64, Stop> {
        terminal.progress(format_args!("{}: undisturbed for {}", M::NAME, human(self.time)));
        let start = Instant::now();
        let mut party = self.start_readers(mechanism, scores, terminal)?;
        party.push(self.start_writer(mechanism, scores, || (), terminal)?);
        terminal.pause(self.time)?;
        // Who has had no processor in so short a time has not starved.
        let all_there = || (0..party.len()).all(|who| scores.done(who) > 0);
        terminal.wait_until(Duration::from_secs(1), all_there)?;
        let seconds = start.elapsed().as_secs_f64();
        end(party, scores, terminal)?;
        Ok(seconds)
    }

    /// Kills one writer after the other, until all kills are done, the time is over, or somebody does
    /// not go on. Returns how many it has killed.
    fn kill_writers<M: Mechanism>(
        &self,
        mechanism: &M,
        scores: &Scores,
        terminal: &mut Terminal,
    ) -> Result<(u32, End), Stop> {
        // Without a pause in the middle of a publication, hardly any kill would find the writer there.
        let halfway = || {
            scores.count_halfway();
            thread::sleep(NAP);
        };
        let random = RandomState::new();
        let start = Instant::now();
        let mut party = self.start_readers(mechanism, scores, terminal)?;
        party.push(self.start_writer(mechanism, scores, halfway, terminal)?);
        let mut kills = 0;
        let mut went = take_turns(&mut party, scores, terminal)?;
        while went == End::Survived && kills < self.kills && start.elapsed() < self.within {
            terminal.progress(format_args!("{}: {kills} of {} kills", M::NAME, self.kills));
            let (before, waiting) = (scores.halfway(), Instant::now());
            scores.let_all_run();
            // The random moment begins when the writer runs, which takes a while on a busy machine.
            while scores.halfway() == before && waiting.elapsed() < FIRST {
                terminal.pause(LOOK)?;
            }
            let mut hasher = random.build_hasher();
            hasher.write_u32(kills);
            terminal.pause(Duration::from_micros(hasher.finish() % 1000))?;
            // Dropping a child kills it, with SIGKILL.
            drop(party.pop());
            kills += 1;
            // So that the readers leave the processors to the next writer.
            scores.call_turn();
            party.push(self.start_writer(mechanism, scores, halfway, terminal)?);
            went = take_turns(&mut party, scores, terminal)?;
        }
        match went {
            End::Survived => end(party, scores, terminal)?,
            End::Starved => {}
            End::Hung => {
                let silence = human(SILENCE);
                say!(
                    terminal,
                    "{} hangs: all who wait sleep, none has woken for {silence}",
                    M::NAME
                );
            }
        }
        Ok((kills, went))
    }

    fn start_readers<M: Mechanism>(
        &self,
        mechanism: &M,
        scores: &Scores,
        terminal: &mut Terminal,
    ) -> Result<Vec<Child>, Stop> {
        let read = |who: usize| {
            scores.take_part(who, || {
                let Some(stat) = mechanism.snapshot()? else { return Ok(false) };
                if is_torn(&stat) {
                    scores.count_torn(who);
                }
                Ok::<_, Stop>(true)
            })
        };
        (0..self.readers).map(|who| start(|| read(who), terminal)).collect()
    }

    /// The writer has the number after those of the readers.
    fn start_writer<M: Mechanism>(
        &self,
        mechanism: &M,
        scores: &Scores,
        halfway: impl Fn(),
        terminal: &mut Terminal,
    ) -> Result<Child, Stop> {
        let write = || {
            mechanism.recover()?;
            scores.take_part(self.readers, || {
                // A record's count has 32 bits; after four billion it starts again at 0.
                let count = (scores.done(self.readers) + 1) % (1 << 32);
                let count = u32::try_from(count).expect("a remainder below 2^32");
                mechanism.publish(&record(count), &halfway)?;
                Ok(true)
            })
        };
        start(write, terminal)
    }
}

/// Whether everybody goes on: twice, because in the first turn the readers may come before the writer.
fn take_turns(party: &mut [Child], scores: &Scores, terminal: &mut Terminal) -> Result<End, Stop> {
    match take_turn(party, scores, terminal)? {
        End::Survived => take_turn(party, scores, terminal),
        other => Ok(other),
    }
}

fn take_turn(party: &mut [Child], scores: &Scores, terminal: &mut Terminal) -> Result<End, Stop> {
    let turn = scores.call_turn();
    let mut sleepers = Sleepers::default();
    for look in 1..=LOOKS {
        let waits = |who: &usize| !scores.rests(*who, turn);
        if !(0..party.len()).any(|who| waits(&who)) {
            return Ok(End::Survived);
        }
        // Now and then: it is dearer than the look at the scores.
        if look % 1000 == 0 {
            let waiting: Vec<usize> = (0..party.len()).filter(waits).collect();
            for who in &waiting {
                // A process that has failed hangs nobody, but says why.
                party[*who].is_running()?;
            }
            if sleepers.sleep_on(waiting.iter().map(|who| party[*who].pid())) {
                return Ok(End::Hung);
            }
        }
        terminal.pause(LOOK)?;
    }
    Ok(End::Starved)
}

/// Forks a child that ends with its parent, however that ends.
pub(crate) fn start(
    work: impl FnOnce() -> Result<(), Stop>,
    terminal: &mut Terminal,
) -> Result<Child, Stop> {
    let parent = getpid();
    let child = start_child(terminal, |_| {
        // Without this the children of a killed parent would go on for ever: prctl(2).
        let _ = set_pdeathsig(Signal::SIGKILL);
        // It may have been killed before the call above.
        if getppid() == parent { work() } else { Ok(()) }
    })?;
    Ok(child)
}

fn end(party: Vec<Child>, scores: &Scores, terminal: &mut Terminal) -> Result<(), Stop> {
    scores.call_end();
    party.into_iter().try_for_each(|child| child.wait(terminal))
}

#[allow(clippy::cast_precision_loss, reason = "a rate for people, from a count far below 2^52")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}
