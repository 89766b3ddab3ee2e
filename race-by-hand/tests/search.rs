//! The searches and schedules of race-by-hand, run as a person runs them.

use std::path::Path;
use std::process::{Command, Output};

fn hand(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_race-by-hand"));
    command.args(args).env("RUST_BACKTRACE", "0").output().expect("it starts")
}

/// The lines on stdout of a run that goes well.
#[track_caller]
fn lines(args: &[&str]) -> Vec<String> {
    let output = hand(args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

/// What `--search` says: the sentence, and the shortest schedule that reaches the goal.
#[track_caller]
fn search(args: &[&str]) -> (String, Option<String>) {
    let lines = lines(&[args, &["--search"]].concat());
    let shortest = lines.iter().find_map(|it| it.strip_prefix("the shortest: "));
    let summary = lines.iter().find(|it| it.contains(" schedule")).expect("a summary");
    (summary.clone(), shortest.map(str::to_owned))
}

const WRONG: [&str; 8] =
    ["lost-update", "limit", "torn", "publish", "first-comer", "spin-lock", "dead-writer", "aba"];
const RIGHT: [&str; 2] = ["seqlock", "peterson"];

/// Each count is worked out here, not copied from the program.
#[test]
fn counts_that_can_be_worked_out() {
    let cases: [(&[&str], &str); 11] = [
        // Load, add, store by each: C(6, 3) = 20 orders. A count survives only if one process stores
        // before the other loads. The store is the last step and the load the first, so one runs
        // after the other: 111222 and 222111. 20 - 2 = 18.
        (&["lost-update"], "20 schedules, 18 lose a count"),
        // One step each: 12 and 21.
        (&["lost-update", "--cure"], "2 schedules, none loses a count"),
        // Two stores by 1, two loads by 2: C(4, 2) = 6. 1122 [1, 1]; 1212 [1, 1], for each word is
        // stored before it is loaded; 1221 [1, 0]; 2112 [0, 1]; 2121 [0, 0]; 2211 [0, 0].
        (&["torn"], "6 schedules, 2 are torn"),
        // The writer sets the flag (w), then stores the data (W). The reader looks (l), waits if there
        // is no flag (v) and looks again, and loads the data (d). After w: W in one of three places
        // among l d. Before w: l w, then W in one of four places among v l d. 3 + 4 = 7. In each of
        // the two groups the reader is too early only if W comes last: 2.
        (&["publish"], "7 schedules, 2 read too early"),
        // Data (W), then flag (w). l after w: W w l d. l before w: l W w or W l w, then v l d. 1 + 2.
        (&["publish", "--cure"], "3 schedules, none reads too early"),
        // Load (L), start (S), ready (R), add (A). If both find it new, no L comes after the other's
        // R: of C(8, 4) = 70 orders of two times LSRA those go where one's L, and so all of it,
        // comes after the other's R, with the other's A in one of 5 places: 70 - 2 * 5 = 60. If one
        // finds it ready, it has L and A alone, among which the other's A has 3 places: 2 * 3 = 6.
        // Together 66. A count is wiped out where one's S comes after the other's A; its L then
        // stands before the other's R, in one of 3 places: 2 * 3 = 6.
        (&["first-comer"], "66 schedules, 6 initialise over a count"),
        // One swap gets the lock. The other's swap comes after 1, 2 or 3 of the owner's 4 steps and
        // fails, whereupon everything is decided, or after all 4: 4 orders for each owner.
        (&["spin-lock", "--cure"], "8 schedules, none loses a count"),
        // 886: the writer makes 5 steps, the reader 4 a try. A first try that succeeds ends it: its 4
        // loads stand before the odd store, in the first two of 6 gaps (5 ways), or after the even
        // one (1 way). All ways for 8 loads: C(13, 5) = 1287. Of these the first four succeed, and the
        // other four need not be counted, where the fourth stands in gap 0 (1 way, and C(9, 4) = 126
        // for the rest), in gap 1 (4 ways, and C(8, 4) = 70), or in the last (1). So
        // 1287 - 126 - 280 - 1 + 6 = 886.
        (&["seqlock"], "886 schedules, none is torn"),
        (&["torn", "--cure"], "886 schedules, none is torn"),
        // Process 1 makes 3 steps, process 2 makes 9 until it is disturbed by the compare-and-swap of
        // process 1, after which it is alone: C(12, 3) = 220. For ABA the compare-and-swap comes after
        // all 9. The load of the head comes before the third of the 9, that of what is below it
        // before the eighth (the store to next(1)), and after the first load: 8 + 7 + 6 = 21.
        (&["aba"], "220 schedules, 21 give a block away twice"),
        (&["aba", "--cure"], "220 schedules, none gives a block away twice"),
    ];
    for (args, expected) in cases {
        assert_eq!(search(args).0, expected, "{args:?}");
    }
}

/// The reader hangs if the writer dies with the lock, after 1, 2 or 3 of its 4 steps. The swap of the
/// reader, which fails, comes after one of these steps or after the death: 2 + 3 + 4 = 9.
#[test]
fn a_dead_writer_leaves_the_lock_in_nine_ways() {
    let (summary, _) = search(&["dead-writer"]);
    assert!(summary.ends_with("schedules, 9 hang"), "{summary}");
}

#[test]
fn what_is_wrong_goes_wrong_again_when_its_schedule_is_replayed() {
    for name in WRONG {
        replay(name, 3);
    }
}

#[test]
#[ignore = "the long form: cargo test -p race-by-hand -- --ignored"]
fn what_is_wrong_goes_wrong_again_100_times_of_100() {
    for name in WRONG {
        replay(name, 100);
    }
}

#[track_caller]
fn replay(name: &str, times: u32) {
    let (summary, shortest) = search(&[name]);
    let shortest = shortest.unwrap_or_else(|| panic!("{name}: {summary}"));
    let first = lines(&[name, "--schedule", &shortest]);
    assert!(first.contains(&"The goal is reached.".into()), "{name}: {first:#?}");
    for _ in 1..times {
        assert_eq!(lines(&[name, "--schedule", &shortest]), first, "{name}");
    }
}

#[test]
fn what_is_right_has_no_bad_schedule() {
    for args in WRONG.map(|it| vec![it, "--cure"]).into_iter().chain(RIGHT.map(|it| vec![it])) {
        let (summary, shortest) = search(&args);
        assert!(summary.contains("schedules, none "), "{args:?}: {summary}");
        assert!(!summary.contains("more") && shortest.is_none(), "{args:?}: {summary}");
    }
}

#[test]
fn all_scenarios_are_tested_here() {
    let listed = lines(&[]);
    let listed: Vec<_> = listed.iter().filter_map(|it| it.split(' ').next()).collect();
    let mut tested = [&WRONG[..], &RIGHT].concat();
    tested.sort_by_key(|it| listed.iter().position(|name| name == it));
    assert_eq!(listed, tested);
}

#[test]
fn a_search_that_is_cut_short_says_so_and_claims_nothing() {
    let (summary, _) = search(&["seqlock", "--at-most", "5"]);
    assert_eq!(summary, "5 schedules, none of these is torn; there are more");
}

/// The lines of the source that are shown are those of the file, with its numbers.
#[test]
fn what_is_shown_is_the_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (args, file) in [
        (["lost-update", "--schedule", "1"], "src/scenarios/lost_update.rs"),
        (["seqlock", "--schedule", "1"], "../common/src/sync/seqlock.rs"),
    ] {
        let source = std::fs::read_to_string(folder.join(file)).expect("the source");
        let source: Vec<_> = source.lines().map(str::trim).collect();
        let shown = lines(&args);
        let numbered = shown.iter().filter_map(|line| {
            let (number, text) = line.get(..4)?.trim().parse().ok().zip(line.get(4..))?;
            Some::<(usize, &str)>((number, text.trim()))
        });
        let numbered: Vec<_> = numbered.collect();
        assert!(numbered.len() >= 5, "{shown:#?}");
        for (number, text) in numbered {
            assert_eq!(source[number - 1], text, "{file}:{number}");
        }
    }
}

#[test]
fn a_step_that_is_not_possible_is_refused_with_its_reason() {
    for (args, reason) in [
        // Process 1 has the lock.
        (["spin-lock", "--cure", "--schedule", "122"], "process 2 waits while locked is 1"),
        (["lost-update", "--cure", "--schedule", "11"], "process 1 is done"),
        (["lost-update", "--cure", "--schedule", "k"], "nobody is killed in this scenario"),
        (["dead-writer", "--cure", "--schedule", "kk"], "process 1 is dead"),
    ] {
        let output = hand(&args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(stderr.contains(reason), "{args:?}: {stderr}");
    }
}

#[test]
fn each_step_says_what_it_found() {
    let shown = lines(&["dead-writer", "--schedule", "11112222"]).join("\n");
    for found in
        ["swap locked: 1 (was 0)", "store words[1]: 1", "load words[1]: 1", "The reader has [1, 1]"]
    {
        assert!(shown.contains(found), "no {found} in\n{shown}");
    }
    // The other has the lock.
    let shown = lines(&["dead-writer", "--schedule", "12"]).join("\n");
    assert!(shown.contains("swap locked: 1 (was 1)"), "{shown}");
}

#[test]
fn an_unfinished_schedule_says_where_everybody_is() {
    let shown = lines(&["publish", "--schedule", "2"]);
    let end = &shown[shown.len() - 2..];
    assert!(end[0].ends_with(": store ready: 1"), "{shown:#?}");
    assert_eq!(end[1], "process 2: waits while ready is 0");
}
