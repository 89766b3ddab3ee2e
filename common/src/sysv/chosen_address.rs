//! Attachments at an address of our choice: shmat(2) with an address, and `SHM_RND`.

use std::ffi::c_int;
use std::ptr;

use nix::errno::Errno;

use super::attachment::Attached;
use super::{Attachment, Segment};
use crate::error::{Error, Refusal, Result, errno_of};
use crate::mapping::Reservation;
use crate::proc::maps;
use crate::proc::page_size;
use crate::shared::{Access, SharedMemory};

/// No SHMLBA, to which `SHM_RND` rounds, is larger: most machines have the page size, MIPS has
/// 0x40000.
const LARGEST_SHMLBA: usize = 0x40_0000;

impl Segment {
    /// Attaches the segment at `address`, a multiple of the page size where nothing is mapped:
    /// shmat(2).
    ///
    /// # Errors
    ///
    /// Those of [`Segment::attach`], and `EINVAL` for an address that is not aligned; refused if
    /// something is mapped there, if the stack may grow to there, or if the segment is of huge pages
    /// that are larger than it is. `ENOENT` where /proc is not mounted, which tells that.
    pub fn attach_at<T: SharedMemory, A: Access>(
        &self,
        address: usize,
    ) -> Result<Attachment<T, A>> {
        self.must_have(size_of::<T>())?;
        self.at(address, 0)
    }

    /// Attaches the segment at `address` rounded down to a multiple of SHMLBA, which on Linux is
    /// the page size nearly everywhere: shmat(2) with `SHM_RND`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::attach_at`]; refused for an address that might be rounded to 0.
    pub fn attach_rounded<T: SharedMemory, A: Access>(
        &self,
        address: usize,
    ) -> Result<Attachment<T, A>> {
        self.must_have(size_of::<T>())?;
        // Rounded to 0, the address would mean "anywhere" to one half of the kernel and "here,
        // whatever is there" to the other.
        if address < LARGEST_SHMLBA {
            let object = format_args!("segment {} at 0x{address:x}", self.id);
            return Err(Error::refused("shmat", object, Refusal::RoundsToZero));
        }
        self.at(address, libc::SHM_RND)
    }

    /// Attaches at an address. Linux ignores the gap that it leaves below the stack when shmat(2) names
    /// an address, so a segment there would become the stack as that grows. mmap(2) keeps the gap: so
    /// it reserves the addresses first, and the segment then replaces the reservation.
    fn at<T: SharedMemory, A: Access>(
        &self,
        address: usize,
        rounding: c_int,
    ) -> Result<Attachment<T, A>> {
        // Attached a first time, so that the id stays this segment's, of this size, until the second.
        let pinned = self.anywhere::<A>()?;
        self.must_take_no_more_than_its_size(pinned.address())?;
        let access = if A::WRITABLE { 0 } else { libc::SHM_RDONLY };
        if rounding == 0 && !address.is_multiple_of(page_size()) {
            // SAFETY: the kernel refuses an address that is not aligned before it does anything.
            let start = unsafe { libc::shmat(self.id, ptr::without_provenance(address), access) };
            let errno = Attached::from(start).err().unwrap_or(Errno::EINVAL);
            return Err(self.shmat_failed(address, errno));
        }
        let lowest = if rounding == 0 { address } else { address & !(LARGEST_SHMLBA - 1) };
        let wanted = lowest..address.saturating_add(self.size);
        let reserved = Reservation::at(wanted).ok_or_else(|| {
            let object = format_args!("segment {} at 0x{address:x}", self.id);
            Error::refused("shmat", object, Refusal::NoRoom)
        })?;
        let flags = access | rounding | libc::SHM_REMAP;
        // SAFETY: SHM_REMAP replaces what is mapped from the address on, rounded down, for as many
        // pages as `pinned` takes, which are no more than the size needs. That is a part of the
        // reservation, which nobody else uses: the reservation starts below any rounded address, and
        // `pinned` keeps the segment from being another, larger one.
        let start = unsafe { libc::shmat(self.id, ptr::without_provenance(address), flags) };
        match Attached::from(start) {
            Ok(attached) => {
                reserved.release_except(attached.address(), self.size);
                // SAFETY: attached with the rights of `A`; `pinned` has the size of `T`, as the callers
                // have made sure.
                Ok(unsafe { attached.seen_as() })
            }
            Err(errno) => {
                // Nobody knows how far the kernel has got, so the addresses stay reserved: what is
                // not there any more may be somebody else's by now.
                reserved.leak();
                Err(self.shmat_failed(address, errno))
            }
        }
    }

