//! Segments: making, finding and removing them: shmget(2), shmctl(2).

use std::ffi::c_int;
use std::fmt;
use std::ptr;

use nix::errno::Errno;

use super::{Key, Status};
use crate::error::{Error, Refusal, Result};

/// A segment that exists, known by its shmid.
///
/// Dropping it does nothing: a segment outlives its processes until [`Segment::remove`].
#[derive(Debug)]
pub struct Segment {
    pub(super) id: c_int,
    pub(super) size: usize,
    pub(super) mode: u32,
    pub(super) created: bool,
}

impl Segment {
    /// Creates a segment of `size` bytes, filled with zeros: shmget(2) with `IPC_CREAT` and
    /// `IPC_EXCL`. `mode` holds permission bits, such as `0o600`.
    ///
    /// # Errors
    ///
    /// `EEXIST` if the key has a segment already, `EINVAL` for a size of 0 or above SHMMAX, `ENOSPC`
    /// at the limit of segments (SHMMNI) or pages (SHMALL), `ENOMEM`.
    pub fn create(key: Key, size: usize, mode: u32) -> Result<Self> {
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | (mode & 0o777).cast_signed();
        let id = shmget(key, size, flags)?;
        Ok(Self { id, size, mode: mode & 0o777, created: true })
    }

    /// Finds the segment under `key`, which must have `size` bytes: shmget(2) without `IPC_CREAT`,
    /// then shmctl(2) `IPC_STAT` to look at it.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the key has no segment, `EACCES` if it is not ours to look at; refused if its
    /// size is another.
    pub fn open(key: Key, size: usize) -> Result<Self> {
        let segment = Self::find(key)?;
        segment.must_have(size)?;
        Ok(segment)
    }

    /// Finds the segment under `key`, whatever its size: shmget(2), then shmctl(2) `IPC_STAT`.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the key has no segment, `EACCES` if it is not ours to look at.
    pub fn find(key: Key) -> Result<Self> {
        // Size 0 and no permission bits ask for nothing, so that the answer to a segment of another
        // size or another user comes from IPC_STAT, which says more than shmget's EINVAL.
        Self::from_id(shmget(key, 0, 0)?)
    }

    /// Finds the segment under `key`, or creates it: what C does with `IPC_CREAT` alone, and yet
    /// knows which of the two it was ([`Segment::created`]).
    ///
    /// # Errors
    ///
    /// Those of [`Segment::create`] and [`Segment::open`], except `EEXIST` and `ENOENT`.
    pub fn open_or_create(key: Key, size: usize, mode: u32) -> Result<Self> {
        loop {
            match Self::create(key, size, mode) {
                Err(error) if error.errno() == Some(Errno::EEXIST) => {}
                created_or_failed => return created_or_failed,
            }
            match Self::open(key, size) {
                // Removed between the two calls: create it after all.
                Err(error) if error.is_gone() => {}
                found_or_failed => return found_or_failed,
            }
        }
    }

    /// Finds the segment with the shmid `id`, whatever its size: shmctl(2) `IPC_STAT`. Linux finds it
    /// also when it is marked for destruction.
    ///
    /// # Errors
    ///
    /// `EINVAL` or `EIDRM` if there is none, `EACCES` if it is not ours to look at.
    pub fn from_id(id: c_int) -> Result<Self> {
        let status = Status::of(id)?;
        Ok(Self { id, size: status.size, mode: status.mode, created: false })
    }

    /// Refuses a segment that has not `size` bytes, so that no type is seen in it which it can't
    /// hold.
    ///
    /// # Errors
    ///
    /// Refused if the size is another.
    pub fn must_have(&self, size: usize) -> Result<()> {
        if self.size == size {
            return Ok(());
        }
        let refusal = Refusal::Size { found: self.size as u64, wanted: size };
        Err(Error::refused("shmget", format_args!("segment {}", self.id), refusal))
    }

    /// The shmid, as `ipcs -m` lists it.
    #[must_use]
    pub fn id(&self) -> c_int {
        self.id
    }

    /// The size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether this process made the segment, so that nobody can have written to it before.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// What the kernel says of the segment now: shmctl(2) `IPC_STAT`.
    ///
    /// # Errors
    ///
    /// `EINVAL` or `EIDRM` if the segment is gone, `EACCES` if it is not ours to look at.
    pub fn status(&self) -> Result<Status> {
        Status::of(self.id)
    }

    /// Marks the segment for destruction: shmctl(2) `IPC_RMID`. Its key is free at once; its memory
    /// goes with the last detach. Returns `false` if somebody else had removed it before.
    ///
    /// # Errors
    ///
    /// `EPERM` if we neither own nor created it, `EACCES` if it is not ours to look at.
    pub fn remove(&self) -> Result<bool> {
        // IPC_RMID says nothing of a mark that is there already, so ask first.
        // Who may not look may still remove: the owner of a segment of mode 0000.
        if self.status().is_ok_and(|it| it.marked_for_destruction) {
            return Ok(false);
        }
        // SAFETY: IPC_RMID ignores its third argument.
        let removed = unsafe { libc::shmctl(self.id, libc::IPC_RMID, ptr::null_mut()) };
        match Errno::result(removed) {
            Ok(_) => Ok(true),
            Err(Errno::EINVAL | Errno::EIDRM) => Ok(false),
            Err(errno) => {
                let object = format_args!("segment {}", self.id);
                Err(Error::new("shmctl(IPC_RMID)", object, errno))
            }
        }
    }

    /// Removes the segment if this process has just created it, because `error` leaves it without a
    /// use, and hands `error` on; for `map_err`. A segment that others made stays.
    #[must_use]
    pub fn abandon(&self, error: Error) -> Error {
        if self.created {
            // The error that led here says more than one of this call could.
            let _ = self.remove();
        }
        error
    }
}

pub(super) fn shmget(key: Key, size: usize, flags: c_int) -> Result<c_int> {
    // SAFETY: shmget takes three numbers and touches no memory of ours.
    let id = unsafe { libc::shmget(key.as_raw(), size, flags) };
    Errno::result(id).map_err(|errno| Error::new("shmget", key, errno))
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, size, mode, created } = self;
        let how = if *created { "created" } else { "found" };
        write!(f, "segment {id}, {size} bytes, mode {mode:04o}, {how}")
    }
}
