//! The tables of a run, as Markdown, and where they stand in docs/how-fast.md.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::plots::{Picture, pictures};
use crate::results::Run;
use crate::ways::SIZES;

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
        ("payloads", payloads(run, |row| row.one_way_ns)),
        ("throughput", payloads(run, |row| row.mib_per_s)),
        ("readers", readers(run)),
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
    let rows = run.goals.iter().map(|row| {
        let rounds: Vec<_> = row.rounds.iter().map(f64::to_string).collect();
        let met = if row.met { "yes" } else { "no" };
        vec![
            row.measure.clone(),
            row.goal.clone(),
            row.reached.to_string(),
            rounds.join(", "),
            met.into(),
        ]
    });
    table(&["ratio", "goal", "reached", "in each round", "met"], rows)
}

fn one_way(run: &Run) -> String {
    let rows = run.one_way.iter().map(|row| {
        let numbers = [row.median_ns, row.p99_ns, row.p999_ns, row.cache_lines];
        let mut cells = vec![row.name.clone(), row.waits.clone()];
        cells.extend(numbers.map(|it| it.to_string()));
        cells.push(row.copies.to_string());
        cells
    });
    table(&["way", "who waits", "median", "p99", "p99.9", "cache lines", "copies"], rows)
}

fn payloads(run: &Run, number: fn(&crate::results::Payload) -> Option<f64>) -> String {
    let mut ways: Vec<(&str, u8, BTreeMap<usize, f64>)> = Vec::new();
    for row in &run.payloads {
        let Some(number) = number(row) else { continue };
        if ways.last().is_none_or(|it| it.0 != row.name) {
            ways.push((&row.name, row.copies, BTreeMap::new()));
        }
        if let Some(way) = ways.last_mut() {
            way.2.insert(row.bytes, number);
        }
    }
    let sizes = SIZES.map(|words| words * 4);
    let rows = ways.into_iter().map(|(name, copies, numbers)| {
        let mut cells = vec![name.to_owned(), copies.to_string()];
        cells.extend(sizes.map(|size| numbers.get(&size).map_or("-".into(), f64::to_string)));
        cells
    });
    let sizes = sizes.map(|it| it.to_string());
    let head: Vec<_> =
        ["way", "copies"].into_iter().chain(sizes.iter().map(String::as_str)).collect();
    table(&head, rows)
}

fn readers(run: &Run) -> String {
    let mut ways: Vec<Vec<String>> = Vec::new();
    let mut head = vec!["readers".to_owned()];
    for row in &run.readers {
        if ways.last().is_none_or(|it| it[0] != row.name) {
            ways.push(vec![row.name.clone()]);
        }
        if ways.len() == 1 {
            head.push(row.readers.to_string());
        }
        if let Some(way) = ways.last_mut() {
            way.push(row.publish_ns.to_string());
        }
    }
    table(&head.iter().map(String::as_str).collect::<Vec<_>>(), ways.into_iter())
}

fn steps(run: &Run) -> String {
    table(&["step", "ns"], run.steps.iter().map(|row| vec![row.name.clone(), row.ns.to_string()]))
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}
