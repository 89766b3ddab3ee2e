//! What a run has found, as it is stored, and the machine that it ran on.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::processes::Processors;

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    /// Where and when.
    pub machine: BTreeMap<String, String>,
    /// The crates that are measured.
    pub versions: BTreeMap<String, String>,
    /// The record, one way.
    pub one_way: Vec<OneWay>,
    /// Payloads.
    pub payloads: Vec<Payload>,
}

/// A record, one way: half of a round trip, in nanoseconds.
#[derive(Debug, Serialize, Deserialize)]
pub struct OneWay {
    /// As in [`crate::ways::WAYS`].
    pub name: String,
    /// How the receiver waits.
    pub waits: String,
    /// Half of the round trips take no longer.
    pub median_ns: f64,
    /// 99 of 100.
    pub p99_ns: f64,
    /// 999 of 1000.
    pub p999_ns: f64,
    /// The lowest and the highest median of a round.
    pub medians_ns: [f64; 2],
    /// In multiples of the cache line's median.
    pub cache_lines: f64,
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
