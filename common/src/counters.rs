//! Counters that processes share.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::shared::{Anonymous, Writer};

/// `N` counters: 64-bit numbers in anonymous pages that processes share, each on its own.
///
/// Every counter has a cache line to itself, so that those who count do not slow each other down.
///
/// In a segment or a file, which others may map as 32-bit words, they are refused:
///
/// ```compile_fail,E0277
/// use common::{ReadWrite, Counters, sysv::Segment};
///
/// fn attach(segment: &Segment) {
///     let counters = segment.attach::<Counters<4>, ReadWrite>();
/// }
/// ```
///
/// ```compile_fail,E0277
/// use common::{ReadWrite, Counters, mapping::RecordFile};
///
/// fn map(file: &RecordFile<ReadWrite>) {
///     let counters = file.map::<Counters<4>>();
/// }
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct Counters<const N: usize>([Counter; N]);

#[derive(Debug)]
#[repr(C, align(64))]
struct Counter(AtomicU64);

// SAFETY: the atomics are all that is ever loaded or stored; the padding behind each is never
// touched. No pointers, every bit pattern of a `u64` is valid, and the methods on `&self` load.
unsafe impl<const N: usize> Anonymous for Counters<N> {}

impl<const N: usize> Counters<N> {
    /// Loads counter `index`.
    ///
    /// # Panics
    ///
    /// If there is no counter `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> u64 {
        self.0[index].0.load(Ordering::Relaxed)
    }
}

impl<const N: usize> Writer<'_, Counters<N>> {
    /// Stores `value` in counter `index`.
    ///
    /// # Panics
    ///
    /// If there is no counter `index`.
    pub fn set(self, index: usize, value: u64) {
        self.0[index].0.store(value, Ordering::Relaxed);
    }

    /// Adds 1 to counter `index` in one indivisible step.
    ///
    /// # Panics
    ///
    /// If there is no counter `index`.
    pub fn add_one(self, index: usize) {
        self.0[index].0.fetch_add(1, Ordering::Relaxed);
    }
}
