//! How many segments there may be, and how many there are: shmctl(2) `IPC_INFO` and `SHM_INFO`.

use std::ffi::{c_int, c_ulong};

use nix::errno::Errno;

use crate::error::{Error, Result};

/// `SHM_INFO` of linux/shm.h; the libc crate does not have it.
const SHM_INFO: c_int = 14;

/// The limits of this IPC namespace, as `ipcs -m -l` shows them: C's `struct shminfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// SHMMAX: the most bytes that a segment may have.
    pub most_bytes: u64,
    /// SHMMIN: the fewest, which is 1.
    pub fewest_bytes: u64,
    /// SHMMNI: the most segments.
    pub most_segments: u64,
    /// SHMALL: the most pages in all segments.
    pub most_pages: u64,
}

/// What all segments of this IPC namespace take: C's `struct shm_info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// The segments.
    pub segments: u64,
    /// The pages that they may have.
    pub pages: u64,
    /// The pages of them that are in memory.
    pub resident: u64,
    /// The pages of them that are on the swap device.
    pub swapped: u64,
}

/// `struct shminfo` of linux/shm.h.
#[repr(C)]
#[derive(Default)]
struct ShmInfo {
    shmmax: c_ulong,
    shmmin: c_ulong,
    shmmni: c_ulong,
    shmseg: c_ulong,
    shmall: c_ulong,
    unused: [c_ulong; 4],
}

/// `struct shm_info` of linux/shm.h.
#[repr(C)]
#[derive(Default)]
struct ShmUsage {
    used_ids: c_int,
    shm_tot: c_ulong,
    shm_rss: c_ulong,
    shm_swp: c_ulong,
    swap_attempts: c_ulong,
    swap_successes: c_ulong,
}

impl Limits {
    /// Asks the kernel: shmctl(2) `IPC_INFO`.
    ///
    /// # Errors
    ///
    /// `ENOSYS` on a kernel without System V shared memory.
    // Longs have 32 bits on 32-bit machines.
    #[allow(clippy::useless_conversion)]
    pub fn now() -> Result<Self> {
        let mut info = ShmInfo::default();
        let buffer = (&raw mut info).cast();
        // SAFETY: with IPC_INFO the kernel fills a `struct shminfo`, which the pointer is to, and keeps no
        // pointer.
        let done = unsafe { libc::shmctl(0, libc::IPC_INFO, buffer) };
        Errno::result(done)
            .map_err(|errno| Error::new("shmctl(IPC_INFO)", "all segments", errno))?;
        Ok(Self {
            most_bytes: info.shmmax.into(),
            fewest_bytes: info.shmmin.into(),
            most_segments: info.shmmni.into(),
            most_pages: info.shmall.into(),
        })
    }
}

impl Totals {
    /// Asks the kernel: shmctl(2) `SHM_INFO`.
    ///
    /// # Errors
    ///
    /// `ENOSYS` on a kernel without System V shared memory.
    #[allow(clippy::useless_conversion)]
    pub fn now() -> Result<Self> {
        let mut info = ShmUsage::default();
        let buffer = (&raw mut info).cast();
        // SAFETY: with SHM_INFO the kernel fills a `struct shm_info`, which the pointer is to, and keeps no
        // pointer.
        let done = unsafe { libc::shmctl(0, SHM_INFO, buffer) };
        Errno::result(done)
            .map_err(|errno| Error::new("shmctl(SHM_INFO)", "all segments", errno))?;
        Ok(Self {
            segments: u64::try_from(info.used_ids).unwrap_or_default(),
            pages: info.shm_tot.into(),
            resident: info.shm_rss.into(),
            swapped: info.shm_swp.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysv::tests::Private;

    #[test]
    fn limits_are_those_of_proc() {
        let limits = Limits::now().expect("limits");
        for (name, value) in [
            ("shmmax", limits.most_bytes),
            ("shmmni", limits.most_segments),
            ("shmall", limits.most_pages),
        ] {
            let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}"));
            assert_eq!(text.expect("a number").trim(), value.to_string(), "{name}");
        }
        assert_eq!(limits.fewest_bytes, 1);
    }

    #[test]
    fn totals_count_what_is_there() {
        let _segment = Private::new(1);
        // Other processes and tests have segments too.
        let totals = Totals::now().expect("totals");
        assert!(totals.segments >= 1 && totals.pages >= 1, "{totals:?}");
        assert!(totals.pages >= totals.resident, "{totals:?}");
    }
}
