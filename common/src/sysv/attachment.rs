//! Attachments: a segment in the address space of this process: shmat(2), shmdt(2).

use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use nix::errno::Errno;

use super::{Segment, Status};
use crate::error::{Error, Refusal, Result};
use crate::mapping::forkable;
use crate::proc::page_size;
use crate::shared::{Access, Pages, ReadWrite, SharedMemory, Writer};
use crate::words::{SharedU32, words_in};

/// A segment in this process's address space, seen as a `T`.
///
/// Dropping it detaches it, and does nothing else: the segment stays. In a forked child, which has
/// an attachment of its own, its copy detaches that one.
pub struct Attachment<T: SharedMemory + ?Sized, A: Access> {
    pages: Pages<T, A>,
}

/// Where shmat(2) has attached a segment, before anybody knows as what.
pub(super) struct Attached(NonNull<c_void>);

impl Segment {
    /// Attaches the segment where the system likes: shmat(2), with `SHM_RDONLY` if `A` is
    /// [`ReadOnly`](crate::ReadOnly).
    ///
    /// # Errors
    ///
    /// `EACCES` without the permission that `A` needs, `EINVAL` or `EIDRM` if the segment has been
    /// removed, `ENOMEM` if the address space is full; refused if the segment's size is not `T`'s.
    pub fn attach<T: SharedMemory, A: Access>(&self) -> Result<Attachment<T, A>> {
        self.must_have(size_of::<T>())?;
        let attached = self.anywhere::<A>()?;
        // SAFETY: `anywhere` has attached it with the rights of `A` and looked at its size again.
        Ok(unsafe { attached.seen_as() })
    }

    /// Attaches the segment as words, whatever its size: shmat(2). Where the size is no multiple of 4,
    /// the last word has bytes behind the end of the segment, in the same page.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::attach`], except for the size; `ENOMEM` also for more than `isize::MAX` bytes.
    pub fn attach_words<A: Access>(&self) -> Result<Attachment<[SharedU32], A>> {
        let words = words_in(self.size).ok_or_else(|| self.shmat_failed(0, Errno::ENOMEM))?;
        let attached = self.anywhere::<A>()?;
        let start = NonNull::slice_from_raw_parts(attached.keep().cast(), words);
        // SAFETY: the kernel attached at least the segment's size, rounded up to whole pages, with the
        // rights that `A` says, and a slice may have as many words; only `Attachment` detaches it.
        let pages = unsafe { Pages::new(start) };
        Ok(Attachment { pages })
    }

    pub(super) fn anywhere<A: Access>(&self) -> Result<Attached> {
        let flags = if A::WRITABLE { 0 } else { libc::SHM_RDONLY };
        // SAFETY: without an address, shmat never replaces a mapping that is there, so it touches no
        // memory that Rust knows of.
        let start = unsafe { libc::shmat(self.id, ptr::null(), flags) };
        let attached = Attached::from(start).map_err(|errno| self.shmat_failed(0, errno))?;
        // Only now it can't be another segment's: the id of one that is attached is not given out again.
        let size = Status::of(self.id)?.size;
        if size != self.size {
            let refusal = Refusal::Size { found: size as u64, wanted: self.size };
            let object = format_args!("segment {}", self.id);
            return Err(Error::refused("shmat", object, refusal));
        }
        Ok(attached)
    }

    pub(super) fn shmat_failed(&self, address: usize, errno: Errno) -> Error {
        let mode = Status::of(self.id).map(|it| format!(", mode {:04o}", it.mode));
        let mode = mode.ok().filter(|_| errno == Errno::EACCES).unwrap_or_default();
        match address {
            0 => Error::new("shmat", format_args!("segment {}{mode}", self.id), errno),
            _ => Error::new(
                "shmat",
                format_args!("segment {} at 0x{address:x}{mode}", self.id),
                errno,
            ),
        }
    }
}

