//! docs/how-fast.md shows the run that is stored in checks/bench/results.json, and nothing else.
//!
//! The bench itself is not compiled here: it needs crates that no lesson needs.

use std::fs;

use e2e::workspace;
use serde_json::Value;

/// A table of the page, and what it must show.
type Rows = Vec<Vec<String>>;

/// The payloads that the page's table shows.
const SIZES: [&str; 3] = ["64", "4096", "1048576"];

#[test]
fn the_page_shows_the_stored_run() {
    let run = run();
    let one_way = ["name", "waits", "median_ns", "p99_ns", "cache_lines"];
    for (part, mut stored) in [
        ("goals", goals(&run)),
        ("one way", rows(&run["one_way"], &one_way)),
        ("payloads", payloads(&run)),
        ("steps", rows(&run["steps"], &["name", "ns"])),
    ] {
        let mut shown = table(part);
        let head = shown.remove(0);
        if part == "payloads" {
            assert_eq!(head[2..], SIZES, "what is in the head belongs to each cell below it");
        }
        if part == "steps" {
            // The page leaves some out: see UNSHOWN in checks/bench/src/page.rs.
            stored.retain(|row| !unshown().contains(&row[0]));
        }
        assert!(stored.len() > 8, "{part}: little is stored");
        stored.sort();
        shown.sort();
        assert_eq!(shown, stored, "{part}: the page, and the stored run");
    }
}

#[test]
fn the_page_names_the_machine_of_the_stored_run() {
    let (run, shown) = (run(), part("machine"));
    for what in ["cpu", "cores", "virtual", "kernel", "pinned", "load before", "date"] {
        let it = run["machine"][what].as_str().expect(what);
        assert!(!it.is_empty() && shown.contains(it), "{what}: {it:?} is not in {shown}");
    }
    for (name, version) in run["versions"].as_object().expect("versions") {
        let it = format!("{name} {}", version.as_str().expect("a version"));
        assert!(shown.contains(&it), "{it} is not in {shown}");
    }
}

#[test]
fn every_row_is_one_that_the_bench_measures() {
    let source = ["ways.rs", "beside.rs", "single.rs", "results.rs"]
        .map(|it| fs::read_to_string(workspace().join("checks/bench/src").join(it)).expect(it))
        .concat();
    for part in ["one way", "payloads", "steps"] {
        for row in table(part).iter().skip(1) {
            assert!(
                source.contains(&format!("\"{}\"", row[0])),
                "{part}: the bench has no {row:?}"
            );
        }
    }
    // And nothing that it measures is missing.
    let listed = source.split("ways![").nth(1).and_then(|it| it.split("];").next()).expect("WAYS");
    let listed = listed.lines().filter_map(|it| it.trim().strip_prefix('"')?.split_once("\", \""));
    let listed: Vec<_> = listed.map(|it| it.0.to_owned()).collect();
    let shown: Vec<_> = table("one way").into_iter().skip(1).map(|row| row[0].clone()).collect();
    assert!(listed.len() > 20, "{listed:?}");
    assert_eq!(shown, listed, "the page, and the list of the bench");
}

#[test]
fn its_pictures_are_those_of_the_bench() {
    let plots = fs::read_to_string(workspace().join("checks/bench/src/plots.rs")).expect("plots");
    let files: Vec<_> =
        plots.split("file: \"").skip(1).filter_map(|it| it.split('"').next()).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let shown = part(file);
        let title = shown.split_once("![").and_then(|it| it.1.split_once("](")).expect(file).0;
        let path = workspace().join("docs/figures").join(file);
        let figure = fs::read_to_string(path).expect(file);
        assert!(figure.contains(&format!("<title>{title}</title>")), "{file}: {title}");
        assert!(figure.contains("fill=\"#ffffff\""), "{file}: no white ground");
        assert!(plots.contains(title), "{file}: the bench would give it another title");
    }
}

fn run() -> Value {
    let path = workspace().join("checks/bench/results.json");
    serde_json::from_str(&fs::read_to_string(path).expect("a stored run")).expect("JSON")
}

/// What --update-docs has written into the page under this name.
fn part(name: &str) -> String {
    let page = fs::read_to_string(workspace().join("docs/how-fast.md")).expect("the page");
    let begin = format!("<!-- {name}: from checks/bench/results.json -->");
    let (_, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("no end of {begin}")).0.to_owned()
}

/// The cells of a table, the head first, with every number written in one way.
fn table(name: &str) -> Rows {
    let text = part(name);
    let lines = text.lines().filter(|it| it.starts_with("| ") && !it.starts_with("| ---"));
    let rows =
        lines.map(|it| it.trim_matches('|').split(" | ").map(|it| plain(it.trim())).collect());
    rows.collect()
}

/// The goals, those with readers beside the writer in one row: the least of them.
fn goals(run: &Value) -> Rows {
    let all = run["goals"].as_array().expect("goals").clone();
    let (by_readers, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|it| it["measure"].as_str().expect("a measure").ends_with(" readers"));
    let columns = ["measure", "goal", "reached", "rounds"];
    let mut goals = rows(&Value::from(others), &columns);
    let least = |of: &dyn Fn(&Value) -> &Value| {
        let numbers = by_readers.iter().map(|it| of(it).as_f64().expect("a number"));
        numbers.fold(f64::MAX, f64::min).to_string()
    };
    let rounds = by_readers[0]["rounds"].as_array().expect("rounds").len();
    let rounds: Vec<_> = (0..rounds).map(|at| least(&|it| &it["rounds"][at])).collect();
    goals.push(vec![
        format!("publish, mutex / seqlock, least of 1 to {} readers", by_readers.len()),
        shown(&by_readers[0]["goal"]),
        least(&|it| &it["reached"]),
        rounds.join(", "),
    ]);
    goals
}

/// A row for each way that carries payloads.
fn payloads(run: &Value) -> Rows {
    let mut ways: Rows = Vec::new();
    for row in rows(&run["payloads"], &["name", "copies", "bytes", "one_way_ns"]) {
        if row[3] == "-" {
            continue;
        }
        if ways.last().is_none_or(|it| it[0] != row[0]) {
            ways.push([&row[..2], &["-", "-", "-"].map(str::to_owned)].concat());
        }
        if let Some(at) = SIZES.iter().position(|it| *it == row[2]) {
            let way = ways.last_mut().expect("a way");
            way[2 + at].clone_from(&row[3]);
        }
    }
    ways
}

/// The steps that the generator leaves out.
fn unshown() -> Vec<String> {
    let page = fs::read_to_string(workspace().join("checks/bench/src/page.rs")).expect("page.rs");
    let list = page.split("const UNSHOWN").nth(1).and_then(|it| it.split("];").next());
    let list = list.expect("UNSHOWN").split('"').skip(1).step_by(2);
    list.map(str::to_owned).collect()
}

fn rows(stored: &Value, columns: &[&str]) -> Rows {
    let stored = stored.as_array().expect("rows").iter();
    stored.map(|row| columns.iter().map(|it| shown(&row[*it])).collect()).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::Bool(met) => if *met { "yes" } else { "no" }.into(),
        Value::String(text) => plain(text),
        Value::Array(all) => all.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => plain(&other.to_string()),
    }
}

/// 12.0 and 12 are one number.
fn plain(text: &str) -> String {
    text.parse::<f64>().map_or(text.to_owned(), |it| it.to_string())
}
