//! What a run has found, as it is stored, and the machine that it ran on.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use serde::{Deserialize, Serialize};

use crate::beside::{MOST, NEIGHBOURS, WITH_READERS};
use crate::handover::{add_to, times};
use crate::jobs::What;
use crate::processes::Processors;
use crate::single::SINGLES;
use crate::ways::{SIZES, WAYS};
use Bound::{Least, Most};

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    /// Where and when.
    pub machine: BTreeMap<String, String>,
    /// The crates that are measured.
    pub versions: BTreeMap<String, String>,
    /// What was hoped for.
    pub goals: Vec<Goal>,
    /// The record, one way.
    pub one_way: Vec<OneWay>,
    /// Payloads.
    pub payloads: Vec<Payload>,
    /// A publication with readers beside it.
    pub readers: Vec<Readers>,
    /// Steps in one process or with a neighbour.
    pub steps: Vec<Step>,
}

/// A ratio of two figures of one run, and what was hoped for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Goal {
    /// Of what to what.
    pub measure: String,
    /// At most, or at least.
    pub goal: String,
    /// Of the whole run.
    pub reached: f64,
    /// Of each round.
    pub rounds: Vec<f64>,
    /// Whether the whole run reached it.
    pub met: bool,
}

/// A record, one way: half of a round trip, in nanoseconds.
#[derive(Debug, Serialize, Deserialize)]
pub struct OneWay {
    /// As in [`crate::ways::WAYS`].
    pub name: String,
    /// How the receiver waits.
    pub waits: String,
    /// How often the record is copied on its way.
    pub copies: u8,
    /// Half of the round trips take no longer.
    pub median_ns: f64,
    /// 99 of 100.
    pub p99_ns: f64,
    /// 999 of 1000.
    pub p999_ns: f64,
    /// In multiples of the cache line's median.
    pub cache_lines: f64,
    /// The median of each round.
    pub medians_ns: Vec<f64>,
    /// How many there were.
    pub round_trips: u64,
}

/// A payload.
#[derive(Debug, Serialize, Deserialize)]
pub struct Payload {
    /// As in [`crate::ways::WAYS`].
    pub name: String,
    /// How large.
    pub bytes: usize,
    /// How often it is copied on its way.
    pub copies: u8,
    /// One way, the median, with making and checking it.
    pub one_way_ns: Option<f64>,
    /// MiB per second, for those that keep every message.
    pub mib_per_s: Option<f64>,
}

/// A publication, in nanoseconds: the median of the rounds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Readers {
    /// As in [`WITH_READERS`].
    pub name: String,
    /// How many take snapshots all the time.
    pub readers: usize,
    /// Nanoseconds.
    pub publish_ns: f64,
}

/// A step, in nanoseconds: the median of the rounds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Step {
    /// As in [`SINGLES`] or [`NEIGHBOURS`].
    pub name: String,
    /// Nanoseconds.
    pub ns: f64,
}

