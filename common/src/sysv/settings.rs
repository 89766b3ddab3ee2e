//! What a segment may be told: a mode of its own (`IPC_SET`), to stay in memory (`SHM_LOCK`), and to be
//! made of special pages.

use std::ffi::c_int;
use std::ptr;

use nix::errno::Errno;

use super::segment::shmget;
use super::status::raw;
use super::{Key, Segment};
use crate::error::{Error, Refusal, Result};

impl Segment {
    /// Creates a segment as [`Segment::create`] does, of special pages: shmget(2) with `flags`, which may
    /// be `SHM_HUGETLB` (of huge pages, from the reserve), `SHM_NORESERVE` (without a look whether there is
    /// so much memory), or both.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::create`]; `ENOMEM` without huge pages in reserve, and `EPERM` for who may not
    /// use them. Refused: other flags.
    pub fn create_with(key: Key, size: usize, mode: u32, flags: c_int) -> Result<Self> {
        if flags & !(libc::SHM_HUGETLB | libc::SHM_NORESERVE) != 0 {
            let refusal = Refusal::Other(format!("0x{flags:x} has flags that are not for this"));
            return Err(Error::refused("shmget", key, refusal));
        }
        let access = (mode & 0o777).cast_signed();
        let id = shmget(key, size, libc::IPC_CREAT | libc::IPC_EXCL | access | flags)?;
        Ok(Self { id, size, mode: mode & 0o777, created: true })
    }

    /// Sets the permission bits, such as `0o640`, and leaves the owner: shmctl(2) `IPC_STAT`, then
    /// `IPC_SET`. Who has the segment attached keeps the rights that it had when it attached.
    ///
    /// # Errors
    ///
    /// `EPERM` if we neither own nor created it, `EACCES` if it is not ours to look at, `EINVAL` or `EIDRM`
    /// if it is gone.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        // IPC_SET sets the owner and the group too, so ask for them first.
        let mut wanted = raw(self.id)?;
        // The field has 16 bits on some machines and 32 on others.
        #[allow(clippy::useless_conversion)]
        let bits = (mode & 0o777).try_into().unwrap_or_default();
        wanted.shm_perm.mode = bits;
        // SAFETY: the pointer is to a `shmid_ds` that outlives the call; the kernel only reads it.
        let done = unsafe { libc::shmctl(self.id, libc::IPC_SET, &raw mut wanted) };
        Errno::result(done).map(drop).map_err(|errno| {
            Error::new("shmctl(IPC_SET)", format_args!("segment {}", self.id), errno)
        })
    }

    /// Keeps the segment's pages in memory from their first touch on, for all who use it: shmctl(2)
    /// `SHM_LOCK`. It brings none, unlike mlock(2).
    ///
    /// # Errors
    ///
    /// `ENOMEM` above `RLIMIT_MEMLOCK`, `EPERM` if that is 0 or if we neither own nor created it, `EINVAL`
    /// or `EIDRM` if it is gone.
    pub fn lock(&self) -> Result<()> {
        // SAFETY: SHM_LOCK ignores its third argument.
        let done = unsafe { libc::shmctl(self.id, libc::SHM_LOCK, ptr::null_mut()) };
        Errno::result(done).map(drop).map_err(|errno| {
            Error::new("shmctl(SHM_LOCK)", format_args!("segment {}", self.id), errno)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysv::tests::Private;

    #[test]
    fn only_the_mode_is_set() {
        let segment = Private::new(4096);
        let before = segment.status().expect("status");
        segment.set_mode(0o6440).expect("it is ours");
        let after = segment.status().expect("status");
        assert_eq!(after.mode, 0o440);
        let wanted = crate::sysv::Status { mode: 0o440, ..before };
        assert_eq!(after, wanted);
    }

    #[test]
    fn a_locked_segment_says_so() {
        let segment = Private::new(4096);
        assert!(!segment.status().expect("status").locked);
        match segment.lock() {
            Ok(()) => assert!(segment.status().expect("status").locked),
            Err(error) => eprintln!("skipped: {error}"),
        }
    }

    #[test]
    fn flags_that_mean_something_else_are_refused() {
        let error = Segment::create_with(Key::Private, 4096, 0o600, libc::IPC_CREAT);
        assert!(error.expect_err("refused").refusal().is_some());
        let flags = libc::SHM_NORESERVE;
        let segment = Segment::create_with(Key::Private, 4096, 0o6600, flags).expect("a segment");
        let mode = segment.status().map(|it| it.mode);
        assert_eq!((segment.remove(), mode), (Ok(true), Ok(0o600)));
        assert!(segment.to_string().contains("mode 0600, created"), "{segment}");
    }

    #[test]
    fn a_key_has_one_segment_of_special_pages_too() {
        let key = Key::Number(0x5d00_0000 | std::process::id().cast_signed());
        let create = || Segment::create_with(key, 4096, 0o600, libc::SHM_NORESERVE);
        let segment = create().expect("a key that nobody uses");
        let (again, found) = (create(), Segment::find(key));
        segment.remove().expect("removed");
        assert_eq!(again.expect_err("it has one").errno(), Some(Errno::EEXIST));
        assert_eq!(found.expect("by its key").id(), segment.id());
    }
}
