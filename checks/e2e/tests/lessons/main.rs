//! The programs of the package lessons, run as real processes. One file for each group of lessons/README.md.

use std::path::Path;
use std::process::Command;

use e2e::{Outcome, Running, example};

mod crashes;
mod layout;
mod names;
mod pages;
mod ring_hostile;
mod ring_kills;
mod streams;
mod sysv;
mod waiting;

/// Runs an example to its end, which must be exit status 0.
#[track_caller]
fn lesson(name: &str) -> Outcome {
    Running::start(&mut example(name)).finish().exited(0)
}

/// Runs an example, whose stdout must be these lines.
#[track_caller]
fn prints(name: &str, lines: &[&str]) -> Outcome {
    let outcome = lesson(name);
    assert_eq!(outcome.stdout.lines().collect::<Vec<_>>(), lines, "{outcome:#?}");
    outcome
}

/// A command that runs a C program of checks/e2e/peers; `None` without a C compiler.
fn peer(name: &str) -> Option<Command> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lessons");
    e2e::peer(name, &directory).map(Command::new)
}

/// The halves of a pair may be longer: they have two terminals to narrate. So may what has both in one.
const PAIRS: &[&str] = &[
    "posix-writer",
    "posix-reader",
    "memfd-owner",
    "memfd-guest",
    "ring-send",
    "ring-receive",
    "ring-or-pipe",
];

#[test]
fn every_lesson_is_short_has_its_header_and_stands_in_the_table() {
    let folder = e2e::workspace().join("lessons");
    let table = std::fs::read_to_string(folder.join("README.md")).expect("the table");
    for entry in std::fs::read_dir(folder.join("examples")).expect("the examples") {
        let path = entry.expect("an example").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        // One with modules is a directory with a main.rs.
        let modules = path.is_dir();
        let main = if modules { path.join("main.rs") } else { path };
        let text = std::fs::read_to_string(&main).expect("an example");
        let limit = if modules || PAIRS.contains(&name.as_str()) { 100 } else { 60 };
        assert!(text.lines().count() <= limit, "{name} has {} lines", text.lines().count());
        for needed in [
            &format!("//! cargo run -p lessons --example {name}\n"),
            "//! predict: ",
            "#![forbid(unsafe_code)]",
        ] {
            assert!(text.contains(needed), "{name} has no {needed:?}");
        }
        let file = if modules { format!("{name}/main.rs") } else { format!("{name}.rs") };
        assert!(table.contains(&format!("[{name}](examples/{file})")), "{name} has no row");
    }
}
