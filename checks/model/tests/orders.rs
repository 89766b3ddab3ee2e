//! All checks: they find nothing wrong, and they need every fence and every order that they come by.

use model::ready::check_header;
use model::record::{
    INCREMENT, INCREMENT_BELOW, Publish, STORE, check_limit, check_text_comes_with_count,
    check_two_writers,
};
use model::sync::{
    check_publish_and_snapshot, check_recovery, check_two_slots, check_two_slots_recovery,
};
use model::{Place, places_that_keep_order};

/// What keeps order in `check`, by file.
fn needed(check: impl Fn()) -> Vec<(&'static str, &'static str)> {
    let file = |path: &'static str| path.rsplit('/').next().unwrap_or(path);
    let place = |it: Place| (file(it.file), it.what);
    places_that_keep_order(check).into_iter().map(place).collect()
}

fn text_comes_with_count(publish: Publish, how: &'static str) {
    let mut expected = [("words.rs", "fence"), ("words.rs", how)];
    expected.sort_unstable();
    assert_eq!(needed(|| check_text_comes_with_count(publish)), expected);
}

#[test]
fn a_count_that_is_stored_comes_with_its_text() {
    text_comes_with_count(STORE, "store");
}

#[test]
fn a_count_that_is_added_to_comes_with_its_text() {
    text_comes_with_count(INCREMENT, "fetch_add");
}

#[test]
fn a_count_that_has_a_limit_comes_with_its_text() {
    text_comes_with_count(INCREMENT_BELOW, "compare_exchange");
}

#[test]
#[should_panic(expected = "count 1 and \"\"")]
fn the_text_is_not_stored_after_the_count() {
    check_text_comes_with_count(|writer, stat| {
        writer.store_count(stat);
        writer.store_ip(stat);
    });
}

#[test]
fn a_header_comes_with_what_was_stored_before() {
    assert_eq!(needed(|| check_header(true)), [("words.rs", "fence"), ("words.rs", "store")]);
}

#[test]
#[should_panic(expected = "a header came too early")]
fn nothing_is_stored_after_the_header() {
    check_header(false);
}

#[test]
fn two_writers_lose_no_count_and_no_text() {
    let orders = needed(|| check_two_writers(|writer| _ = writer.increment()));
    assert_eq!(orders.len(), 2, "{orders:?}");
    let orders = needed(|| check_two_writers(|writer| _ = writer.increment_below(3)));
    assert_eq!(orders.len(), 2, "{orders:?}");
}

#[test]
fn two_writers_keep_a_limit() {
    check_limit();
}

#[test]
fn a_seqlock_gives_whole_snapshots() {
    assert_eq!(needed(check_publish_and_snapshot), [("seqlock.rs", "fence"); 4]);
    (0..2).for_each(check_recovery);
}

#[test]
fn two_slots_give_whole_snapshots() {
    assert_eq!(needed(check_two_slots), [("two_slots.rs", "fence"); 4]);
    (0..2).for_each(check_two_slots_recovery);
}