impl Attached {
    pub(super) fn from(start: *mut c_void) -> nix::Result<Self> {
        // Failure is (void *) -1, not NULL.
        match NonNull::new(start) {
            Some(start) if start.as_ptr().addr() != usize::MAX => Ok(Self(start)),
            _ => Err(Errno::last()),
        }
    }

    /// # Safety
    ///
    /// The segment has the size of `T` and is attached with the rights that `A` says.
    pub(super) unsafe fn seen_as<T: SharedMemory, A: Access>(self) -> Attachment<T, A> {
        // SAFETY: the caller vouches for size and rights; shmat attaches at a page boundary, and only
        // `Attachment` detaches it.
        let pages = unsafe { Pages::new(self.keep().cast()) };
        Attachment { pages }
    }

    pub(super) fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    fn keep(self) -> NonNull<c_void> {
        forkable::mapped(&(self.address()..self.address() + 1));
        ManuallyDrop::new(self).0
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // SAFETY: shmat has returned this address, and nobody has seen it as anything yet.
        unsafe { libc::shmdt(self.0.as_ptr()) };
    }
}

impl<T: SharedMemory + ?Sized, A: Access> Attachment<T, A> {
    /// Where in this process's address space the segment is attached.
    #[must_use]
    pub fn address(&self) -> NonNull<c_void> {
        self.pages.address()
    }

    /// Detaches the segment, as dropping does, and says whether that went well: shmdt(2).
    ///
    /// # Errors
    ///
    /// None that the types here allow; the kernel's `EINVAL` means an address without attachment.
    pub fn detach(self) -> Result<()> {
        let detached = ManuallyDrop::new(self).shmdt();
        detached.map_err(|errno| Error::new("shmdt", "the attached segment", errno))
    }

    fn shmdt(&self) -> nix::Result<()> {
        forkable::unmapped(self.address().addr().get());
        // SAFETY: shmat returned this address, and since both callers are done with `self` for
        // good, no reference into the pages is left and nobody detaches them a second time.
        Errno::result(unsafe { libc::shmdt(self.address().as_ptr()) }).map(drop)
    }
}

impl<A: Access> Attachment<[SharedU32], A> {
    /// Whether the page with the byte at `offset` is in memory: mincore(2). A page that nobody has
    /// touched yet is not, and loading from it would have the kernel find memory for it.
    ///
    /// To a process that may not write to the segment the kernel says `true` of every page.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if the kernel is short of memory.
    ///
    /// # Panics
    ///
    /// If `offset` lies outside.
    pub fn is_resident(&self, offset: usize) -> Result<bool> {
        let size = size_of_val::<[SharedU32]>(self);
        assert!(offset < size, "{offset} does not lie in {size} bytes");
        let page = self.address().as_ptr().wrapping_byte_add(offset - offset % page_size());
        let mut answer = 0_u8;
        // SAFETY: the kernel writes one byte for each page that the one byte asked for lies in, which is
        // one page, and the variable has room for that. It touches nothing at `page`.
        let done = unsafe { libc::mincore(page, 1, &raw mut answer) };
        let failed = |errno| Error::new("mincore", format_args!("the page at {page:p}"), errno);
        Errno::result(done).map_err(failed)?;
        Ok(answer & 1 == 1)
    }
}

impl<T: SharedMemory + ?Sized> Attachment<T, ReadWrite> {
    /// The right to store.
    #[must_use]
    pub fn writer(&self) -> Writer<'_, T> {
        self.pages.writer()
    }
}

impl<T: SharedMemory + ?Sized, A: Access> Deref for Attachment<T, A> {
    type Target = T;

    fn deref(&self) -> &T {
        self.pages.get()
    }
}

impl<T: SharedMemory + ?Sized, A: Access> Drop for Attachment<T, A> {
    fn drop(&mut self) {
        // It can fail only on an address that is not attached, and this one is.
        let _ = self.shmdt();
    }
}

