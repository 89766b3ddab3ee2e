//! What may be done to the pages of a [`Region`] while they are mapped.

use std::fs::File;
use std::mem;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{
    MRemapFlags, MapFlags, MmapAdvise, MsFlags, ProtFlags, madvise, mlock, mmap, mprotect, mremap,
    msync,
};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use super::stack::off_limits;
use super::{Region, failed, has_huge_pages, regular, whole_pages};
use crate::error::{Error, Refusal, Result};
use crate::mapping::reservation::Reservation;
use crate::mapping::{Area, not_words};
use crate::proc::page_size;
use crate::process::has_had_threads;

impl Region {
    /// Changes the rights of `length` bytes from `offset` on: mprotect(2).
    ///
    /// # Errors
    ///
    /// `EINVAL` if `offset` is no page's, `EACCES` for rights that the descriptor did not have.
    ///
    /// # Panics
    ///
    /// If the bytes lie outside; this holds for all methods with an offset and a length.
    pub fn protect(&self, offset: usize, length: usize, rights: ProtFlags) -> Result<()> {
        let start = self.part(offset, length);
        // SAFETY: the pages are this guard's, and no reference into them is left anywhere.
        unsafe { mprotect(start, length, rights) }.map_err(failed("mprotect", offset, length))
    }

    /// Unmaps the pages and loads the word at `offset` nevertheless: munmap(2). The load is a SIGSEGV.
    ///
    /// # Errors
    ///
    /// Refused if this process has, or has had, more than one thread: another could have mapped something there.
    ///
    /// # Panics
    ///
    /// If `offset` is no multiple of 4 or lies outside.
    pub fn load_after_unmap(self, offset: usize) -> Result<u32> {
        assert!(offset.is_multiple_of(size_of::<u32>()), "{offset} is no multiple of 4");
        let word: NonNull<u32> = self.part(offset, size_of::<u32>()).cast();
        let refused = |why: &str| {
            Err(Error::refused("munmap", "the mapped pages", Refusal::Other(why.into())))
        };
        // A handler could map something. That of the fault runs, if there is one.
        let mut signals = SigSet::all();
        signals.remove(Signal::SIGSEGV);
        let before = signals.thread_swap_mask(SigmaskHow::SIG_SETMASK);
        let before = before.map_err(failed("sigprocmask", 0, offset))?;
        let unmapped = self.area.unmap();
        // Asked last, since whatever allocates may run code of the program.
        if has_had_threads() || unmapped.is_err() {
            let _ = before.thread_set_mask();
            unmapped.map_err(failed("munmap", 0, offset))?;
            return refused("this process has, or has had, more than one thread");
        }
        // SAFETY: it is aligned, and nothing is mapped there: munmap has just taken it away, this thread has done
        // nothing since, and there has never been another one. Nor is it where the stack would grow: the guard pages
        // lie between. So it faults, which ends the process.
        Ok(unsafe { word.as_ptr().read_volatile() })
    }

    /// Advises the kernel about `length` bytes from `offset` on: madvise(2).
    ///
    /// # Errors
    ///
    /// Those of madvise(2). Refused: advice that leaves no page of ours there, above all
    /// `MADV_DONTFORK`, after which a child's copy of this guard would mean pages of others.
    ///
    /// # Panics
    ///
    /// As [`Region::protect`].
    pub fn advise(&self, offset: usize, length: usize, advice: MmapAdvise) -> Result<()> {
        use MmapAdvise as Is;
        let start = self.part(offset, length);
        if !matches!(
            advice,
            Is::MADV_NORMAL
                | Is::MADV_RANDOM
                | Is::MADV_SEQUENTIAL
                | Is::MADV_WILLNEED
                | Is::MADV_DONTNEED
                | Is::MADV_REMOVE
                | Is::MADV_HUGEPAGE
                | Is::MADV_NOHUGEPAGE
        ) {
            let refusal = Refusal::Other(format!("{advice:?} is not for this guard"));
            return Err(Error::refused("madvise", format_args!("{length} bytes"), refusal));
        }
        // SAFETY: the pages are this guard's and stay mapped. Their words may change, to zeros or to
        // what the file has, as they may by anybody's store.
        unsafe { madvise(start, length, advice) }.map_err(failed("madvise", offset, length))
    }

    /// Does not unmap the pages, which may be somebody else's by now.
    pub(crate) fn give_up(self) {
        self.area.give_up();
    }

    /// It has a segment's pages now, which may be huge.
    pub(crate) fn with_segment(self) -> Self {
        Self { resizable: false, ..self }
    }

    /// Hands changed pages to the file's storage: msync(2).
    ///
    /// # Errors
    ///
    /// `EINVAL` if `offset` is no page's, `EIO` from the storage.
    ///
    /// # Panics
    ///
    /// As [`Region::protect`].
    pub fn sync(&self, offset: usize, length: usize, flags: MsFlags) -> Result<()> {
        let start = self.part(offset, length);
        // SAFETY: the pages are this guard's; msync reads them, and changes nothing.
        unsafe { msync(start, length, flags) }.map_err(failed("msync", offset, length))
    }

    /// Keeps all pages in memory: mlock(2).
    ///
    /// # Errors
    ///
    /// `ENOMEM` above `RLIMIT_MEMLOCK`, `EPERM` if that is 0.
    pub fn lock(&self) -> Result<()> {
        let size = self.size();
        // SAFETY: the pages are this guard's; their contents stay as they are.
        unsafe { mlock(self.area.start, size) }.map_err(failed("mlock", 0, size))
    }

