//! How fast is it: every way to hand over a record between two processes, measured in one run.
//!
//! ```text
//! cargo run --release --manifest-path checks/bench/Cargo.toml
//! ```

use std::path::PathBuf;
use std::process::ExitCode;

use bench::jobs::jobs;
use bench::page;
use bench::processes::Processors;
use bench::results::{Found, Goal, OneWay, Payload, Run, machine};
use common::{Error, Refusal, error::errno_of};
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
    #[arg(long, conflicts_with_all = ["json", "update_docs"])]
    smoke: bool,
    /// Takes the figures from FILE instead of measuring
    #[arg(long, value_name = "FILE", conflicts_with = "smoke")]
    from: Option<PathBuf>,
    /// Measures only what has TEXT in its name
    #[arg(long, value_name = "TEXT", conflicts_with = "update_docs")]
    only: Option<String>,
    /// Writes docs/how-fast.md's tables, its pictures, and the result that they show
    #[arg(long)]
    update_docs: bool,
}

fn measure(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    let run = match &args.from {
        Some(path) => stored(path)?,
        None => match measured(args, terminal)? {
            Some(run) => run,
            None => return Ok(()),
        },
    };
    print(&run, terminal)?;
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Error::refused("write", what, Refusal::Other(error.to_string()))
    };
    if let Some(path) = &args.json {
        let text = page::stored(&run).map_err(|error| failed("the result", &error))?;
        std::fs::write(path, text)
            .map_err(|error| Error::new("write", path.display(), errno_of(&error)))?;
    }
    if args.update_docs {
        page::update(&run).map_err(|error| failed("docs/how-fast.md", &error))?;
    }
    Ok(())
}

fn stored(path: &std::path::Path) -> Result<Run, Stop> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::new("read", path.display(), errno_of(&error)))?;
    let run = serde_json::from_str(&text).map_err(|error| {
        Error::refused("read", path.display(), Refusal::Other(error.to_string()))
    })?;
    Ok(run)
}

/// Nothing after a smoke test.
fn measured(args: &Args, terminal: &mut Terminal) -> Result<Option<Run>, Stop> {
    let processors = Processors::find()?;
    if let Some(why) = &processors.unpinned {
        say!(terminal, "not pinned to processors, so the times vary more: {why}");
    }
    if processors.chosen.len() <= bench::beside::MOST {
        let others = processors.chosen.len() - 1;
        say!(terminal, "up to {} readers share {others} processors", bench::beside::MOST);
    }
    let machine = machine(&processors);
    let mut jobs = jobs(args.smoke);
    if let Some(text) = &args.only {
        jobs.retain(|it| it.name.contains(text.as_str()));
    }
    let mut found = Found::default();
    for round in 1..=if args.smoke { 1 } else { args.rounds } {
        // Another order each time: so a noisy neighbour does not favour anybody.
        fastrand::shuffle(&mut jobs);
        for (done, job) in jobs.iter().enumerate() {
            let (name, all) = (job.name, jobs.len());
            terminal.progress(format_args!("round {round}, {done} of {all}: {name}"));
            let measured = job.run(args.smoke, &processors, terminal)?;
            found.0.entry((name, job.what)).or_default().push(measured);
        }
    }
    if args.smoke {
        data!(terminal, "{} measurements: every payload was whole", jobs.len())?;
        return Ok(None);
    }
    Ok(Some(found.run(machine)))
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
    data!(terminal, "\n{:22} {:>8} {:>12}", "publish", "readers", "ns")?;
    for row in &run.readers {
        data!(terminal, "{:22} {:8} {:12}", row.name, row.readers, row.publish_ns)?;
    }
    data!(terminal, "\n{:36} {:>12}", "step", "ns")?;
    for row in &run.steps {
        data!(terminal, "{:36} {:12}", row.name, row.ns)?;
    }
    data!(terminal, "\n{:40} {:>12} {:>8}  rounds", "ratio", "goal", "reached")?;
    for row in &run.goals {
        let Goal { measure, goal, reached, rounds, met } = row;
        let missed = if *met { "" } else { ", missed" };
        data!(terminal, "{measure:40} {goal:>12} {reached:8}  {rounds:?}{missed}")?;
    }
    Ok(())
}
