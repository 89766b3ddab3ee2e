//! Has loom run the record, the header, the seqlock and the two slots of `common` in the orders that Rust's memory
//! model allows: those that loom knows, with at most three forced switches between the threads.
//!
//! The files themselves are compiled here a second time, with the atomics of [`atomic`] in the place
//! of std's. So what is checked is the source that runs, and the source knows nothing of the check.
//!
//! Whether a check can fail is checked too: [`places_that_keep_order`] weakens each fence and each
//! order that a check comes by, one after the other, and each time loom must find something wrong.
//! tests/orders.rs calls it. The ring has a model of its own, tests/ring.rs.

// The files of common, whose own package looks at their documentation.
#![allow(missing_docs, unreachable_pub, dead_code)]
#![allow(clippy::must_use_candidate, clippy::missing_errors_doc, clippy::missing_panics_doc)]

pub mod atomic;

#[rustfmt::skip] // It looks for their tests beside them.
#[path = "../../../common/src/conn_stat.rs"]
pub mod conn_stat;
#[path = "../../../common/src/header.rs"]
pub mod header;
#[path = "../../../common/src/printable.rs"]
pub mod printable;
#[rustfmt::skip] // It looks for their tests beside them.
#[path = "../../../common/src/shared.rs"]
pub mod shared;
#[path = "../../../common/src/shared_text.rs"]
pub mod shared_text;
#[path = "../../../common/src/words.rs"]
pub mod words;

pub mod ready;
pub mod record;
pub mod sync;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use atomic::Place;
pub use shared::SharedMemory;
pub use shared_text::SharedText;

/// Runs `threads` in each order that loom knows, with at most three forced switches.
pub(crate) fn in_each_order(threads: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        atomic::forget_words();
        threads();
    });
}

/// Runs `check`, and then again with each fence left out and each order made relaxed that it came by,
/// one at a time. Returns the places where they stand.
///
/// # Panics
///
/// If `check` fails as the source is, or does not fail with one of them weakened.
#[must_use]
pub fn places_that_keep_order(check: impl Fn()) -> Vec<Place> {
    let places = atomic::places_of(&check);
    for &place in &places {
        let found = catch_unwind(AssertUnwindSafe(|| atomic::weakened(place, &check)));
        assert!(found.is_err(), "loom finds nothing wrong without the order at {place:?}");
    }
    places
}
