//! Pages whose rights, flags and size change while they are mapped, for lessons about pages.
//!
//! The other guards here hand out references, so what they map stays readable. A [`Region`] hands out
//! none: it loads and stores words by their offset. That is why its pages may be protected, dropped,
//! replaced and moved in safe code.

mod calls;
mod stack;

use std::ffi::c_void;
use std::fs::File;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous};
use nix::sys::statfs::{HUGETLBFS_MAGIC, fstatfs};

use super::Area;
use super::not_words::{self, Semaphores};
use crate::error::{Error, Refusal, Result, errno_of};
use crate::proc::page_size;

/// Whole pages, as 32-bit words, with the rights and flags that the caller chooses.
///
/// Offsets are in bytes from the first page. A load or store that the rights don't allow, or behind
/// the end of the file, is a SIGSEGV or SIGBUS: it ends the process before any value is read.
/// Dropping it unmaps the pages.
#[derive(Debug)]
pub struct Region {
    area: Area,
    /// Whether there is nothing but pages of the usual size. Of others the kernel may have mapped more than `area` says.
    resizable: bool,
}

/// Flags that could put pages where this process has others, or let them grow to there.
fn endangers_others(flags: MapFlags) -> bool {
    let fixed = MapFlags::MAP_FIXED | MapFlags::MAP_FIXED_NOREPLACE;
    flags.intersects(fixed | MapFlags::MAP_GROWSDOWN)
}

impl Region {
    /// Maps `length` bytes, rounded up to whole pages, of `file` from an offset in bytes on: mmap(2).
    /// Without a file, `flags` must have `MAP_ANONYMOUS`.
    ///
    /// # Errors
    ///
    /// Those of mmap(2), such as `EBADF` with neither of the two; `ENOMEM` if there is room near the stack only; for
    /// the first region those of open(2) on /proc/self/maps, which says where the stack is. Refused: `MAP_FIXED`,
    /// `MAP_FIXED_NOREPLACE` ([`Region::replace`] has them), `MAP_GROWSDOWN`, and a file that is a device, a
    /// directory, one of the kernel's own, anonymous pages of a process or a semaphore.
    pub fn map(
        length: usize,
        rights: ProtFlags,
        flags: MapFlags,
        file: Option<(&File, libc::off_t)>,
    ) -> Result<Self> {
        let object = match file {
            Some((_, offset)) => format!("{length} bytes from offset {offset} on"),
            None => format!("{length} anonymous bytes"),
        };
        if endangers_others(flags) {
            let refusal = Refusal::Other("these flags may replace other pages".into());
            return Err(Error::refused("mmap", object, refusal));
        }
        let huge = flags.contains(MapFlags::MAP_HUGETLB)
            || file.map_or(Ok(false), |(file, _)| has_huge_pages(file))?;
        let failed = |errno| Error::new("mmap", &object, errno);
        let rounded = whole_pages(length).map_err(failed)?;
        let off_limits = stack::off_limits()?;
        let start = match file {
            Some((file, offset)) => {
                let _until_mapped = regular(file)?;
                // SAFETY: without MAP_FIXED, mmap never replaces a mapping that is there, so it
                // touches no memory that Rust knows of.
                unsafe { mmap(None, rounded, rights, flags, file, offset) }
            }
            // What the kernel says to a call without a descriptor. nix would add the flag.
            None if !flags.contains(MapFlags::MAP_ANONYMOUS) => Err(Errno::EBADF),
            // SAFETY: as above.
            None => unsafe { mmap_anonymous(None, rounded, rights, flags) },
        };
        let area = Area::new(start.map_err(failed)?, rounded.get());
        if off_limits.contains(&area.addresses().start) {
            return Err(failed(Errno::ENOMEM));
        }
        Ok(Self { area, resizable: !huge })
    }

    /// Bytes, always whole pages.
    #[must_use]
    pub fn size(&self) -> usize {
        self.area.length
    }

    /// The address of the first page in this process.
    #[must_use]
    pub fn address(&self) -> NonNull<c_void> {
        self.area.start
    }

