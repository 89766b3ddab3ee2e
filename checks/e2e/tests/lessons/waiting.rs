//! Waiting. No figure is asserted: the machine may be busy.

use super::lesson;

#[test]
fn each_way_takes_turns() {
    let outcome = lesson("wait-ways");
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let ways = ["spin", "futex", "condvar", "sem_t", "eventfd", "pipe", "socket", "System V queue"];
    for (line, way) in lines[1..].iter().zip(ways) {
        let figures = line.strip_prefix(way).unwrap_or_else(|| panic!("no {way}: {outcome:#?}"));
        let figures: Vec<f64> =
            figures.split_whitespace().filter_map(|it| it.parse().ok()).collect();
        let [median, most, sleeps] = figures[..] else { panic!("{line}") };
        assert!(median > 0.0 && most >= median && sleeps >= 0.0, "{line}");
    }
    assert_eq!(lines[9..], ["inotify, after a store: EAGAIN", "inotify, after pwrite: 1 event"]);
}
