//! What a publication and a snapshot of the 68-byte record cost when nobody else is there, next to a
//! bare copy of 68 bytes.
//!
//! ```text
//! cargo bench -p race-demo
//! ```

use std::hint::black_box;

use common::mapping::Mapping;
use common::sync::mutex::{Lock, Mutex};
use common::sync::posix_semaphore::PosixSemaphore;
use common::sync::record_lock::RecordLock;
use common::sync::rwlock::RwLock;
use common::sync::semaphore::Semaphore;
use common::sync::seqlock::SeqLock;
use common::sync::two_slots::TwoSlots;
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
    two_slots(&mut criterion, bytemuck::cast(stat));
    mutex(&mut criterion, stat);
    posix_semaphore(&mut criterion, stat);
    rwlock(&mut criterion, stat);
    record_lock(&mut criterion, stat);
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

fn two_slots(criterion: &mut Criterion, words: [u32; WORDS]) {
    let shared = Mapping::<TwoSlots<WORDS>, ReadWrite>::anonymous().expect("pages");
    let mut group = criterion.benchmark_group("two-slots");
    group.bench_function("publish", |bencher| {
        bencher.iter(|| shared.writer().publish(|index| black_box(&words)[index]));
    });
    group.bench_function("snapshot", |bencher| bencher.iter(|| shared.snapshot(1)));
}

fn posix_semaphore(criterion: &mut Criterion, stat: ConnStat) {
    let semaphore = PosixSemaphore::anonymous().expect("a semaphore");
    guarded(criterion, "posix-semaphore", stat, || semaphore.lock(), || semaphore.lock());
}

fn rwlock(criterion: &mut Criterion, stat: ConnStat) {
    let lock = RwLock::anonymous().expect("a lock");
    guarded(criterion, "rwlock", stat, || lock.write(), || lock.read());
}

fn record_lock(criterion: &mut Criterion, stat: ConnStat) {
    let mut lock = RecordLock::anonymous().expect("a file");
    let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous().expect("pages");
    let mut group = criterion.benchmark_group("record-lock");
    group.bench_function("publish", |bencher| {
        bencher.iter(|| {
            let _held = lock.lock();
            shared.writer().store(black_box(&stat));
        });
    });
    group.bench_function("snapshot", |bencher| {
        bencher.iter(|| {
            let _held = lock.lock();
            shared.load()
        });
    });
}

fn semaphore(criterion: &mut Criterion, stat: ConnStat) {
    let semaphore = Semaphore::create(Key::Private, 0o600).expect("a semaphore");
    guarded(criterion, "semaphore", stat, || semaphore.lock(), || semaphore.lock());
    semaphore.remove().expect("removed");
}

/// A record beside its lock, which `write` and `read` take.
fn guarded<W, R>(
    criterion: &mut Criterion,
    name: &str,
    stat: ConnStat,
    write: impl Fn() -> W,
    read: impl Fn() -> R,
) {
    let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous().expect("pages");
    let mut group = criterion.benchmark_group(name);
    group.bench_function("publish", |bencher| {
        bencher.iter(|| {
            let _held = write();
            shared.writer().store(black_box(&stat));
        });
    });
    group.bench_function("snapshot", |bencher| {
        bencher.iter(|| {
            let _held = read();
            shared.load()
        });
    });
}