    /// Loads the word at `offset`, in acquire order: what was stored before a value that is found here
    /// is found too.
    ///
    /// # Panics
    ///
    /// If `offset` is no multiple of 4 or lies outside.
    #[must_use]
    pub fn load(&self, offset: usize) -> u32 {
        // A load whose value nobody uses is a load nevertheless: it may be there for its fault.
        let value = std::hint::black_box(self.word(offset).load(Ordering::Relaxed));
        // On read-only pages std promises no more than a relaxed load, so the fence stands beside it.
        fence(Ordering::Acquire);
        value
    }

    /// Stores `value` at `offset`, in release order.
    ///
    /// # Panics
    ///
    /// If `offset` is no multiple of 4 or lies outside.
    pub fn store(&self, offset: usize, value: u32) {
        self.word(offset).store(value, Ordering::Release);
    }

    /// A reference that must not leave this module: the next call may take the page away.
    fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(size_of::<u32>()), "{offset} is no multiple of 4");
        // No `AtomicU32::from_ptr`, which wants pages that may be written.
        let start: NonNull<AtomicU32> = self.part(offset, size_of::<u32>()).cast();
        // SAFETY: the word is aligned and lies in pages of this guard, which no Rust value lives in;
        // everybody sees them as 32-bit atomics: `not_words` refuses the files where something else lies.
        // Where the page can't be accessed, the access faults, which ends the process: no value that Rust
        // could misread.
        unsafe { start.as_ref() }
    }

    /// Where `offset` lies, if `length` bytes from there on are inside.
    pub(crate) fn part(&self, offset: usize, length: usize) -> NonNull<c_void> {
        let inside = offset.checked_add(length).is_some_and(|end| end <= self.size());
        assert!(inside, "{length} bytes from {offset} on do not lie in {} bytes", self.size());
        // SAFETY: the assertion has just said that it lies in the mapped pages.
        unsafe { self.area.start.byte_add(offset) }
    }
}

fn failed(call: &'static str, offset: usize, length: usize) -> impl Fn(Errno) -> Error {
    move |errno| Error::new(call, format_args!("{length} bytes from offset {offset} on"), errno)
}

/// `length` rounded up to whole pages. More than `isize::MAX` bytes, which a 32-bit machine may have room
/// for, are more than an offset of a Rust pointer may be.
fn whole_pages(length: usize) -> nix::Result<NonZeroUsize> {
    let rounded = length.checked_next_multiple_of(page_size());
    let rounded = rounded.filter(|it| isize::try_from(*it).is_ok()).ok_or(Errno::ENOMEM)?;
    NonZeroUsize::new(rounded).ok_or(Errno::EINVAL)
}

/// Devices could map memory of the machine or of the kernel, which others see as they like; and in some
/// files lies something else than words.
fn regular(file: &File) -> Result<Semaphores> {
    let about = file.metadata().map_err(|it| Error::new("fstat", "the file", errno_of(&it)))?;
    if about.is_file() {
        return not_words::refuse(file, "mmap", "the file");
    }
    Err(Error::refused("mmap", "the file", Refusal::Kind("device or a directory")))
}