/// What the measurements have returned, a vector for each round.
#[derive(Debug, Default)]
pub struct Found(pub HashMap<(&'static str, What), Vec<Vec<u64>>>);

impl Found {
    /// All figures, of a run on this machine.
    #[must_use]
    pub fn run(&self, machine: BTreeMap<String, String>) -> Run {
        Run {
            machine,
            versions: versions(),
            goals: self.goals(),
            one_way: self.one_way(),
            payloads: self.payloads(),
            readers: self.readers(),
            steps: self.steps(),
        }
    }

    fn rounds(&self, name: &'static str, what: What) -> Option<&[Vec<u64>]> {
        self.0.get(&(name, what)).map(Vec::as_slice)
    }

    /// The figure of all rounds.
    fn figure(&self, name: &'static str, what: What) -> Option<f64> {
        Some(figure(what, self.rounds(name, what)?))
    }

    fn one_way(&self) -> Vec<OneWay> {
        let floor = self.figure("cache line", What::Record).unwrap_or(1.0);
        let rows = WAYS.iter().filter_map(|way| {
            let rounds = self.rounds(way.name, What::Record)?;
            let median = quantile(rounds, 0.5);
            Some(OneWay {
                name: way.name.into(),
                waits: way.waits.into(),
                copies: way.copies,
                median_ns: rounded(median),
                p99_ns: rounded(quantile(rounds, 0.99)),
                p999_ns: rounded(quantile(rounds, 0.999)),
                cache_lines: rounded(median / floor),
                medians_ns: rounds.chunks(1).map(|it| rounded(quantile(it, 0.5))).collect(),
                round_trips: rounds.iter().flat_map(|it| it.iter().skip(1).step_by(2)).sum(),
            })
        });
        rows.collect()
    }

    fn payloads(&self) -> Vec<Payload> {
        let mut rows = Vec::new();
        for way in WAYS {
            for words in SIZES {
                let one_way_ns = self.figure(way.name, What::Payload(words)).map(rounded);
                let mib_per_s = self.figure(way.name, What::Throughput(words)).map(rounded);
                if one_way_ns.is_some() || mib_per_s.is_some() {
                    let (name, copies) = (way.name.into(), way.copies);
                    rows.push(Payload { name, bytes: words * 4, copies, one_way_ns, mib_per_s });
                }
            }
        }
        rows
    }

    fn readers(&self) -> Vec<Readers> {
        let all = WITH_READERS.iter().flat_map(|(name, _)| (0..=MOST).map(move |it| (*name, it)));
        let rows = all.filter_map(|(name, readers)| {
            let publish_ns = rounded(self.figure(name, What::Readers(readers))?);
            Some(Readers { name: name.into(), readers, publish_ns })
        });
        rows.collect()
    }

    fn steps(&self) -> Vec<Step> {
        let names = SINGLES.iter().map(|it| it.name).chain(NEIGHBOURS.map(|it| it.0));
        let rows = names.filter_map(|name| {
            Some(Step { name: name.into(), ns: rounded(self.figure(name, What::Step)?) })
        });
        rows.collect()
    }

    fn goals(&self) -> Vec<Goal> {
        let record = |name| (name, What::Record);
        let step = |name| (name, What::Step);
        let small = |name| (name, What::Throughput(SIZES[0]));
        let seqlock = record("seqlock");
        let woken = record("seqlock and futex");
        let copy = step("copy of 68 bytes");
        let mut goals = vec![
            self.goal("seqlock / cache line, one way", seqlock, record("cache line"), &Most(2.0)),
            self.goal("iceoryx2 / seqlock, one way", record("iceoryx2"), seqlock, &Least(5.0)),
            self.goal("publish / copy of 68 bytes", step("publish, seqlock"), copy, &Most(3.0)),
            self.goal("snapshot / copy of 68 bytes", step("snapshot, seqlock"), copy, &Most(3.0)),
            self.goal("increment / C's", step("increment"), step("increment in C"), &Most(1.05)),
            self.goal("waking a reader / bare futex", woken, record("bare futex"), &Most(1.1)),
            self.goal("pipe / waking a reader", record("pipe"), woken, &Least(1.0)),
        ];
        for readers in 1..=MOST {
            let [seqlock, mutex] = WITH_READERS.map(|(name, _)| (name, What::Readers(readers)));
            let measure = format!("publish, mutex / seqlock, {readers} readers");
            goals.push(self.goal(&measure, mutex, seqlock, &Least(1.0)));
        }
        goals.push(self.goal("ring / pipe, 64 bytes", small("ring"), small("pipe"), &Least(10.0)));
        let stream = small("Unix stream");
        goals.push(self.goal("ring / Unix stream, 64 bytes", small("ring"), stream, &Least(10.0)));
        goals.into_iter().flatten().collect()
    }

    fn goal(
        &self,
        measure: &str,
        above: (&'static str, What),
        below: (&'static str, What),
        bound: &Bound,
    ) -> Option<Goal> {
        let (above_what, below_what) = (above.1, below.1);
        let ratio =
            |above: &[_], below: &[_]| figure(above_what, above) / figure(below_what, below);
        let (above, below) = (self.rounds(above.0, above.1)?, self.rounds(below.0, below.1)?);
        let reached = rounded(ratio(above, below));
        let rounds = above.chunks(1).zip(below.chunks(1)).map(|(a, b)| rounded(ratio(a, b)));
        let rounds = rounds.collect();
        let (goal, met) = match *bound {
            Most(most) => (format!("at most {most}"), reached <= most),
            Least(least) => (format!("at least {least}"), reached >= least),
        };
        Some(Goal { measure: measure.into(), goal, reached, rounds, met })
    }
}

enum Bound {
    Most(f64),
    Least(f64),
}

/// Nanoseconds, or MiB per second.
fn figure(what: What, rounds: &[Vec<u64>]) -> f64 {
    let each = |it: &Vec<u64>| match what {
        What::Throughput(words) => {
            (it[0] * words as u64 * 4) as f64 / it[1] as f64 * 1e9 / 1_048_576.0
        }
        _ => it[0] as f64 / 1000.0,
    };
    if matches!(what, What::Record | What::Payload(_)) {
        return quantile(rounds, 0.5);
    }
    let mut all: Vec<_> = rounds.iter().map(each).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Half of a round trip's quantile, in nanoseconds.
fn quantile(rounds: &[Vec<u64>], quantile: f64) -> f64 {
    let mut all = times();
    rounds.iter().for_each(|round| add_to(&mut all, round));
    all.value_at_quantile(quantile) as f64 / 2.0
}

/// Three digits are more than a run can repeat.
fn rounded(number: f64) -> f64 {
    let digits = match number {
        ..10.0 => 100.0,
        ..100.0 => 10.0,
        _ => 1.0,
    };
    (number * digits).round() / digits
}

/// The machine, now.
#[must_use]
pub fn machine(processors: &Processors) -> BTreeMap<String, String> {
    let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|it| it.strip_prefix("model name")?.split_once(": "));
    let virtual_machine = cpuinfo
        .lines()
        .any(|it| it.starts_with("flags") && it.split(' ').any(|flag| flag == "hypervisor"));
    let pinned = match &processors.unpinned {
        None => format!("to processors {} and {}", processors.chosen[0], processors.chosen[1]),
        Some(why) => format!("no: {why}"),
    };
    let date = std::process::Command::new("date").args(["-u", "+%F %H:%M UTC"]).output();
    let date = date.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    [
        ("cpu", model.map_or("not said", |(_, model)| model).to_owned()),
        ("cores", processors.chosen.len().to_string()),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("virtual", if virtual_machine { "yes" } else { "not that the processor says" }.to_owned()),
        ("pinned", pinned),
        ("load before", read("/proc/loadavg")),
        ("date", date.unwrap_or_default()),
    ]
    .into_iter()
    .map(|(what, it)| (what.to_owned(), it))
    .collect()
}

/// The versions of the measured crates, from the lock file.
#[must_use]
pub fn versions() -> BTreeMap<String, String> {
    let lock = include_str!("../Cargo.lock");
    let version = |name: &str| {
        let package =
            lock.split("[[package]]").find(|it| it.contains(&format!("\nname = \"{name}\"\n")));
        let version = package.and_then(|it| it.split("version = \"").nth(1)?.split('"').next());
        (name.to_owned(), version.unwrap_or("not in Cargo.lock").to_owned())
    };
    ["iceoryx2", "ipc-channel", "mmap-sync"].map(version).into()
}
