//! Mapped files and anonymous mappings: `mmap` and `munmap`, with `MAP_SHARED`. Only a [`Region`] has
//! other flags too.
//!
//! A file mapped with `MAP_SHARED` is the page cache itself: what one process stores, every other
//! that maps the file loads, and read(2) returns. The kernel writes it to the disk in its own time.
//! An anonymous mapping has no file; a child shares it because fork(2) copies the mapping, not the
//! pages.

mod byte_lock;
mod create;
pub(crate) mod forkable;
mod lease;
mod named_file;
pub(crate) mod not_words;
mod record_file;
mod region;
mod reservation;
mod sigbus;

use std::ffi::c_void;
use std::fmt;
use std::fs::File;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

pub use forkable::must_be_forkable;
pub use named_file::{NameState, NamedFile};
pub use record_file::{RecordFile, is_awaited};
pub use region::Region;
pub(crate) use reservation::Reservation;

use crate::error::{Error, Result};
use crate::shared::{Access, Anonymous, Pages, ReadWrite, SharedMemory, Writer};
use crate::words::{SharedU32, words_in};

/// Shared pages in this process's address space, seen as a `T`.
///
/// Dropping it unmaps them, and does nothing else: a file stays. In a forked child, which has a
/// mapping of its own, its copy unmaps that one.
pub struct Mapping<T: Anonymous + ?Sized, A: Access> {
    pages: Pages<T, A>,
    area: Area,
}

impl<T: Anonymous> Mapping<T, ReadWrite> {
    /// Maps new pages, filled with zeros, that this process shares with the children that it forks
    /// from now on: mmap(2) with `MAP_SHARED` and `MAP_ANONYMOUS`.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if the address space or the memory is full.
    pub fn anonymous() -> Result<Self> {
        let area = Area::anonymous(size_of::<T>())?;
        // SAFETY: `area` has `size_of::<T>()` bytes from a page boundary on, readable and writable,
        // and stays mapped for as long as it stands beside `pages`. Nobody can map them again.
        let pages = unsafe { Pages::new(area.start.cast()) };
        Ok(Self { pages, area })
    }
}

impl<T: SharedMemory, A: Access> Mapping<T, A> {
    /// Maps `file` with `MAP_SHARED`, and with `PROT_WRITE` if `A` is [`ReadWrite`].
    fn of_file(file: &File) -> nix::Result<Self> {
        let area = Area::of_file::<A>(file, size_of::<T>())?;
        // SAFETY: `area` has `size_of::<T>()` bytes from a page boundary on, with the rights that `A`
        // says, and stays mapped for as long as it stands beside `pages`. Should the file be truncated,
        // a load or store is a SIGBUS, which ends the process: no value that Rust could misread.
        let pages = unsafe { Pages::new(area.start.cast()) };
        Ok(Self { pages, area })
    }
}

impl<A: Access> Mapping<[SharedU32], A> {
    /// Maps the first `size` bytes of `file` as words; the last may reach behind the end of the file.
    fn words_of_file(file: &File, size: usize) -> nix::Result<Self> {
        let words = words_in(size).ok_or(Errno::ENOMEM)?;
        let area = Area::of_file::<A>(file, size)?;
        let start = NonNull::slice_from_raw_parts(area.start.cast(), words);
        // SAFETY: as in `of_file`; the kernel maps whole pages, so the last word is mapped too; a slice
        // may have as many words.
        let pages = unsafe { Pages::new(start) };
        Ok(Self { pages, area })
    }
}

impl<T: Anonymous + ?Sized> Mapping<T, ReadWrite> {
    /// The right to store.
    #[must_use]
    pub fn writer(&self) -> Writer<'_, T> {
        self.pages.writer()
    }
}

impl<T: Anonymous + ?Sized, A: Access> Mapping<T, A> {
    /// Where in this process's address space the pages are mapped.
    #[must_use]
    pub fn address(&self) -> NonNull<c_void> {
        self.pages.address()
    }

    /// Makes a SIGBUS in these pages print `message` on stderr and end this process with exit status
    /// 1, for as long as they are mapped: sigaction(2). Without this, a process that accesses what a
    /// truncation has cut off ends with a core dump.
    ///
    /// One mapping a process is watched: the last one that asked.
    ///
    /// # Errors
    ///
    /// Those of sigaction(2).
    pub fn explain_sigbus(&self, message: String) -> Result<()> {
        sigbus::explain(self.area.addresses(), message)
    }

    /// Unmaps the pages, as dropping does, and says whether that went well: munmap(2).
    ///
    /// # Errors
    ///
    /// `EINVAL` for a part of a huge page, which stays mapped then. None else that the types here allow.
    pub fn unmap(self) -> Result<()> {
        self.area.unmap().map_err(|errno| Error::new("munmap", "the mapped pages", errno))
    }
}

impl<T: Anonymous + ?Sized, A: Access> Deref for Mapping<T, A> {
    type Target = T;

    fn deref(&self) -> &T {
        self.pages.get()
    }
}

