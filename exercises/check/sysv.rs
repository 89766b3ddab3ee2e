//! System V calls that `common` has no need of.

use std::sync::atomic::{AtomicU32, Ordering};

use common::SharedU32;
use nix::errno::Errno;

/// What `IPC_SET` takes over from C's `struct shmid_ds`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions {
    /// `shm_perm.uid`: the user id of the owner.
    pub uid: u32,
    /// `shm_perm.gid`: the group id of the owner.
    pub gid: u32,
    /// `shm_perm.mode`: nine permission bits.
    pub mode: u32,
}

/// What the kernel says of the segment `id`: shmctl(2) `IPC_STAT`.
///
/// # Errors
///
/// `EINVAL` or `EIDRM` if there is none, `EACCES` if it is not ours to look at.
pub fn ipc_stat(id: i32) -> nix::Result<Permissions> {
    let perm = stat(id)?.shm_perm;
    // On some machines the mode has 16 bits.
    #[allow(clippy::useless_conversion)]
    let mode = u32::from(perm.mode) & 0o777;
    Ok(Permissions { uid: perm.uid, gid: perm.gid, mode })
}

/// Has the kernel take over all three of them: shmctl(2) `IPC_SET`.
///
/// # Errors
///
/// `EPERM` if we neither own nor created it, `EINVAL` or `EIDRM` if there is none.
pub fn ipc_set(id: i32, new: Permissions) -> nix::Result<()> {
    // SAFETY: all fields are numbers, for which zero is valid.
    let mut it: libc::shmid_ds = unsafe { std::mem::zeroed() };
    it.shm_perm.uid = new.uid;
    it.shm_perm.gid = new.gid;
    it.shm_perm.mode = (new.mode & 0o777) as _;
    // SAFETY: the pointer is to a `shmid_ds` that outlives the call; the kernel only reads it.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_SET, &raw mut it) }).map(drop)
}

fn stat(id: i32) -> nix::Result<libc::shmid_ds> {
    // SAFETY: all fields are numbers, for which zero is valid.
    let mut it: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a `shmid_ds` that outlives the call.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut it) })?;
    Ok(it)
}

/// A store by mistake, as through a wild pointer: it asks nobody for the right to store.
///
/// Where the page is mapped read-only it is a SIGSEGV.
pub fn stray_store(word: &SharedU32, value: u32) {
    let word: *const AtomicU32 = std::ptr::from_ref(word).cast();
    // SAFETY: a `SharedU32` is an `AtomicU32` and nothing else. In writable memory this is an atomic
    // store; in other memory it faults, which ends the process before anything is changed.
    unsafe { &*word }.store(value, Ordering::Relaxed);
}