    /// Refuses a segment that takes more addresses than its size, in pages, says. One of huge pages
    /// (`SHM_HUGETLB`) does: `IPC_STAT` gives the size that was asked for, and shmat(2) takes whole huge
    /// pages. With SHM_REMAP it would replace whatever lies behind the reservation.
    pub(super) fn must_take_no_more_than_its_size(&self, attached: usize) -> Result<()> {
        let object = || format!("segment {}", self.id);
        let maps = maps("self")
            .map_err(|error| Error::new("open /proc/self/maps", object(), errno_of(&error)))?;
        let line = maps.into_iter().find(|it| it.addresses.start == attached);
        let found = line.map_or(0, |it| it.addresses.len());
        if found == self.size.next_multiple_of(page_size()) {
            return Ok(());
        }
        let refusal = Refusal::Size { found: found as u64, wanted: self.size };
        Err(Error::refused("shmat", object(), refusal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysv::tests::Private;
    use crate::{ReadWrite, SharedText};

    #[test]
    fn addresses_must_be_aligned_or_rounded() {
        let segment = Private::new(SharedText::<1024>::CAPACITY);
        let at = |address| segment.attach_at::<SharedText<1024>, ReadWrite>(address);
        // Far from where mmap puts the mappings of other threads.
        let free = 0x2a_0080_0000_usize;
        assert_eq!(at(free + 1).expect_err("not aligned").errno(), Some(Errno::EINVAL));
        let attached = at(free).expect("attached at the address");
        assert_eq!(attached.address().as_ptr().addr(), free);
        attached.writer().store("still here");
        assert_eq!(at(free).expect_err("taken").refusal(), Some(&Refusal::NoRoom));
        assert_eq!(attached.load().as_bytes(), b"still here");
        drop(attached);
        let to_zero = segment.attach_rounded::<SharedText<1024>, ReadWrite>(1);
        assert_eq!(to_zero.expect_err("refused").refusal(), Some(&Refusal::RoundsToZero));
        assert_eq!(segment.status().expect("status").attached, 0);
    }

    #[test]
    fn rounding_takes_no_more_room_than_the_segment() {
        const FREE: usize = 0x2a_0040_0000;
        let segment = Private::new(SharedText::<1024>::CAPACITY);
        let rounded = segment.attach_rounded::<SharedText<1024>, ReadWrite>(FREE + 0x3001);
        let rounded = rounded.expect("rounded");
        let start = rounded.address().as_ptr().addr();
        assert_eq!(start % page_size(), 0);
        assert!((FREE..=FREE + 0x3000).contains(&start), "0x{start:x}");
        // What was reserved below and above is free again.
        let length = SharedText::<1024>::CAPACITY;
        drop(Reservation::at(FREE..start).expect("free again"));
        drop(Reservation::at(start + length..FREE + 0x10_0000).expect("free as before"));
        assert!(Reservation::at(start..start + length).is_none(), "the attachment stays");
    }

    #[test]
    fn only_what_is_rounded_needs_the_room_below() {
        // The start of a block as large as the largest SHMLBA, which begins at an even multiple of it.
        const FREE: usize = 0x2a_0180_0000;
        let segment = Private::new(SharedText::<1024>::CAPACITY);
        let behind = FREE + page_size();
        let below = Reservation::at(FREE..behind).expect("free");
        let attached = segment.attach_at::<SharedText<1024>, ReadWrite>(behind);
        drop(attached.expect("right behind what is mapped"));
        // Where SHMLBA is larger, the kernel would round into what is mapped, and replace it.
        let rounded = segment.attach_rounded::<SharedText<1024>, ReadWrite>(behind);
        assert_eq!(rounded.expect_err("no room").refusal(), Some(&Refusal::NoRoom));
        drop(below);
        segment.attach_rounded::<SharedText<1024>, ReadWrite>(behind).expect("room");
    }

    #[test]
    fn no_segment_comes_to_lie_where_the_stack_grows() {
        let maps = maps("self").expect("/proc");
        let stack = maps.iter().find(|it| it.name == "[stack]").expect("a stack");
        let length = SharedText::<1024>::CAPACITY;
        let segment = Private::new(length);
        for below in [1, 2, 64] {
            let address = stack.addresses.start - below * length;
            let error = segment.attach_at::<SharedText<1024>, ReadWrite>(address);
            let error = error.expect_err("the stack may grow to there");
            assert_eq!(error.refusal(), Some(&Refusal::NoRoom));
        }
        assert_eq!(segment.status().expect("status").attached, 0);
    }

    #[test]
    fn a_segment_of_huge_pages_replaces_nothing_behind_it() {
        let size = SharedText::<1024>::CAPACITY;
        let flags = libc::IPC_CREAT | libc::SHM_HUGETLB | 0o600;
        // SAFETY: shmget takes three numbers and touches no memory of ours.
        let id = unsafe { libc::shmget(libc::IPC_PRIVATE, size, flags) };
        let Ok(id) = Errno::result(id) else {
            eprintln!("skipped: no huge pages here ({})", Errno::last());
            return;
        };
        let segment = Segment::from_id(id).expect("found");
        let attached = segment.attach_at::<SharedText<1024>, ReadWrite>(0x2a_4000_0000);
        segment.remove().expect("removed");
        let error = attached.expect_err("it takes 2 MiB and not 4096 bytes");
        assert!(matches!(error.refusal(), Some(Refusal::Size { .. })), "{error}");
    }

    #[test]
    fn a_segment_must_take_the_pages_that_its_size_says() {
        let segment = Private::new(2 * page_size());
        let attached = segment.anywhere::<ReadWrite>().expect("attached");
        let mut smaller = Segment::from_id(segment.id()).expect("found");
        // Like a segment of huge pages, of which IPC_STAT gives the size that was asked for.
        smaller.size = 1;
        let error = smaller.must_take_no_more_than_its_size(attached.address());
        assert!(matches!(error.expect_err("more").refusal(), Some(Refusal::Size { .. })));
        segment.must_take_no_more_than_its_size(attached.address()).expect("as it says");
    }
}