fn has_huge_pages(file: &File) -> Result<bool> {
    let system = fstatfs(file).map_err(|it| Error::new("fstatfs", "the file", it))?;
    Ok(system.filesystem_type() == HUGETLBFS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::mman::{MmapAdvise, MsFlags};
    use std::time::{Duration, Instant};

    const BOTH: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);
    const ANONYMOUS: MapFlags = MapFlags::MAP_SHARED.union(MapFlags::MAP_ANONYMOUS);

    fn anonymous(pages: usize) -> Region {
        Region::map(pages * page_size(), BOTH, ANONYMOUS, None).expect("anonymous pages")
    }

    #[test]
    fn what_was_stored_is_there_until_it_is_removed() {
        let (region, page) = (anonymous(2), page_size());
        region.store(page - 4, 1);
        region.store(page, 2);
        assert_eq!(region.resident().expect("mincore"), [true, true]);
        region.advise(0, page, MmapAdvise::MADV_DONTNEED).expect("shared pages keep it");
        assert_eq!((region.load(page - 4), region.load(page)), (1, 2));
        region.advise(0, page, MmapAdvise::MADV_REMOVE).expect("a hole");
        assert_eq!((region.load(page - 4), region.load(page)), (0, 2));
        region.sync(0, page, MsFlags::MS_SYNC).expect("nothing to write");
    }

    #[test]
    fn neither_a_file_nor_anonymous_is_no_mapping() {
        let error = Region::map(1, BOTH, MapFlags::MAP_SHARED, None).expect_err("refused");
        assert_eq!(error.errno(), Some(Errno::EBADF));
    }

    #[test]
    fn what_would_endanger_other_memory_is_refused() {
        for flag in [MapFlags::MAP_FIXED, MapFlags::MAP_FIXED_NOREPLACE, MapFlags::MAP_GROWSDOWN] {
            let error = Region::map(1, BOTH, ANONYMOUS | flag, None).expect_err("refused");
            assert!(error.refusal().is_some(), "{error}");
        }
        let zero = File::options().read(true).write(true).open("/dev/zero").expect("/dev/zero");
        let error = Region::map(1, BOTH, MapFlags::MAP_PRIVATE, Some((&zero, 0)));
        assert!(error.expect_err("a device").refusal().is_some());
        let region = anonymous(1);
        let error = region.advise(0, region.size(), MmapAdvise::MADV_DONTFORK);
        assert!(error.expect_err("a fork's copy").refusal().is_some());
        let error = region.load_after_unmap(0).expect_err("libtest has threads");
        assert!(error.refusal().is_some(), "{error}");
    }

    #[test]
    fn resized_pages_keep_what_they_have() {
        let mut region = anonymous(2);
        region.store(0, 7);
        region.resize(1).expect("shrinks");
        assert_eq!((region.size(), region.load(0)), (page_size(), 7));
        region.resize(page_size() * 64).expect("grows");
        assert_eq!((region.size(), region.load(0)), (page_size() * 64, 7));
        assert_eq!(region.resize(0).expect_err("no pages").errno(), Some(Errno::EINVAL));
    }

    #[test]
    fn huge_pages_replace_nothing() {
        use nix::sys::memfd::{MFdFlags, memfd_create};
        // A kernel without huge pages has no such file to refuse.
        if let Ok(huge) = memfd_create("huge", MFdFlags::MFD_HUGETLB) {
            let (huge, flags) = (File::from(huge), MapFlags::MAP_SHARED | MapFlags::MAP_FIXED);
            let error = anonymous(1).replace(0, page_size(), flags, (&huge, 0));
            assert!(error.expect_err("huge pages").refusal().is_some());
            // Where there is a reserve of them.
            if let Ok(mut region) =
                Region::map(page_size(), BOTH, MapFlags::MAP_SHARED, Some((&huge, 0)))
            {
                let error = region.resize(2 * page_size()).expect_err("huge pages");
                assert!(error.refusal().is_some(), "{error}");
            }
        }
    }

    #[test]
    fn a_replacement_that_fails_leaves_nothing_behind() {
        // A regular file that says no when it is mapped: the old pages have gone by then.
        let paths = ["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/cpu/cgroup.procs"];
        let Some(file) = paths.iter().find_map(|it| File::open(it).ok()) else {
            eprintln!("skipped: none of {paths:?} is there");
            return;
        };
        let (mut region, page) = (anonymous(1), page_size());
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED;
        let deadline = Instant::now() + Duration::from_secs(60);
        // While another test has a semaphore open, it is the look at the file that fails, and the page stays.
        while region.size() > 0 && Instant::now() < deadline {
            region.replace(0, page, flags, (&file, 0)).expect_err("nothing to map");
        }
        assert_eq!(region.size(), 0, "what was its page may be somebody else's");
        assert_eq!(region.resize(page).expect_err("lost").errno(), Some(Errno::EFAULT));
    }

    #[test]
    #[should_panic(expected = "no multiple of 4")]
    fn no_word_begins_elsewhere_even_unmapped() {
        let _ = anonymous(1).load_after_unmap(1);
    }

    #[test]
    fn no_offset_is_larger_than_rust_allows() {
        let most = isize::MAX.unsigned_abs() + 1 - page_size();
        assert_eq!(whole_pages(most).map(NonZeroUsize::get), Ok(most));
        assert_eq!([most + 1, usize::MAX].map(whole_pages), [Err(Errno::ENOMEM); 2]);
        assert_eq!(whole_pages(0), Err(Errno::EINVAL));
    }

    #[test]
    #[should_panic(expected = "do not lie in")]
    fn nothing_outside_is_loaded() {
        let region = anonymous(1);
        let _ = region.load(region.size());
    }
}
