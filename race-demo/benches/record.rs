//! What a publication and a snapshot of the 68-byte record cost when nobody else is there, next to a
//! bare copy of 68 bytes.
//!
//! ```text
//! cargo bench -p race-demo
//! ```

use std::hint::black_box;

use common::mapping::Mapping;
use common::sync::mutex::{Lock, Mutex};
use common::sync::semaphore::Semaphore;
use common::sync::seqlock::SeqLock;
use common::sysv::Key;
use common::{ConnStat, ReadWrite, SharedConnStat};
use criterion::Criterion;

const WORDS: usize = size_of::<ConnStat>() / size_of::<u32>();

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let stat = ConnStat::new([127, 0, 0, 1].into());
    copy(&mut criterion, stat);
    none(&mut criterion, stat);
    seqlock(&mut criterion, bytemuck::cast(stat));
    mutex(&mut criterion, stat);
    semaphore(&mut criterion, stat);
    criterion.final_summary();
}

fn copy(criterion: &mut Criterion, stat: ConnStat) {
    let mut copied = stat;
    criterion.bench_function("copy of 68 bytes", |bencher| {
        bencher.iter(|| *black_box(&mut copied) = *black_box(&stat));
    });
}

fn none(criterion: &mut Criterion, stat: ConnStat) {
    let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous().expect("pages");
    let mut group = criterion.benchmark_group("none");
    group.bench_function("publish", |bencher| {
        bencher.iter(|| shared.writer().store(black_box(&stat)));
    });
    group.bench_function("snapshot", |bencher| bencher.iter(|| shared.load()));
}

fn seqlock(criterion: &mut Criterion, words: [u32; WORDS]) {
    let shared = Mapping::<SeqLock<WORDS>, ReadWrite>::anonymous().expect("pages");
    let mut group = criterion.benchmark_group("seqlock");
    group.bench_function("publish", |bencher| {
        bencher.iter(|| shared.writer().publish(black_box(words)));
    });
    group.bench_function("snapshot", |bencher| bencher.iter(|| shared.snapshot(1)));
}

fn mutex(criterion: &mut Criterion, stat: ConnStat) {
    let shared = Mutex::<SharedConnStat>::anonymous().expect("a mutex");
    let lock = || match shared.lock() {
        Ok(Lock::Clean(guard)) => guard,
        other => panic!("{other:?}"),
    };
    let mut group = criterion.benchmark_group("mutex");
    group.bench_function("publish", |bencher| {
        bencher.iter(|| lock().writer().store(black_box(&stat)));
    });
    group.bench_function("snapshot", |bencher| bencher.iter(|| lock().writer().load()));
}

fn semaphore(criterion: &mut Criterion, stat: ConnStat) {
    let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous().expect("pages");
    let semaphore = Semaphore::create(Key::Private, 0o600).expect("a semaphore");
    let mut group = criterion.benchmark_group("semaphore");
    group.bench_function("publish", |bencher| {
        bencher.iter(|| {
            let _held = semaphore.lock();
            shared.writer().store(black_box(&stat));
        });
    });
    group.bench_function("snapshot", |bencher| {
        bencher.iter(|| {
            let _held = semaphore.lock();
            shared.load()
        });
    });
    group.finish();
    semaphore.remove().expect("removed");
}
