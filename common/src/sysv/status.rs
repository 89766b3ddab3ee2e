//! What the kernel says of a segment: shmctl(2) `IPC_STAT`.

use std::ffi::c_int;

use nix::errno::Errno;

use crate::error::{Error, Result};

/// What `IPC_STAT` says of a segment: part of C's `struct shmid_ds`, see shmctl(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The key; 0 for a private segment and for one that is marked for destruction.
    pub key: libc::key_t,
    /// The size in bytes as asked for, not rounded up to whole pages.
    pub size: usize,
    /// The permission bits, such as `0o600`.
    pub mode: u32,
    /// Whether the segment goes with the last detach (`SHM_DEST`).
    pub marked_for_destruction: bool,
    /// Whether the segment's pages stay in memory (`SHM_LOCKED`).
    pub locked: bool,
    /// How many attachments there are, in all processes.
    pub attached: u64,
    /// The user id of the owner.
    pub owner: libc::uid_t,
    /// The process that created the segment.
    pub creator: libc::pid_t,
    /// The process that attached or detached last; 0 if none has.
    pub last: libc::pid_t,
}

/// `SHM_DEST` of linux/shm.h, a bit of `shm_perm.mode`; the libc crate does not have it.
const SHM_DEST: u32 = 0o1000;

/// `SHM_LOCKED`, as above.
const SHM_LOCKED: u32 = 0o2000;

impl Status {
    /// Asks the kernel: shmctl(2) `IPC_STAT`.
    pub(super) fn of(id: c_int) -> Result<Self> {
        let stat = raw(id)?;
        let mode = u32::from(stat.shm_perm.mode);
        Ok(Self {
            key: stat.shm_perm.__key,
            size: stat.shm_segsz,
            mode: mode & 0o777,
            marked_for_destruction: mode & SHM_DEST != 0,
            locked: mode & SHM_LOCKED != 0,
            // 32 bits wide on 32-bit machines.
            #[allow(clippy::useless_conversion)]
            attached: stat.shm_nattch.into(),
            owner: stat.shm_perm.uid,
            creator: stat.shm_cpid,
            last: stat.shm_lpid,
        })
    }
}

/// What C gets: shmctl(2) `IPC_STAT`.
pub(super) fn raw(id: c_int) -> Result<libc::shmid_ds> {
    // SAFETY: all fields of `shmid_ds` are numbers, for which zero is valid.
    let mut stat: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a `shmid_ds` that outlives the call; the kernel fills it and keeps no
    // pointer.
    let done = unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut stat) };
    Errno::result(done)
        .map_err(|errno| Error::new("shmctl(IPC_STAT)", format_args!("segment {id}"), errno))?;
    Ok(stat)
}
