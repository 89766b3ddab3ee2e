//! The game in plain lines, for pages, tests and exercises.

use terminal::data;
use terminal::{Stop, Terminal};

use crate::run::{Choice, Run, Schedule, State};
use crate::scenario::{GUARANTEE, Scenario, Version};
use crate::scenarios::ALL;
use crate::search::Search;
use crate::step::Place;

/// Prints what there is to play.
pub(crate) fn list(terminal: &mut Terminal) -> Result<(), Stop> {
    for scenario in ALL {
        data!(terminal, "{:12} {}", scenario.name, scenario.about)?;
    }
    Ok(())
}

/// Prints the scenario, and what comes of `schedule`.
pub(crate) fn play(
    scenario: &'static Scenario,
    cure: bool,
    schedule: Option<&Schedule>,
    terminal: &mut Terminal,
) -> Result<(), Stop> {
    let version = scenario.version(cure);
    data!(terminal, "{}: {}", scenario.name, version.title)?;
    paragraph(terminal, &format!("goal: {}", version.goal))?;
    data!(terminal, "shown: {GUARANTEE}")?;
    let mut run = Run::start(version, terminal)?;
    let mut table = Table::new(&run);
    let mut places: Vec<_> = (0..2).filter_map(|it| place(&run, it)).collect();
    let mut taken = Ok(());
    for choice in schedule.map_or(&[][..], |it| &it.0) {
        taken = run.take(*choice, terminal);
        if taken.is_err() {
            break;
        }
        table.step(&run);
        places.extend((0..2).filter_map(|it| place(&run, it)));
    }

    let mut shown = Vec::new();
    for place in places {
        let source = &version.sources[place.source];
        let function = source.function(place.line);
        if shown.contains(&(place.source, function.first)) {
            continue;
        }
        shown.push((place.source, function.first));
        data!(terminal, "\n{}", source.file())?;
        for (line, text) in (function.first..).zip(&function.lines) {
            data!(terminal, "{}", format!("{line:4}  {text}").trim_end())?;
        }
    }

    data!(terminal, "")?;
    for line in table.lines() {
        data!(terminal, "{line}")?;
    }
    taken?;

    data!(terminal, "")?;
    let Some(verdict) = run.verdict() else {
        for process in 0..2 {
            data!(terminal, "process {}: {}", process + 1, now(&run, process))?;
        }
        return Ok(());
    };
    let (headline, text) = scenario.conclusion(&verdict, cure);
    data!(terminal, "{headline}.")?;
    paragraph(terminal, &text)
}

fn paragraph(terminal: &mut Terminal, text: &str) -> Result<(), Stop> {
    wrap(text, 90).iter().try_for_each(|line| data!(terminal, "{line}"))
}

/// Runs every schedule, at most `at_most`, and prints what they come to.
pub(crate) fn search(
    version: &'static Version,
    at_most: u64,
    terminal: &mut Terminal,
) -> Result<(), Stop> {
    let mut search = Search::new(version);
    while search.findings.schedules < at_most && search.advance(terminal)? {
        // A signal is noticed here.
        terminal.pause(std::time::Duration::ZERO)?;
    }
    let findings = search.findings;
    for (verdict, count) in &findings.ends {
        data!(terminal, "{count:8}  {}", verdict.said)?;
    }
    data!(terminal, "{}", findings.summary(version.deed))?;
    match findings.shortest {
        Some(shortest) => data!(terminal, "the shortest: {shortest}"),
        None => Ok(()),
    }
}

/// Where a process is: what it will do next, or how it has ended.
pub(crate) fn now(run: &Run, process: usize) -> String {
    match run.state(process) {
        State::Before(step) if run.waits(process) => {
            run.version.will(step.action).replacen("wait", "waits", 1)
        }
        State::Before(step) => {
            format!("next, line {}: {}", step.place.line, run.version.will(step.action))
        }
        State::Done(answer) => answer.to_string(),
        State::Killed(step) => format!("killed before line {}", step.place.line),
    }
}

fn place(run: &Run, process: usize) -> Option<Place> {
    match run.state(process) {
        State::Before(step) => Some(step.place),
        _ => None,
    }
}

/// A column for each process and each word, a line for each step.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(run: &Run) -> Self {
        let head = ["process 1", "process 2"].into_iter().chain(run.version.words.iter().copied());
        let start = vec![String::new(), String::new()];
        let words = Self::words(run, &run.start);
        Self { rows: vec![head.map(String::from).collect(), [start, words].concat()] }
    }

    fn words(run: &Run, words: &[u32]) -> Vec<String> {
        (0..).zip(words).map(|(word, value)| run.version.value(word, *value)).collect()
    }

    fn step(&mut self, run: &Run) {
        let Some(taken) = run.taken.last() else { return };
        let line = taken.step.place.line;
        let mut row = vec![String::new(), String::new()];
        match taken.choice {
            Choice::Kill => row[0] = "killed".into(),
            Choice::Step(process) => {
                row[process] =
                    format!("{line}: {}", run.version.has(taken.step.action, taken.found));
            }
        }
        self.rows.push([row, Self::words(run, &taken.words)].concat());
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: Vec<_> = (0..self.rows[0].len()).map(width).collect();
        self.rows.iter().map(move |row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
    }
}

/// The text in lines of at most `width` characters, if no word is longer.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}
