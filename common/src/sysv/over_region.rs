//! A segment in the place of pages that a [`Region`] has: shmat(2) with `SHM_REMAP`.

use std::ffi::c_int;
use std::mem::ManuallyDrop;

use nix::errno::Errno;

use super::Segment;
use super::attachment::Attached;
use crate::error::{Error, Refusal, Result};
use crate::mapping::Region;
use crate::shared::ReadOnly;

impl Segment {
    /// Attaches the segment at `offset` of `room`, where the room's own pages are: shmat(2) with `flags`,
    /// which may be `SHM_REMAP` (in the place of what is there), `SHM_RDONLY` and `SHM_EXEC`. The region
    /// that comes back has the segment's words there, and detaches it when it is dropped.
    ///
    /// # Errors
    ///
    /// `EINVAL` without `SHM_REMAP`, since something is mapped there; `EINVAL` for an offset that is no
    /// page's; `EACCES`. Refused: other flags, a segment that does not fit, and one of huge pages. If the
    /// kernel refuses a call with `SHM_REMAP`, nobody knows how far it has got: so the room is not unmapped.
    pub fn attach_over(&self, room: Region, offset: usize, flags: c_int) -> Result<Region> {
        let object = format!("segment {}", self.id);
        let refused = |why: String| Error::refused("shmat", &object, Refusal::Other(why));
        if flags & !(libc::SHM_REMAP | libc::SHM_RDONLY | libc::SHM_EXEC) != 0 {
            return Err(refused(format!("0x{flags:x} has flags that are not for this")));
        }
        // Attached a first time, so that the id stays this segment's, of this size, until the second.
        let pinned = self.anywhere::<ReadOnly>()?;
        self.must_take_no_more_than_its_size(pinned.address())?;
        if offset.checked_add(self.size).is_none_or(|end| end > room.size()) {
            let size = self.size;
            return Err(refused(format!("{size} bytes at {offset} do not fit into the room")));
        }
        let place = room.part(offset, self.size);
        // SAFETY: what is replaced are pages of `room`, of which it hands out no references: no more than
        // the segment's size needs, which `pinned` keeps from changing, and they lie inside. A region's
        // words are 32-bit atomics, as a segment's must be.
        let start = unsafe { libc::shmat(self.id, place.as_ptr(), flags) };
        match Attached::from(start) {
            // From now on it is the region that detaches it: munmap(2) does that too.
            Ok(attached) if attached.address() == place.addr().get() => {
                let _ = ManuallyDrop::new(attached);
                Ok(room.with_segment())
            }
            // If it is elsewhere, which is unlikely, it is nobody's, and is detached.
            other => {
                // Without the flag nothing has been replaced.
                if flags & libc::SHM_REMAP != 0 {
                    room.give_up();
                }
                let errno = other.err().unwrap_or(Errno::EINVAL);
                Err(self.shmat_failed(place.addr().get(), errno))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::page_size;
    use crate::sysv::tests::Private;
    use nix::sys::mman::{MapFlags, ProtFlags};

    fn room(pages: usize) -> Region {
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS;
        let room = Region::map(pages * page_size(), rights, flags, None).expect("pages");
        room.store(0, 1);
        room
    }

    #[test]
    fn a_segment_replaces_pages_only_with_shm_remap() {
        let (segment, page) = (Private::new(page_size()), page_size());
        let error = segment.attach_over(room(3), page, 0).expect_err("taken");
        assert_eq!(error.errno(), Some(Errno::EINVAL));
        let room = segment.attach_over(room(3), page, libc::SHM_REMAP).expect("replaced");
        room.store(page, 7);
        room.store(2 * page, 8);
        assert_eq!((room.load(0), room.load(page), room.load(2 * page)), (1, 7, 8));
        let words = segment.attach_words::<ReadOnly>().expect("attached");
        assert_eq!(words[0].load(std::sync::atomic::Ordering::Relaxed), 7);
        assert_eq!(segment.status().expect("status").attached, 2);
        drop((words, room));
        drop(segment.attach_over(self::room(1), 0, libc::SHM_REMAP).expect("it just fits"));
        assert_eq!(segment.status().expect("status").attached, 0);
    }

    #[test]
    fn where_a_segment_is_nothing_is_resized() {
        // Of huge pages the kernel would move more than the region has.
        let (segment, page) = (Private::new(page_size()), page_size());
        let mut room = segment.attach_over(room(2), page, libc::SHM_REMAP).expect("replaced");
        for size in [page, 2 * page, 3 * page] {
            let error = room.resize(size).expect_err("a segment is there");
            assert!(error.refusal().is_some(), "{error}");
        }
        assert_eq!((room.size(), room.load(0)), (2 * page, 1));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (segment, page) = (Private::new(2 * page_size()), page_size());
        for (offset, flags) in
            [(2 * page, libc::SHM_REMAP), (usize::MAX, libc::SHM_REMAP), (0, libc::SHM_RND)]
        {
            let error = segment.attach_over(room(3), offset, flags).expect_err("refused");
            assert!(error.refusal().is_some(), "{error}");
        }
        assert_eq!(segment.status().expect("status").attached, 0);
    }
}
