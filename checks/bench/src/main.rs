//! How fast is it: every way to hand over a record between two processes, measured in one run.
//!
//! ```text
//! cargo run --release --manifest-path checks/bench/Cargo.toml
//! ```

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bench::handover::{Limit, Measured, add_to, times};
use bench::processes::Processors;
use bench::results::{OneWay, Payload, Run, machine, versions};
use bench::way::RECORD;
use bench::ways::{Measure, SIZES, WAYS};
use common::{Error, error::errno_of};
use terminal::{Stop, Terminal, data, say};

fn main() -> ExitCode {
    terminal::run(measure)
}

/// Measures every way to hand over a record between two processes
#[derive(clap::Parser)]
struct Args {
    /// Writes what was found to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How often everything is measured, each time in another order
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Some hand-overs of each, to check the payloads: the times mean nothing
    #[arg(long)]
    smoke: bool,
}

/// What is measured of a way.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Record,
    Payload(usize),
    Throughput(usize),
}

fn measure(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    let processors = Processors::find()?;
    if let Some(why) = &processors.unpinned {
        say!(terminal, "not pinned to processors, so the times vary more: {why}");
    }
    let machine = machine(&processors);
    let mut jobs: Vec<(usize, What, Measure)> = Vec::new();
    let sizes = if args.smoke { &[SIZES[0], SIZES[5]][..] } else { &SIZES };
    for (at, way) in WAYS.iter().enumerate() {
        jobs.extend(way.record.map(|it| (at, What::Record, it)));
        for &words in sizes {
            let payload = way.payload.and_then(|it| it(words));
            jobs.extend(payload.map(|it| (at, What::Payload(words), it)));
            let throughput = way.throughput.and_then(|it| it(words));
            jobs.extend(throughput.map(|it| (at, What::Throughput(words), it)));
        }
    }
    let rounds = if args.smoke { 1 } else { args.rounds };
    let mut found: HashMap<(usize, What), Vec<Vec<u64>>> = HashMap::new();
    for round in 1..=rounds {
        // Another order each time: so a noisy neighbour does not favour anybody.
        fastrand::shuffle(&mut jobs);
        for (done, (at, what, job)) in jobs.iter().enumerate() {
            let name = WAYS[*at].name;
            terminal.progress(format_args!("round {round}, {done} of {}: {name}", jobs.len()));
            let (words, milliseconds) = match what {
                What::Record => (RECORD, 500),
                What::Payload(words) | What::Throughput(words) => (*words, 60),
            };
            let limit =
                Limit { trips: 100_000, time: Duration::from_millis(milliseconds), warm_up: 2000 };
            let smoke = Limit { trips: 20, time: Duration::ZERO, warm_up: 1 };
            let limit = if args.smoke { smoke } else { limit };
            let measured = Measured { name, words, limit, processors: &processors };
            found.entry((*at, *what)).or_default().push(job(terminal, &measured)?);
        }
    }
    if args.smoke {
        data!(terminal, "{} measurements: every payload was whole", jobs.len())?;
        return Ok(());
    }
    let run =
        Run { machine, versions: versions(), one_way: one_way(&found), payloads: payloads(&found) };
    print(&run, terminal)?;
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&run).expect("numbers and text") + "\n";
        std::fs::write(path, text)
            .map_err(|error| Error::new("write", path.display(), errno_of(&error)))?;
    }
    Ok(())
}

type Found = HashMap<(usize, What), Vec<Vec<u64>>>;

/// Half of a round trip's quantile, with one digit behind the point.
fn half(rounds: &[Vec<u64>], quantile: f64) -> f64 {
    let mut all = times();
    rounds.iter().for_each(|round| add_to(&mut all, round));
    rounded(all.value_at_quantile(quantile) as f64 / 2.0)
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn one_way(found: &Found) -> Vec<OneWay> {
    let floor = found.get(&(0, What::Record)).map_or(1.0, |rounds| half(rounds, 0.5));
    let row = |(at, way): (usize, &bench::ways::Listed)| {
        let rounds = found.get(&(at, What::Record))?;
        let medians = rounds.iter().map(|it| half(std::slice::from_ref(it), 0.5));
        let (low, high) =
            medians.fold((f64::MAX, 0.0_f64), |(low, high), it| (low.min(it), high.max(it)));
        let median_ns = half(rounds, 0.5);
        Some(OneWay {
            name: way.name.into(),
            waits: way.waits.into(),
            median_ns,
            p99_ns: half(rounds, 0.99),
            p999_ns: half(rounds, 0.999),
            medians_ns: [low, high],
            cache_lines: rounded(median_ns / floor),
            round_trips: rounds.iter().flat_map(|it| it.iter().skip(1).step_by(2)).sum(),
        })
    };
    WAYS.iter().enumerate().filter_map(row).collect()
}

fn payloads(found: &Found) -> Vec<Payload> {
    let mut rows = Vec::new();
    for (at, way) in WAYS.iter().enumerate() {
        for words in SIZES {
            let one_way_ns = found.get(&(at, What::Payload(words))).map(|it| half(it, 0.5));
            let mib_per_s = found.get(&(at, What::Throughput(words))).map(|rounds| {
                let mut rates: Vec<_> = rounds
                    .iter()
                    .map(|it| (it[0] * words as u64 * 4) as f64 / it[1] as f64 * 1e9 / 1048576.0)
                    .collect();
                rates.sort_by(f64::total_cmp);
                rounded(rates[rates.len() / 2])
            });
            if one_way_ns.is_some() || mib_per_s.is_some() {
                let (name, copies) = (way.name.into(), way.copies);
                rows.push(Payload { name, bytes: words * 4, copies, one_way_ns, mib_per_s });
            }
        }
    }
    rows
}

fn print(run: &Run, terminal: &mut Terminal) -> Result<(), Stop> {
    for (what, it) in run.machine.iter().chain(&run.versions) {
        data!(terminal, "{what}: {it}")?;
    }
    data!(
        terminal,
        "\n{:22} {:>10} {:>10} {:>10} {:>8}",
        "68 bytes, ns",
        "median",
        "p99",
        "p99.9",
        "lines"
    )?;
    for row in &run.one_way {
        let OneWay { name, median_ns, p99_ns, p999_ns, cache_lines, .. } = row;
        data!(terminal, "{name:22} {median_ns:10} {p99_ns:10} {p999_ns:10} {cache_lines:8}")?;
    }
    data!(
        terminal,
        "\n{:22} {:>8} {:>6} {:>12} {:>10}",
        "payload",
        "bytes",
        "copies",
        "one way, ns",
        "MiB/s"
    )?;
    for row in &run.payloads {
        let shown = |it: Option<f64>| it.map_or("-".into(), |it| it.to_string());
        let (one_way, rate) = (shown(row.one_way_ns), shown(row.mib_per_s));
        let Payload { name, bytes, copies, .. } = row;
        data!(terminal, "{name:22} {bytes:8} {copies:6} {one_way:>12} {rate:>10}")?;
    }
    Ok(())
}
