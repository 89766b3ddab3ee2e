//! What may live in shared memory, and who may write to it.
//!
//! A plain `&T` promises the compiler that nobody changes the value while the reference lives; a
//! plain `&mut T` promises that nobody else even looks. Another process keeps neither promise, so
//! such a reference into shared pages is undefined behaviour, whether or not a race ever happens.
//! Atomics make no such promise: a `&AtomicI32` says that others may store at any time.
//!
//! So everything shared here consists of atomics ([`SharedMemory`]), all loads are methods on `&T`,
//! and all stores are methods on a [`Writer`], which only a [`ReadWrite`] attachment or mapping
//! hands out. Storing through a read-only view therefore does not compile:
//!
//! ```
//! use common::{ReadWrite, SharedConnStat, sysv::Attachment};
//!
//! fn tick(shared: &Attachment<SharedConnStat, ReadWrite>) -> i32 {
//!     shared.writer().increment()
//! }
//! ```
//!
//! ```compile_fail,E0599
//! use common::{ReadOnly, SharedConnStat, sysv::Attachment};
//!
//! fn tick(shared: &Attachment<SharedConnStat, ReadOnly>) -> i32 {
//!     shared.writer().increment()
//! }
//! ```
//!
//! The same for a mapped file, where C gets a SIGSEGV:
//!
//! ```
//! use common::{ReadWrite, SharedConnStat, mapping::Mapping};
//!
//! fn tick(shared: &Mapping<SharedConnStat, ReadWrite>) -> i32 {
//!     shared.writer().increment()
//! }
//! ```
//!
//! ```compile_fail,E0599
//! use common::{ReadOnly, SharedConnStat, mapping::Mapping};
//!
//! fn tick(shared: &Mapping<SharedConnStat, ReadOnly>) -> i32 {
//!     shared.writer().increment()
//! }
//! ```
//!
//! Nor does a way round through the record itself, which offers loads only:
//!
//! ```compile_fail,E0599
//! fn tick(shared: &common::SharedConnStat) -> i32 {
//!     shared.increment()
//! }
//! ```
//!
//! # What this cannot promise
//!
//! Rust's memory model covers peers that play by the rules: atomic accesses of the same width to
//! the same places, as every program here makes. A C peer that uses plain `int` accesses races, as
//! it does in C; on the machines that Linux runs on, its aligned 4-byte accesses behave like
//! relaxed atomics. What a peer that scribbles on the memory out of malice may do to a Rust program
//! is an open question of the language (unsafe-code-guidelines issues 152, 606, 607); here every
//! bit pattern is a valid value, so there is nothing it could make us misread. And attach or map the
//! same memory as one type: atomics of different widths at one place are not defined either.

use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// Types that other processes may change at any moment.
///
/// # Safety
///
/// The implementor promises that the type
///
/// - consists of atomics only, and of padding that nobody loads, so that a store by another process
///   is at worst a surprising value, never a data race;
/// - is valid for every bit pattern, so that nothing that another process stores can break it;
/// - needs no larger alignment than a page has (checked when it is compiled);
/// - holds no pointers, which would mean nothing in another address space;
/// - is `#[repr(C)]` or an array of one primitive atomic, so that all programs agree on its layout;
/// - offers only loads on `&self`: stores are methods on [`Writer`], which read-only memory never
///   gives out. A store through a read-only mapping would be a SIGSEGV in safe code.
pub unsafe trait SharedMemory: Sync + Sized + 'static {}

/// How memory is attached or mapped: [`ReadOnly`] or [`ReadWrite`].
pub trait Access: sealed::Sealed + fmt::Debug + 'static {
    /// Whether the pages may be written: without `SHM_RDONLY`, or with `PROT_WRITE`.
    const WRITABLE: bool;
}

/// Access mode: loads only (`SHM_RDONLY`, or `PROT_READ` alone).
#[derive(Debug)]
pub enum ReadOnly {}

/// Access mode: loads and stores.
#[derive(Debug)]
pub enum ReadWrite {}

impl Access for ReadOnly {
    const WRITABLE: bool = false;
}

impl Access for ReadWrite {
    const WRITABLE: bool = true;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ReadOnly {}
    impl Sealed for super::ReadWrite {}
}

/// Proof that the memory behind it may be written; every store to shared memory is a method on it.
///
/// It is as cheap to copy as the reference inside, and derefs to `T` for the loads. Any number of
/// writers, in this process or another, may exist at once: the stores are atomic.
pub struct Writer<'a, T>(&'a T);

impl<'a, T> Writer<'a, T> {
    /// The writer of one field of what this one writes.
    pub(crate) fn field<F>(self, choose: impl FnOnce(&'a T) -> &'a F) -> Writer<'a, F> {
        Writer(choose(self.0))
    }
}

impl<T> Clone for Writer<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Writer<'_, T> {}

impl<T> Deref for Writer<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Writer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Writer").field(self.0).finish()
    }
}

/// `N` counters: 64-bit numbers that processes share, each on its own.
///
/// Every counter has a cache line to itself, so that those who count do not slow each other down.
#[derive(Debug)]
#[repr(C)]
pub struct Counters<const N: usize>([Counter; N]);

#[derive(Debug)]
#[repr(C, align(64))]
struct Counter(AtomicU64);

// SAFETY: the atomics are all that is ever loaded or stored; the padding behind each is never
// touched. No pointers, every bit pattern of a `u64` is valid, and the methods on `&self` load.
unsafe impl<const N: usize> SharedMemory for Counters<N> {}

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
        self.0.0[index].0.store(value, Ordering::Relaxed);
    }

    /// Adds 1 to counter `index` in one indivisible step.
    ///
    /// # Panics
    ///
    /// If there is no counter `index`.
    pub fn add_one(self, index: usize) {
        self.0.0[index].0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The start of a `T` in shared pages: what an attachment and a mapping have in common.
///
/// It does not own the pages; the guard around it detaches or unmaps them when it is dropped.
pub(crate) struct Pages<T, A> {
    start: NonNull<T>,
    access: PhantomData<A>,
}

impl<T: SharedMemory, A: Access> Pages<T, A> {
    /// # Safety
    ///
    /// `start` must be aligned for `T` and start `size_of::<T>()` bytes that stay mapped for as
    /// long as this value exists: readable, and writable too if `A` says so.
    pub(crate) unsafe fn new(start: NonNull<c_void>) -> Self {
        // Attachments and mappings start at a page; no page is smaller than 4 KiB.
        const { assert!(align_of::<T>() <= 4096) };
        Self { start: start.cast(), access: PhantomData }
    }

    pub(crate) fn get(&self) -> &T {
        // SAFETY: `new` was promised an aligned, mapped `T`, and `T: SharedMemory` makes whatever
        // bytes are there a valid `T` that others may change under a shared reference. The
        // reference borrows `self`, so it ends before the guard that holds `self` unmaps the pages.
        unsafe { self.start.as_ref() }
    }

    pub(crate) fn address(&self) -> NonNull<c_void> {
        self.start.cast()
    }
}

impl<T: SharedMemory> Pages<T, ReadWrite> {
    pub(crate) fn writer(&self) -> Writer<'_, T> {
        Writer(self.get())
    }
}