impl<T: SharedMemory + ?Sized, A: Access> fmt::Debug for Attachment<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("address", &self.address())
            .field("access", &PhantomData::<A>)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysv::tests::Private;
    use crate::{ReadOnly, SharedConnStat};

    const SIZE: usize = size_of::<SharedConnStat>();

    #[test]
    fn two_attachments_show_the_same_memory() {
        let segment = Private::new(SIZE);
        let writing = segment.attach::<SharedConnStat, ReadWrite>().expect("attached");
        let reading = segment.attach::<SharedConnStat, ReadOnly>().expect("attached again");
        assert_ne!(writing.address(), reading.address());
        assert_eq!(writing.writer().increment(), 1);
        assert_eq!(reading.load().count, 1);
        assert_eq!(segment.status().expect("status").attached, 2);
        writing.detach().expect("detached");
        drop(reading);
        assert_eq!(segment.status().expect("status").attached, 0);
    }

    #[test]
    fn status_is_what_was_asked_for() {
        let segment = Private::new(0x6400);
        let status = segment.status().expect("status");
        assert_eq!((status.size, status.mode, status.attached), (25_600, 0o600, 0));
        assert_eq!(status.creator.cast_unsigned(), std::process::id());
        assert!(!status.marked_for_destruction);
    }

    #[test]
    fn a_segment_of_another_size_is_refused() {
        let segment = Private::new(4096);
        let refusal = Refusal::Size { found: 4096, wanted: SIZE };
        let error = segment.must_have(SIZE).expect_err("wrong size");
        assert_eq!(error.refusal(), Some(&refusal));
        let error = segment.attach::<SharedConnStat, ReadOnly>().expect_err("wrong size");
        assert_eq!(error.refusal(), Some(&refusal));
        assert_eq!(segment.status().expect("still there").attached, 0);
    }

    #[test]
    fn a_segment_of_any_size_is_words() {
        let segment = Private::new(7);
        let words = segment.attach_words::<ReadWrite>().expect("attached");
        assert_eq!(words.len(), 2);
        words.writer().field(|it| &it[1]).store(5, std::sync::atomic::Ordering::Relaxed);
        let seen = segment.attach_words::<ReadOnly>().expect("attached again");
        assert_eq!(format!("{:?}", &*seen), "[0, 5]");
    }

    #[test]
    fn a_page_is_in_memory_once_it_is_touched() {
        let segment = Private::new(2 * page_size());
        let words = segment.attach_words::<ReadOnly>().expect("attached");
        let resident = |page: usize| words.is_resident(page * page_size() + 7).expect("mincore");
        assert_eq!([0, 1].map(resident), [false; 2], "asking touches nothing");
        assert_eq!(words[0].load(std::sync::atomic::Ordering::Relaxed), 0);
        assert_eq!([0, 1].map(resident), [true, false]);
    }

    #[test]
    fn removal_waits_for_the_last_detach() {
        let segment = Private::new(SIZE);
        let attached = segment.attach::<SharedConnStat, ReadWrite>().expect("attached");
        assert_eq!(segment.remove(), Ok(true));
        assert_eq!(segment.remove(), Ok(false), "it was removed before");
        let status = segment.status().expect("still there");
        assert!(status.marked_for_destruction);
        assert_eq!((status.key, status.attached), (0, 1));
        drop(attached);
        assert_eq!(segment.remove(), Ok(false));
        let gone = segment.status().expect_err("gone").errno();
        assert!(matches!(gone, Some(Errno::EINVAL | Errno::EIDRM)));
        let error = segment.attach::<SharedConnStat, ReadOnly>().expect_err("gone");
        assert_eq!(error.call(), "shmat", "{error}");
    }

    #[test]
    fn only_the_segment_of_ones_own_is_abandoned() {
        let created = Private::new(SIZE);
        let found = Segment::from_id(created.id()).expect("found");
        let error = || Error::new("shmat", "a segment", Errno::ENOMEM);
        assert_eq!(found.abandon(error()), error());
        created.status().expect("what others made stays");
        assert_eq!(created.abandon(error()), error());
        created.status().expect_err("what we made goes");
    }
}
