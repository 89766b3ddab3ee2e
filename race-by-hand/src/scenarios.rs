//! All scenarios. A new one is a file of its own and a line here.

mod aba;
mod dead_writer;
mod first_comer;
mod limit;
mod lost_update;
mod peterson;
mod publish;
mod seqlock;
mod spin_lock;
mod torn;

use crate::scenario::Scenario;

/// In the order in which they are best played.
pub(crate) static ALL: [&Scenario; 10] = [
    &lost_update::SCENARIO,
    &limit::SCENARIO,
    &torn::SCENARIO,
    &seqlock::SCENARIO,
    &publish::SCENARIO,
    &first_comer::SCENARIO,
    &spin_lock::SCENARIO,
    &dead_writer::SCENARIO,
    &aba::SCENARIO,
    &peterson::SCENARIO,
];

pub(crate) fn find(name: &str) -> Option<&'static Scenario> {
    ALL.into_iter().find(|it| it.name == name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::lines::wrap;

    #[test]
    fn texts_fit_into_the_smallest_window() {
        for scenario in ALL {
            assert!(scenario.about.len() <= 63, "{}", scenario.about);
            for version in scenario.wrong.iter().chain([&scenario.right]) {
                let goal = format!("Goal: {}", version.goal);
                assert!(wrap(&goal, 80).len() <= 2, "{goal}");
            }
        }
    }

    #[test]
    fn the_places_of_the_cures_exist() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let texts =
            ALL.iter().flat_map(|it| [it.cure, it.explanation]).chain([crate::scenario::LIMITS]);
        let is_sign = |it: char| !it.is_alphanumeric();
        let words = texts.flat_map(str::split_whitespace).map(|it| it.trim_matches(is_sign));
        let paths: Vec<_> = words.filter(|it| it.contains('/')).collect();
        assert!(paths.contains(&"docs/the-race.md"), "{paths:?}");
        for path in paths {
            assert!(workspace.join(path).exists(), "{path}");
        }
    }
}
