//! What may be done to the pages of a [`Region`] while they are mapped.

use std::fs::File;
use std::num::NonZeroUsize;

use nix::errno::Errno;
use nix::sys::mman::{
    MRemapFlags, MapFlags, MmapAdvise, MsFlags, ProtFlags, madvise, mlock, mmap, mremap, msync,
};
use nix::sys::statfs::{HUGETLBFS_MAGIC, fstatfs};

use super::{Region, failed, regular, whole_pages};
use crate::error::{Error, Refusal, Result};
use crate::mapping::Area;
use crate::proc::page_size;

impl Region {
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

    /// Makes it `length` bytes, rounded up to whole pages, and lets the kernel move it: mremap(2) with
    /// `MREMAP_MAYMOVE`. [`Region::address`] may be another afterwards.
    ///
    /// # Errors
    ///
    /// `EINVAL` for 0 bytes, `ENOMEM`, `EFAULT` over pages that [`Region::replace`] has split.
    pub fn resize(&mut self, length: usize) -> Result<()> {
        let failed = |errno| Error::new("mremap", format_args!("{length} bytes"), errno);
        let rounded = whole_pages(length).map_err(failed)?.get();
        let (start, size, may_move) = (self.area.start, self.size(), MRemapFlags::MREMAP_MAYMOVE);
        // SAFETY: the pages are this guard's, which is borrowed mutably here, and it hands out no
        // references: so none is left that points to the old place.
        let moved = unsafe { mremap(start, size, rounded, may_move, None) };
        self.area.start = moved.map_err(failed)?;
        self.area.length = rounded;
        Ok(())
    }

    /// Maps `length` bytes of `file` for loads, in place of the pages at `offset`: mmap(2). With
    /// `MAP_FIXED_NOREPLACE` it never succeeds: these addresses are taken, by this guard.
    ///
    /// # Errors
    ///
    /// `EEXIST` without `MAP_FIXED`; those of mmap(2). Refused: flags other than `MAP_SHARED`,
    /// `MAP_PRIVATE`, `MAP_FIXED` and `MAP_FIXED_NOREPLACE`, what [`Region::map`] refuses as a
    /// file, and what consists of huge pages, for which the kernel would replace more than was asked.
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
        let system = fstatfs(file.0).map_err(|it| Error::new("fstatfs", "the file", it))?;
        if system.filesystem_type() == HUGETLBFS_MAGIC {
            return Err(refused("its huge pages may replace other pages"));
        }
        let wanted = self.part(offset, length);
        let failed = failed("mmap", offset, length);
        let size = NonZeroUsize::new(length).ok_or_else(|| failed(Errno::EINVAL))?;
        let (address, rights) = (wanted.addr(), ProtFlags::PROT_READ);
        // SAFETY: only whole pages of this guard are replaced, and no reference into them is left.
        let got = unsafe { mmap(Some(address), size, rights, flags, file.0, file.1) };
        let got = got.map_err(&failed)?;
        if got != wanted {
            // Without MAP_FIXED the address is a hint; a kernel before 4.17 does not know
            // MAP_FIXED_NOREPLACE and takes it for one too.
            drop(Area { start: got, length });
            return Err(failed(Errno::EEXIST));
        }
        Ok(())
    }
}
