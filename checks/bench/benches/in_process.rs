//! What a step costs within one process: those of the bench, measured by criterion.
//!
//! ```text
//! cargo bench --manifest-path checks/bench/Cargo.toml
//! cargo bench --manifest-path checks/bench/Cargo.toml -- --quick
//! ```
//!
//! A step that the page counts per page is measured here for all 256 of them.

use std::time::Instant;

use bench::single::SINGLES;
use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for single in SINGLES {
        criterion.bench_function(single.name, |bencher| {
            let mut work = (single.make)().expect(single.name);
            bencher.iter_custom(|times| {
                let mut left = times;
                let start = Instant::now();
                while left > 0 {
                    let now = u32::try_from(left).unwrap_or(u32::MAX);
                    work(now);
                    left -= u64::from(now);
                }
                start.elapsed()
            });
        });
    }
    criterion.final_summary();
}
