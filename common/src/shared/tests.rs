use super::*;
use crate::sync::{seqlock::SeqLock, two_slots::TwoSlots};
use crate::{ConnStat, SharedConnStat, SharedU32};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Sees memory of our own as shared pages: so Miri, which knows no MAP_SHARED, can watch what is done
/// with them. `.ci/run` finds the tests by `memory_of_our_own`.
fn in_memory_of_our_own<T: SharedMemory>(test: impl FnOnce(&Pages<T, ReadWrite>)) {
    let words = size_of::<T>().div_ceil(size_of::<AtomicU32>());
    let room: Box<[AtomicU32]> = (0..words).map(|_| AtomicU32::new(0)).collect();
    // SAFETY: the room has as many bytes as the `T`, is aligned as its words are, and outlives the
    // pages.
    let pages = unsafe { Pages::new(NonNull::from(&*room).cast()) };
    test(&pages);
}

/// Enough to meet, and not too many for Miri, which is a thousand times slower.
const ROUNDS: u32 = if cfg!(miri) { 20 } else { 10_000 };

#[test]
fn memory_of_our_own_is_a_record() {
    in_memory_of_our_own::<SharedConnStat>(|pages| {
        let mut stat = ConnStat::new("127.0.0.1".parse().expect("an address"));
        stat.count = 7;
        pages.writer().store(&stat);
        assert_eq!(pages.writer().increment(), 8);
        stat.count = 8;
        assert_eq!(pages.get().load(), stat);
    });
}

#[test]
fn memory_of_our_own_has_fields_side_by_side() {
    in_memory_of_our_own::<[SharedU32; 4]>(|pages| {
        let writer = pages.writer();
        let (first, rest) = (writer.field(|it| &it[0]), writer.field(|it| &it[1..]));
        rest.field(|it| &it[2]).store(3, Relaxed);
        first.store(1, Relaxed);
        assert!(rest.field(|it| &it[3..]).is_empty());
        assert_eq!(pages.get().each_ref().map(|it| it.load(Relaxed)), [1, 0, 0, 3]);
    });
}

#[test]
fn memory_of_our_own_is_counted_in_by_threads() {
    in_memory_of_our_own::<SharedConnStat>(|pages| {
        let (shared, writer) = (pages.get(), pages.writer());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..ROUNDS).map(|_| writer.increment()).max());
            }
            scope.spawn(|| (0..ROUNDS).map(|_| shared.load().count).is_sorted());
        });
        assert_eq!(shared.load().count.cast_unsigned(), 2 * ROUNDS);
    });
}

#[test]
fn memory_of_our_own_is_published_whole() {
    in_memory_of_our_own::<SeqLock<3>>(|pages| {
        let (shared, writer) = (pages.get(), pages.writer());
        std::thread::scope(|scope| {
            scope.spawn(|| (1..ROUNDS).for_each(|number| writer.publish([number; 3])));
            for words in (0..ROUNDS).filter_map(|_| shared.snapshot(4).ok()) {
                assert_eq!(words, [words[0]; 3]);
            }
        });
    });
    in_memory_of_our_own::<TwoSlots<3>>(|pages| {
        let (shared, writer) = (pages.get(), pages.writer());
        std::thread::scope(|scope| {
            scope.spawn(|| (1..ROUNDS).for_each(|number| writer.publish(|_| number)));
            for words in (0..ROUNDS).filter_map(|_| shared.snapshot(4).ok()) {
                assert_eq!(words, [words[0]; 3]);
            }
        });
    });
}