    /// Which pages are in memory: mincore(2).
    ///
    /// # Errors
    ///
    /// `EAGAIN` if the kernel is short of memory.
    pub fn resident(&self) -> Result<Vec<bool>> {
        let mut pages = vec![0_u8; self.size() / page_size()];
        let start = self.area.start.as_ptr();
        // SAFETY: the kernel writes one byte for each page of the area, and so many has the vector.
        let result = unsafe { libc::mincore(start, self.size(), pages.as_mut_ptr()) };
        Errno::result(result).map_err(failed("mincore", 0, self.size()))?;
        Ok(pages.iter().map(|it| it & 1 == 1).collect())
    }

    /// Makes it `length` bytes, rounded up to whole pages: mremap(2). A region that grows moves: [`Region::address`]
    /// is another afterwards.
    ///
    /// With `MREMAP_MAYMOVE` alone the kernel would choose a place, or let it grow where it is, and it might come near
    /// the stack. So a place is reserved first.
    ///
    /// # Errors
    ///
    /// `EINVAL` for 0 bytes, `ENOMEM`, `EFAULT` over pages that [`Region::replace`] has split or lost. Refused for
    /// huge pages, of which the kernel would move more than this region has, and where a segment is.
    pub fn resize(&mut self, length: usize) -> Result<()> {
        let object = format!("{length} bytes");
        let failed = |errno| Error::new("mremap", &object, errno);
        let rounded = whole_pages(length).map_err(failed)?;
        if self.size() == 0 {
            // For an old size of 0, mremap(2) maps a second time whatever is there.
            return Err(failed(Errno::EFAULT));
        }
        if !self.resizable {
            return Err(Error::refused(
                "mremap",
                &object,
                Refusal::Other("its pages may be huge".into()),
            ));
        }
        let room = if rounded.get() > self.size() {
            let room = Reservation::anywhere(rounded).map_err(failed)?;
            if off_limits()?.contains(&room.addresses().start) {
                return Err(failed(Errno::ENOMEM));
            }
            Some(room)
        } else {
            None
        };
        let flags = match room {
            Some(_) => MRemapFlags::MREMAP_MAYMOVE | MRemapFlags::MREMAP_FIXED,
            None => MRemapFlags::empty(),
        };
        let to = room.as_ref().and_then(Reservation::start);
        let (start, size) = (self.area.start, self.size());
        // Who looks through /proc/self/maps for a file must not miss this mapping because it moves meanwhile.
        let _until_moved = not_words::semaphores();
        // SAFETY: the pages are this guard's, which is borrowed mutably here, and it hands out no
        // references: so none is left that points to the old place. What is replaced are the reserved pages.
        let moved = unsafe { mremap(start, size, rounded.get(), flags, to) };
        // It is the region's now; or the kernel refuses, and nobody knows how far it has got.
        if let Some(room) = room {
            room.leak();
        }
        self.area.has_moved(moved.map_err(failed)?, rounded.get());
        Ok(())
    }

    /// Maps `length` bytes of `file` for loads, in place of the pages at `offset`: mmap(2). With
    /// `MAP_FIXED_NOREPLACE` it never succeeds: these addresses are taken, by this guard.
    ///
    /// # Errors
    ///
    /// `EEXIST` without `MAP_FIXED`; those of mmap(2). Refused: flags other than `MAP_SHARED`,
    /// `MAP_PRIVATE`, `MAP_FIXED` and `MAP_FIXED_NOREPLACE`, what [`Region::map`] refuses as a
    /// file, and what consists of huge pages, for which the kernel would replace more than was asked. If the kernel
    /// refuses a call with `MAP_FIXED`, the region has no pages any more: nobody knows how far it has got.
    ///
    /// # Panics
    ///
    /// As [`Region::protect`]; `length` must be whole pages.
    pub fn replace(
        &mut self,
        offset: usize,
        length: usize,
        flags: MapFlags,
        file: (&File, libc::off_t),
    ) -> Result<()> {
        assert!(length.is_multiple_of(page_size()), "{length} bytes are not whole pages");
        let sharing = MapFlags::MAP_SHARED | MapFlags::MAP_PRIVATE;
        let allowed = sharing | MapFlags::MAP_FIXED | MapFlags::MAP_FIXED_NOREPLACE;
        let refused = |why: &str| Error::refused("mmap", "the file", Refusal::Other(why.into()));
        if !allowed.contains(flags) {
            return Err(refused("these flags may replace other pages"));
        }
        let _until_mapped = regular(file.0)?;
        if has_huge_pages(file.0)? {
            return Err(refused("its huge pages may replace other pages"));
        }
        let wanted = self.part(offset, length);
        let failed = failed("mmap", offset, length);
        let size = NonZeroUsize::new(length).ok_or_else(|| failed(Errno::EINVAL))?;
        let (address, rights) = (wanted.addr(), ProtFlags::PROT_READ);
        // SAFETY: only whole pages of this guard are replaced, and no reference into them is left. If the call
        // fails, they may be gone: then they are given up.
        let got = unsafe { mmap(Some(address), size, rights, flags, file.0, file.1) };
        if got.is_err() && flags.contains(MapFlags::MAP_FIXED) {
            let nothing = Area { start: self.area.start, length: 0 };
            mem::replace(&mut self.area, nothing).give_up();
        }
        let got = got.map_err(&failed)?;
        if got != wanted {
            // Without MAP_FIXED the address is a hint; a kernel before 4.17 does not know
            // MAP_FIXED_NOREPLACE and takes it for one too.
            drop(Area::new(got, length));
            return Err(failed(Errno::EEXIST));
        }
        Ok(())
    }
}
