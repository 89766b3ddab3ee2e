//! Runs a mechanism: first a writer and its readers undisturbed, then a writer that is killed and
//! replaced again and again.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use common::Counters;
use common::mapping::Mapping;
use common::{Error, ReadWrite};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};
use serde::Serialize;
use terminal::process::{Child, start_child};
use terminal::say;
use terminal::{Stop, Terminal};

use crate::mechanism::Mechanism;
use crate::record::{is_torn, record};

/// How to run every mechanism.
pub(crate) struct Contest {
    /// How many readers there are.
    pub(crate) readers: usize,
    /// How long the run without kills takes.
    pub(crate) time: Duration,
    /// How many writers are killed in the run after it.
    pub(crate) kills: u32,
}

/// What came out.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) mechanism: &'static str,
    readers: usize,
    published: u64,
    snapshots: u64,
    pub(crate) torn: u64,
    pub(crate) published_per_s: f64,
    pub(crate) snapshots_per_s: f64,
    kills: u32,
    pub(crate) survived: u32,
    pub(crate) torn_after_kill: u64,
    #[serde(skip)]
    pub(crate) remark: String,
}

/// How often to look, a moment apart, whether everybody goes on after a kill; then the mechanism
/// hangs. Not a time: that would go on while all processes are stopped, as by Ctrl-Z.
const LOOKS: u32 = 100_000;

/// What the processes tell each other. Every counter has one process that writes it.
struct Scores(Mapping<Counters<64>, ReadWrite>);

/// Not 0 when the processes are to end.
const STOP: usize = 0;
const PUBLISHED: usize = 1;

impl Scores {
    fn new() -> Result<Self, Error> {
        Ok(Self(Mapping::anonymous()?))
    }

    fn get(&self, index: usize) -> u64 {
        self.0.get(index)
    }

    fn count(&self, index: usize) {
        self.0.writer().set(index, self.get(index) + 1);
    }

    fn snapshots(reader: usize) -> usize {
        2 + 2 * reader
    }

    fn torn(reader: usize) -> usize {
        3 + 2 * reader
    }
}

impl Contest {
    pub(crate) fn run<M: Mechanism>(&self, terminal: &mut Terminal) -> Result<Row, Stop> {
        let mechanism = M::new()?;
        say!(terminal, "{}: {} readers, then {} kills", M::NAME, self.readers, self.kills);
        if let Some(left) = mechanism.leaves() {
            say!(terminal, "{}: {left}, removed at the end", M::NAME);
        }
        let row = self.measure(&mechanism, terminal);
        mechanism.remove()?;
        row
    }

    fn measure<M: Mechanism>(&self, mechanism: &M, terminal: &mut Terminal) -> Result<Row, Stop> {
        let calm = Scores::new()?;
        let start = Instant::now();
        let mut children = self.start_readers(mechanism, &calm, terminal)?;
        children.push(start_writer(mechanism, &calm, || (), terminal)?);
        terminal.pause(self.time)?;
        let seconds = start.elapsed().as_secs_f64();
        end(children, &calm, terminal)?;

        let stormy = Scores::new()?;
        let mut children = self.start_readers(mechanism, &stormy, terminal)?;
        let (kills, hangs) = self.kill_writers(mechanism, &stormy, terminal)?;
        if hangs {
            // A reader that has failed hangs nobody, but says why; those that wait for ever are killed.
            for child in &mut children {
                child.is_running()?;
            }
            drop(children);
        } else {
            end(children, &stormy, terminal)?;
        }

        let total = |scores: &Scores, of: fn(usize) -> usize| -> u64 {
            (0..self.readers).map(|reader| scores.get(of(reader))).sum()
        };
        let (published, snapshots) = (calm.get(PUBLISHED), total(&calm, Scores::snapshots));
        Ok(Row {
            mechanism: M::NAME,
            readers: self.readers,
            published,
            snapshots,
            torn: total(&calm, Scores::torn),
            published_per_s: rate(published, seconds),
            snapshots_per_s: rate(snapshots, seconds),
            kills,
            survived: if hangs { kills.saturating_sub(1) } else { kills },
            torn_after_kill: total(&stormy, Scores::torn),
            remark: match (hangs, mechanism.repairs()) {
                (true, _) => ", then it hung".into(),
                (false, 0) => String::new(),
                (false, repairs) => format!(", {repairs} repaired"),
            },
        })
    }

