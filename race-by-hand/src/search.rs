//! Every schedule of a scenario, one after the other.

use std::collections::BTreeMap;

use terminal::{Stop, Terminal};

use crate::run::{Choice, Run, Schedule};
use crate::scenario::{Verdict, Version};

/// A schedule that is longer than this is given up: a loop may have no end.
pub(crate) const MOST_STEPS: usize = 100;

/// A search gives up after this many schedules, unless the person says otherwise.
pub(crate) const MOST_SCHEDULES: u64 = 100_000;

/// A depth-first search through all schedules, from the first (process 1 as long as it can) to the
/// last. Each is run from the beginning, with new processes.
pub(crate) struct Search {
    version: &'static Version,
    /// The schedule to run next, as far as it is decided; `None` after the last.
    next: Option<Vec<Choice>>,
    pub(crate) findings: Findings,
}

/// What a search has found so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    pub(crate) schedules: u64,
    pub(crate) reached: u64,
    /// How many schedules came to each end.
    pub(crate) ends: BTreeMap<Verdict, u64>,
    /// Of the schedules that reach the goal the shortest, and of these the one that changes between
    /// the processes least often.
    pub(crate) shortest: Option<Schedule>,
    /// How many were given up after [`MOST_STEPS`].
    pub(crate) given_up: u64,
    /// All schedules have been run.
    pub(crate) complete: bool,
}

impl Search {
    pub(crate) fn new(version: &'static Version) -> Self {
        Self { version, next: Some(Vec::new()), findings: Findings::default() }
    }

    /// Runs one more schedule; false if there is none.
    pub(crate) fn advance(&mut self, terminal: &mut Terminal) -> Result<bool, Stop> {
        let Some(decided) = self.next.take() else { return Ok(false) };
        let mut run = Run::start(self.version, terminal)?;
        // What else would have been possible at each step, after what was chosen.
        let mut others: Vec<Vec<Choice>> = Vec::new();
        let verdict = loop {
            if let Some(verdict) = run.verdict() {
                break Some(verdict);
            }
            let step = run.taken.len();
            if step == MOST_STEPS {
                break None;
            }
            let choices = run.choices();
            let choice = decided.get(step).copied().unwrap_or(choices[0]);
            others.push(choices.into_iter().filter(|it| *it > choice).collect());
            run.take(choice, terminal)?;
        };
        let schedule = run.schedule();
        self.next = (0..others.len()).rev().find_map(|step| {
            let other = *others[step].first()?;
            Some([&schedule.0[..step], &[other]].concat())
        });
        self.findings.count(verdict, schedule);
        self.findings.complete = self.next.is_none();
        Ok(true)
    }
}

impl Findings {
    fn count(&mut self, verdict: Option<Verdict>, schedule: Schedule) {
        self.schedules += 1;
        let Some(verdict) = verdict else {
            self.given_up += 1;
            return;
        };
        if verdict.reached {
            self.reached += 1;
            let cost = |it: &Schedule| {
                (it.0.len(), it.0.windows(2).filter(|pair| pair[0] != pair[1]).count())
            };
            if self.shortest.as_ref().is_none_or(|it| cost(&schedule) < cost(it)) {
                self.shortest = Some(schedule);
            }
        }
        *self.ends.entry(verdict).or_default() += 1;
    }

    /// The result in a sentence: "20 schedules, 18 lose a count".
    pub(crate) fn summary(&self, [one, many]: [&str; 2]) -> String {
        let Self { schedules, reached, complete, given_up, .. } = self;
        let word = if *schedules == 1 { "schedule" } else { "schedules" };
        let whole = *complete && *given_up == 0;
        let reached = match reached {
            0 if whole => format!("none {one}"),
            0 => format!("none of these {one}"),
            1 => format!("1 {one}"),
            _ => format!("{reached} {many}"),
        };
        let rest = match (complete, given_up) {
            (false, _) => "; there are more".into(),
            (true, 0) => String::new(),
            (true, _) => format!("; {given_up} given up after {MOST_STEPS} steps"),
        };
        format!("{schedules} {word}, {reached}{rest}")
    }
}
