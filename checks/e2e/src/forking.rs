//! Tests that fork. cargo's harness runs every test in a thread, and a process with several threads must
//! not fork; so these bring their own main, which runs them one after the other in its only thread.
//!
//! libtest-mimic would do the same, but it wants clap with all its features. In one build with the programs
//! they would get them too, and no longer be what a student runs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use terminal::{Stop, Terminal};

/// A test, which fails by what it returns or by a panic.
pub type Test = fn(&mut Terminal) -> Result<(), Stop>;

/// Runs those of `tests` whose name has the first argument in it, or all: `cargo test -- mutex`. Options of
/// cargo's harness are ignored.
///
/// # Panics
///
/// If there is no watching of signals.
#[must_use]
pub fn run(tests: &[(&str, Test)]) -> ExitCode {
    let filter = std::env::args().skip(1).find(|it| !it.starts_with('-')).unwrap_or_default();
    let mut terminal = Terminal::new().expect("signals");
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests.iter().filter(|(name, _)| name.contains(&filter)) {
        let ended = catch_unwind(AssertUnwindSafe(|| test(&mut terminal)));
        let ended = match &ended {
            Ok(Ok(())) => String::from("ok"),
            Ok(Err(stop)) => format!("FAILED: {stop:?}"),
            Err(_) => String::from("FAILED: a panic, see above"),
        };
        *(if ended == "ok" { &mut passed } else { &mut failed }) += 1;
        println!("test {name} ... {ended}");
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    let others = tests.len() - passed - failed;
    println!("\ntest result: {result}. {passed} passed; {failed} failed; {others} filtered out");
    ExitCode::from(u8::from(failed > 0) * 101)
}