    /// Kills one writer after the other, until all kills are done or somebody hangs. Returns how many
    /// it has killed, and whether somebody hangs.
    fn kill_writers<M: Mechanism>(
        &self,
        mechanism: &M,
        scores: &Scores,
        terminal: &mut Terminal,
    ) -> Result<(u32, bool), Stop> {
        // A signal takes effect when the kernel returns to the program: after a system call, most of
        // all. Without one in the middle of a publication, hardly any kill would find the writer there.
        let give_way = std::thread::yield_now;
        let random = RandomState::new();
        for kill in 0..self.kills {
            let writer = start_writer(mechanism, scores, give_way, terminal)?;
            if !self.all_go_on(scores, terminal)? {
                return Ok((kill, true));
            }
            let mut hasher = random.build_hasher();
            hasher.write_u32(kill);
            terminal.pause(Duration::from_micros(hasher.finish() % 1000))?;
            // Dropping a child kills it, with SIGKILL.
            drop(writer);
        }
        if self.kills == 0 {
            return Ok((0, false));
        }
        let _last = start_writer(mechanism, scores, give_way, terminal)?;
        Ok((self.kills, !self.all_go_on(scores, terminal)?))
    }

    /// Waits until the writer has published and every reader has taken a snapshot, all anew.
    fn all_go_on(&self, scores: &Scores, terminal: &mut Terminal) -> Result<bool, Stop> {
        let watched = || (0..self.readers).map(Scores::snapshots).chain([PUBLISHED]);
        let before: Vec<u64> = watched().map(|index| scores.get(index)).collect();
        for _ in 0..LOOKS {
            if watched().zip(&before).all(|(index, before)| scores.get(index) != *before) {
                return Ok(true);
            }
            terminal.pause(Duration::from_micros(50))?;
        }
        Ok(false)
    }

    fn start_readers<M: Mechanism>(
        &self,
        mechanism: &M,
        scores: &Scores,
        terminal: &mut Terminal,
    ) -> Result<Vec<Child>, Stop> {
        let read = |reader: usize| -> Result<(), Stop> {
            while scores.get(STOP) == 0 {
                if let Some(stat) = mechanism.snapshot()? {
                    scores.count(Scores::snapshots(reader));
                    if is_torn(&stat) {
                        scores.count(Scores::torn(reader));
                    }
                }
            }
            Ok(())
        };
        (0..self.readers).map(|reader| start(|| read(reader), terminal)).collect()
    }
}

fn start_writer<M: Mechanism>(
    mechanism: &M,
    scores: &Scores,
    halfway: impl Fn(),
    terminal: &mut Terminal,
) -> Result<Child, Stop> {
    let write = || {
        mechanism.recover()?;
        while scores.get(STOP) == 0 {
            // A record's count has 32 bits; after four billion it starts again at 0.
            let count = (scores.get(PUBLISHED) + 1) % (1 << 32);
            let count = u32::try_from(count).expect("a remainder below 2^32");
            mechanism.publish(&record(count), &halfway)?;
            scores.count(PUBLISHED);
        }
        Ok(())
    };
    start(write, terminal)
}

/// Forks a child that ends with its parent, however that ends.
fn start(work: impl FnOnce() -> Result<(), Stop>, terminal: &mut Terminal) -> Result<Child, Stop> {
    let parent = getpid();
    let child = start_child(terminal, |_| {
        // Without this the children of a killed parent would go on for ever: prctl(2).
        let _ = set_pdeathsig(Signal::SIGKILL);
        // It may have been killed before the call above.
        if getppid() == parent { work() } else { Ok(()) }
    })?;
    Ok(child)
}

fn end(children: Vec<Child>, scores: &Scores, terminal: &mut Terminal) -> Result<(), Stop> {
    scores.count(STOP);
    children.into_iter().try_for_each(|child| child.wait(terminal))
}

#[allow(clippy::cast_precision_loss, reason = "a rate for people, from a count far below 2^52")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}
