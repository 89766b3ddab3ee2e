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
//! The memory model of Rust, like that of C, speaks of the threads of one program. That atomics work
//! between processes too is accepted practice, not written law: the processor makes no difference.
//! It covers peers that play by the rules: atomic accesses of the same width to the same places, as
//! every program here makes. A C peer that uses plain `int` accesses races, as it does in C; on the
//! machines that Linux runs on, its aligned 4-byte accesses behave like relaxed atomics. What a peer
//! that scribbles on the memory out of malice may do to a Rust program is an open question of the
//! language (unsafe-code-guidelines issues 152, 606, 607); here every bit pattern is a valid value,
//! so there is nothing it could make us misread.
//!
//! Nor can it keep a process from writing into its own memory through a file. Any safe program can do
//! that with std alone: /proc/self/mem, the code of a library on the disk. As in std, what such files do is
//! beyond what a type can promise. Some are refused: those of procfs, sysfs, debugfs and tracefs; anonymous pages,
//! which root finds in /proc/PID/map_files; and semaphores of sem_open(3), as long as this process has them
//! open by a `NamedSemaphore` or the file has the name that sem_open gave it. And what /proc says is believed, such as the number of
//! threads: another file of procfs, which somebody has mounted over the true one, or which links lead to after a
//! chroot, deceives it. Nor is a file system seen through that shows such a file a second time as its own, as overlayfs
//! does.
//!
//! The same holds for a segment: whoever may attach it may store there, by its shmid. A crate that makes one for itself,
//! as some do for an X server, has promised that nobody does.
//!
//! Nor what other crates believe of a fork. What [`must_be_forkable`](crate::mapping::must_be_forkable) finds is
//! refused: other threads, pages that are not copied, or shared and may be stored to, an epoll. But they may keep a
//! file, or an address, in yet another way, and find there what a child has put; or have an allocator that makes such a
//! thing after the look. Where fork is `unsafe`, that is what its caller answers for; the programs here use no such
//! crate.
//!
//! # Why `attach` and `map` are safe to call
//!
//! `memmap2::Mmap::map` is unsafe, because it hands out a `&[u8]`: whoever calls it promises that
//! nobody changes the file meanwhile. Here nothing has to be promised. Others may store at any time
//! ([`SharedMemory`]), may map the same memory as another type (all of it is 32-bit words), and may
//! truncate the file (SIGBUS ends the process before any value is read).

use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

/// Types that may lie in memory that anybody can attach or map, as often as they like, and as
/// whatever type: all of it is aligned 32-bit atomics.
///
/// A record is declared with [`shared_record!`](crate::shared_record), which implements this trait;
/// nobody needs to implement it by hand.
///
/// A mutex is none: the C library keeps pointers and plain bytes in it, and nobody may store over them.
///
/// ```compile_fail,E0277
/// use common::{Counters, ReadWrite, sync::mutex::Mutex, sysv::Segment};
///
/// fn attach(segment: &Segment) {
///     let mutex = segment.attach::<Mutex<Counters<1>>, ReadWrite>();
/// }
/// ```
///
/// # Safety
///
/// The implementor promises that the type
///
/// - consists of aligned 32-bit atomics, and of nothing else: no padding, no wider and no narrower
///   atomics. So two views of one memory as two types never race with different widths, which is
///   undefined even for atomics;
/// - is valid for every bit pattern, so that nothing that another process stores can break it;
/// - is `#[repr(C)]`, `#[repr(transparent)]` or an array, so that all programs agree on its layout;
/// - offers only loads on `&self`: stores are methods on [`Writer`], which read-only memory never
///   gives out. A store through a read-only mapping would be a SIGSEGV in safe code.
pub unsafe trait SharedMemory: Sync + 'static {}

// SAFETY: an array adds nothing to its elements, not even padding.
unsafe impl<T: SharedMemory, const N: usize> SharedMemory for [T; N] {}

// SAFETY: a slice adds nothing to its elements, not even padding.
unsafe impl<T: SharedMemory> SharedMemory for [T] {}

/// Types that may lie in anonymous shared pages: those of [`SharedMemory`], and wider atomics too.
///
/// Nobody can map such pages a second time, and the children that inherit them see them as the same
/// type.
///
/// # Safety
///
/// The implementor promises what [`SharedMemory`] asks for, except that the atomics may be of any
/// width, and that there may be padding, which nobody ever loads or stores.
pub unsafe trait Anonymous: Sync + 'static {}

// SAFETY: `SharedMemory` asks for more.
unsafe impl<T: SharedMemory + ?Sized> Anonymous for T {}

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
pub struct Writer<'a, T: ?Sized>(&'a T);

impl<'a, T: ?Sized> Writer<'a, T> {
    /// The caller knows that `value` lies in pages that may be written.
    pub(crate) fn new(value: &'a T) -> Self {
        Self(value)
    }
}

impl<'a, T: SharedMemory + ?Sized> Writer<'a, T> {
    /// The writer of one part of the memory that this one writes: a field, or an element of an array.
    ///
    /// ```
    /// use common::{SharedU32, Writer};
    /// use std::sync::atomic::Ordering::Relaxed;
    ///
    /// fn clear_last(words: Writer<'_, [SharedU32; 4]>) {
    ///     words.field(|words| &words[3]).store(0, Relaxed);
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// If `choose` returns a reference to something else, which might lie in read-only memory.
    pub fn field<F: SharedMemory + ?Sized>(
        self,
        choose: impl FnOnce(&'a T) -> &'a F,
    ) -> Writer<'a, F> {
        let field = choose(self.0);
        let (whole, part) = (addresses(self.0), addresses(field));
        assert!(
            whole.start <= part.start && part.end <= whole.end,
            "the field does not lie in what this writer may write"
        );
        Writer(field)
    }
}

fn addresses<T: ?Sized>(value: &T) -> std::ops::Range<usize> {
    let start = std::ptr::from_ref(value).addr();
    start..start + size_of_val(value)
}

impl<T: ?Sized> Clone for Writer<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Writer<'_, T> {}

impl<T: ?Sized> Deref for Writer<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

impl<T: fmt::Debug + ?Sized> fmt::Debug for Writer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Writer").field(&self.0).finish()
    }
}

/// A `T` in shared pages: what an attachment and a mapping have in common.
///
/// It does not own the pages; the guard around it detaches or unmaps them when it is dropped.
pub(crate) struct Pages<T: ?Sized, A> {
    start: NonNull<T>,
    access: PhantomData<A>,
}

impl<T: Anonymous + ?Sized, A: Access> Pages<T, A> {
    /// # Safety
    ///
    /// `start` must be aligned and point to as many bytes as the `T` has, which stay mapped for as
    /// long as this value exists: readable, and writable too if `A` says so. If others can attach or
    /// map the same pages, `T` must be [`SharedMemory`].
    pub(crate) unsafe fn new(start: NonNull<T>) -> Self {
        Self { start, access: PhantomData }
    }

    pub(crate) fn get(&self) -> &T {
        // SAFETY: `new` was promised an aligned, mapped `T`, and `T: Anonymous` makes whatever bytes
        // are there a valid `T` that others may change under a shared reference. The reference
        // borrows `self`, so it ends before the guard that holds `self` unmaps the pages.
        unsafe { self.start.as_ref() }
    }

    pub(crate) fn address(&self) -> NonNull<c_void> {
        self.start.cast()
    }
}

impl<T: Anonymous + ?Sized> Pages<T, ReadWrite> {
    pub(crate) fn writer(&self) -> Writer<'_, T> {
        Writer(self.get())
    }
}

#[cfg(test)]
mod tests;
