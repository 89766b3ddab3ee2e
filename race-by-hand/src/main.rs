//! You are the scheduler of two real processes over one shared page.
//!
//! Both stop before every access to the page, and you say who goes on. So you make happen, step by
//! step, what otherwise happens once in a million times.
//!
//! ```text
//! cargo run -p race-by-hand -- lost-update
//! cargo run -p race-by-hand -- lost-update --search
//! ```
//!
//! Read first a scenario, such as `scenarios/lost_update.rs`: what the screen shows is what runs.
//! Then `atomic.rs`: how a process stops. Then `run.rs`: how the scheduler lets it go on.

#![forbid(unsafe_code)]

mod atomic;
mod game;
mod lines;
mod page;
mod pane;
mod run;
mod scenario;
mod scenarios;
mod screen;
mod search;
mod source;
mod step;

// The very file of `common`, over the atomics of this package.
#[allow(dead_code, unreachable_pub, missing_docs, clippy::must_use_candidate)]
#[path = "../../common/src/sync/seqlock.rs"]
mod seqlock;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use run::Schedule;
use terminal::{Stop, Terminal};

/// Be the scheduler of two real processes: which of them makes its next access?
#[derive(Parser)]
#[command(version)]
struct Args {
    /// What to play; without it, choose from a list
    #[arg(value_parser = PossibleValuesParser::new(scenarios::ALL.map(|it| it.name)))]
    scenario: Option<String>,

    /// Play it as it is put right
    #[arg(long, requires = "scenario")]
    cure: bool,

    /// Play these steps and print them: 1 and 2 for a process, k for the kill
    #[arg(long, value_name = "STEPS", requires = "scenario")]
    schedule: Option<Schedule>,

    /// Run every schedule, and print how many there are and what they come to
    #[arg(long, requires = "scenario", conflicts_with = "schedule")]
    search: bool,

    /// Stop the search after so many schedules
    #[arg(long, value_name = "N", default_value_t = search::MOST_SCHEDULES, requires = "search")]
    at_most: u64,
}

fn main() -> ExitCode {
    terminal::run(start)
}

fn start(args: &Args, terminal: &mut Terminal) -> Result<(), Stop> {
    let scenario = args.scenario.as_deref().and_then(scenarios::find);
    let plain = args.search || args.schedule.is_some();
    if !plain && io::stdin().is_terminal() && io::stdout().is_terminal() {
        return game::play(scenario, args.cure, terminal);
    }
    let Some(scenario) = scenario else {
        return lines::list(terminal);
    };
    if args.search {
        lines::search(scenario.version(args.cure), args.at_most, terminal)
    } else {
        lines::play(scenario, args.cure, args.schedule.as_ref(), terminal)
    }
}
