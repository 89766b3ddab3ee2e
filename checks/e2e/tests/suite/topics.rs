//! docs/topics.md: what the textbooks teach, and where it runs here. That its links lead somewhere is tried
//! in `pages`.

use std::fs;

use e2e::workspace;

/// The topics of the textbooks and man pages.
const TOPICS: usize = 89;
/// How many of them must run.
const RUN: usize = 81;

#[test]
fn most_topics_run_and_no_name_is_dead() {
    let text = fs::read_to_string(workspace().join("docs/topics.md")).expect("the topics");
    let rows = text.lines().filter_map(|it| it.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.filter(|it| !it.starts_with("---") && !it.starts_with("Topic |"));
    let rows: Vec<_> = rows.filter_map(|it| it.split_once(" | ")).collect();
    assert_eq!(rows.len(), TOPICS, "a topic has been lost or added");

    let (mut wrong, mut run) = (Vec::new(), 0);
    for (topic, places) in rows {
        if places.starts_with("prose") {
            continue;
        }
        run += 1;
        for place in places.split("), ") {
            let linked = place.split_once("](").and_then(|(text, target)| {
                Some((text.split_once('[')?, target.trim_end_matches(')')))
            });
            let Some(((kind, name), target)) = linked else {
                wrong.push(format!("{topic}: {place} is no link"));
                continue;
            };
            // What it is called is the file's name: so a name that is there leads to what it says.
            let expected: &[String] = &match kind {
                "lesson " => vec![
                    format!("../lessons/examples/{name}.rs"),
                    format!("../lessons/examples/{name}/main.rs"),
                ],
                "exercise " => vec![format!("../exercises/exercises/{name}.rs")],
                _ => vec![target.to_owned()],
            };
            if !expected.iter().any(|it| it == target) {
                wrong.push(format!("{topic}: {name} leads to {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(run >= RUN, "{run} of {TOPICS} topics run");
}
