//! The tables of a run, as Markdown, and where they stand in docs/how-fast.md.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::plots::{Picture, pictures};
use crate::results::{Goal, Run};

/// The payloads that the page's table shows, in bytes. Its pictures show all of them.
const SIZES: [usize; 3] = [64, 4096, 1 << 20];

/// Steps that the page leaves out: the goals show what they come to, or a neighbour shows the same.
const UNSHOWN: [&str; 8] = [
    "snapshot, seqlock",
    "publish, POSIX semaphore",
    "publish, System V semaphore",
    "increment",
    "increment in C",
    "the same, MAP_POPULATE",
    "4 KiB, still mapped",
    "map 16 MiB, MAP_POPULATE",
];

/// Writes the page's tables and pictures, and the run that they show.
///
/// # Errors
///
/// Those of reading and writing the files, and a page that has no place for a table.
pub fn update(run: &Run) -> Result<(), Box<dyn Error>> {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = bench.join("../../docs");
    let pictures = pictures(run)?;
    let path = docs.join("how-fast.md");
    let page = updated(&fs::read_to_string(&path)?, run, &pictures)?;
    for picture in &pictures {
        fs::write(docs.join("figures").join(picture.file), &picture.svg)?;
    }
    fs::write(bench.join("results.json"), stored(run)?)?;
    fs::write(path, page)?;
    Ok(())
}

/// A run, as it is stored.
///
/// # Errors
///
/// None: it is numbers and text.
pub fn stored(run: &Run) -> Result<String, Box<dyn Error>> {
    Ok(serde_json::to_string_pretty(run)? + "\n")
}

fn updated(page: &str, run: &Run, pictures: &[Picture]) -> Result<String, Box<dyn Error>> {
    let mut parts = vec![
        ("machine", machine(run)),
        ("goals", goals(run)),
        ("one way", one_way(run)),
        ("payloads", payloads(run)),
        ("steps", steps(run)),
    ];
    for Picture { file, title, .. } in pictures {
        parts.push((file, format!("![{title}](figures/{file})\n")));
    }
    let mut page = page.to_owned();
    for (name, part) in parts {
        let begin = format!("<!-- {name}: from checks/bench/results.json -->\n");
        let (before, rest) = page.split_once(&begin).ok_or(format!("the page has no {begin}"))?;
        let (_, after) = rest.split_once("<!-- end -->").ok_or(format!("no end of {begin}"))?;
        page = format!("{before}{begin}\n{part}\n<!-- end -->{after}");
    }
    Ok(page)
}

fn machine(run: &Run) -> String {
    let it = |what| run.machine.get(what).map_or("", String::as_str);
    let mut text = format!(
        "{}, {} processors, a virtual machine: {}; Linux {}; bound {}; load before: {}; {}.\n",
        it("cpu"),
        it("cores"),
        it("virtual"),
        it("kernel"),
        it("pinned"),
        it("load before"),
        it("date"),
    );
    let versions: Vec<_> = run.versions.iter().map(|(name, it)| format!("{name} {it}")).collect();
    let _ = writeln!(text, "Measured crates: {}.", versions.join(", "));
    text
}

fn goals(run: &Run) -> String {
    let (by_readers, others): (Vec<&Goal>, Vec<&Goal>) =
        run.goals.iter().partition(|row| row.measure.ends_with(" readers"));
    let row = |measure: &str, goal: &str, reached: f64, rounds: Vec<f64>| {
        let rounds: Vec<_> = rounds.iter().map(f64::to_string).collect();
        vec![measure.to_owned(), goal.to_owned(), reached.to_string(), rounds.join(", ")]
    };
    let mut rows: Vec<_> = others
        .into_iter()
        .map(|it| row(&it.measure, &it.goal, it.reached, it.rounds.clone()))
        .collect();
    // One row for all of them: the least, which is the one nearest to the goal.
    if let [first, ..] = by_readers[..] {
        let measure =
            format!("publish, mutex / seqlock, least of 1 to {} readers", by_readers.len());
        let least = |numbers: &mut dyn Iterator<Item = f64>| numbers.fold(f64::MAX, f64::min);
        let round = |at: usize| least(&mut by_readers.iter().map(|it| it.rounds[at]));
        let reached = least(&mut by_readers.iter().map(|it| it.reached));
        rows.push(row(
            &measure,
            &first.goal,
            reached,
            (0..first.rounds.len()).map(round).collect(),
        ));
    }
    table(&["ratio", "goal", "reached", "in each round"], rows.into_iter())
}

fn one_way(run: &Run) -> String {
    let rows = run.one_way.iter().map(|row| {
        let mut cells = vec![row.name.clone(), row.waits.clone()];
        cells.extend([row.median_ns, row.p99_ns, row.cache_lines].map(|it| it.to_string()));
        cells
    });
    table(&["way", "who waits", "median", "p99", "cache lines"], rows)
}

fn payloads(run: &Run) -> String {
    let mut ways: Vec<(&str, u8, BTreeMap<usize, f64>)> = Vec::new();
    for row in &run.payloads {
        let Some(number) = row.one_way_ns else { continue };
        if ways.last().is_none_or(|it| it.0 != row.name) {
            ways.push((&row.name, row.copies, BTreeMap::new()));
        }
        if let Some(way) = ways.last_mut() {
            way.2.insert(row.bytes, number);
        }
    }
    let rows = ways.into_iter().map(|(name, copies, numbers)| {
        let mut cells = vec![name.to_owned(), copies.to_string()];
        cells.extend(SIZES.map(|size| numbers.get(&size).map_or("-".into(), f64::to_string)));
        cells
    });
    let sizes = SIZES.map(|it| it.to_string());
    let head: Vec<_> =
        ["way", "copies"].into_iter().chain(sizes.iter().map(String::as_str)).collect();
    table(&head, rows)
}

fn steps(run: &Run) -> String {
    let shown = run.steps.iter().filter(|row| !UNSHOWN.contains(&row.name.as_str()));
    table(&["step", "ns"], shown.map(|row| vec![row.name.clone(), row.ns.to_string()]))
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}