impl<T: Anonymous + ?Sized, A: Access> fmt::Debug for Mapping<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("address", &self.address())
            .field("access", &PhantomData::<A>)
            .finish()
    }
}

/// Pages that mmap(2) has mapped, before anybody knows as what. Dropping it unmaps them.
#[derive(Debug)]
pub(crate) struct Area {
    start: NonNull<c_void>,
    /// In bytes; the kernel rounds it up to whole pages.
    length: usize,
}

impl Area {
    fn new(start: NonNull<c_void>, length: usize) -> Self {
        let this = Self { start, length };
        forkable::mapped(&this.addresses());
        this
    }

    /// New pages, filled with zeros, shared with the children that are forked from now on.
    pub(crate) fn anonymous(length: usize) -> Result<Self> {
        let failed = |errno| Error::new("mmap", "anonymous pages", errno);
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let wanted = NonZeroUsize::new(length).ok_or_else(|| failed(Errno::EINVAL))?;
        // SAFETY: without MAP_FIXED, mmap never replaces a mapping that is there, so it touches no
        // memory that Rust knows of.
        let start = unsafe { mmap_anonymous(None, wanted, rights, MapFlags::MAP_SHARED) };
        Ok(Self::new(start.map_err(failed)?, length))
    }

    /// The first `length` bytes of `file`.
    fn of_file<A: Access>(file: &File, length: usize) -> nix::Result<Self> {
        let mut rights = ProtFlags::PROT_READ;
        rights.set(ProtFlags::PROT_WRITE, A::WRITABLE);
        let wanted = NonZeroUsize::new(length).ok_or(Errno::EINVAL)?;
        // SAFETY: without MAP_FIXED, mmap never replaces a mapping that is there, so it touches no
        // memory that Rust knows of.
        let start = unsafe { mmap(None, wanted, rights, MapFlags::MAP_SHARED, file, 0) };
        Ok(Self::new(start?, length))
    }

    /// mremap(2) has put the pages there.
    fn has_moved(&mut self, start: NonNull<c_void>, length: usize) {
        forkable::unmapped(self.addresses().start);
        (self.start, self.length) = (start, length);
        forkable::mapped(&self.addresses());
    }

    /// Does not unmap them: what is not there any more may be somebody else's by now.
    fn give_up(self) {
        forkable::unmapped(self.addresses().start);
        let _ = std::mem::ManuallyDrop::new(self);
    }

    /// Where the pages start.
    pub(crate) fn start(&self) -> NonNull<c_void> {
        self.start
    }

    fn addresses(&self) -> std::ops::Range<usize> {
        let start = self.start.as_ptr().addr();
        start..start + self.length
    }

    fn unmap(self) -> nix::Result<()> {
        std::mem::ManuallyDrop::new(self).munmap()
    }

    fn munmap(&self) -> nix::Result<()> {
        if self.length == 0 {
            return Ok(());
        }
        sigbus::forget(self.start.as_ptr().addr());
        // Before the pages go: this frees memory, and an allocator may map some.
        forkable::unmapped(self.addresses().start);
        // SAFETY: mmap returned this address for this length. Both callers are done with `self` for
        // good, and whoever saw the pages as something borrowed from what holds `self`: so no
        // reference into them is left, and nobody unmaps them twice.
        unsafe { munmap(self.start, self.length) }
            .inspect_err(|_| forkable::mapped(&self.addresses()))
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // It fails on a part of a huge page, which stays then.
        let _ = self.munmap();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;
    use std::path::{Path, PathBuf};

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;
    use crate::{ReadOnly, Refusal};

    /// A directory that goes with all that is in it.
    struct Directory(PathBuf);

    impl Directory {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("{test}-{}", std::process::id()));
            fs::create_dir(&path).expect("a directory");
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "system calls")]
    fn what_is_no_regular_file_is_refused_by_its_kind() {
        let directory = Directory::new("kinds");
        let (fifo, socket) = (directory.0.join("fifo"), directory.0.join("socket"));
        mkfifo(&fifo, Mode::S_IRUSR).expect("a FIFO");
        let _listener = UnixListener::bind(&socket).expect("a socket");
        for (path, kind) in [
            (directory.0.as_path(), "directory"),
            (&fifo, "FIFO"),
            (&socket, "socket"),
            (Path::new("/dev/null"), "device"),
        ] {
            let error = RecordFile::<ReadOnly>::open_any(path).expect_err(kind);
            assert_eq!(error.refusal(), Some(&Refusal::Kind(kind)));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "system calls")]
    fn a_record_is_awaited_where_one_can_still_be_made() {
        let directory = Directory::new("awaited");
        let file = directory.0.join("file");
        assert!(is_awaited(&file), "not there yet");
        fs::write(&file, []).expect("a file");
        assert!(is_awaited(&file), "empty, as C leaves it");
        fs::write(&file, [1]).expect("a file");
        assert!(!is_awaited(&file), "something else");
        assert!(!is_awaited(&directory.0.join("none").join("file")), "no directory");
        assert!(!is_awaited(&directory.0), "a directory");
    }
}
