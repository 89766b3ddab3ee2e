//! A System V semaphore as a lock: what the texts point to, `semget`, `semop` and `semctl`.
//!
//! | | |
//! | --- | --- |
//! | guarantees | one holder at a time, if everybody locks |
//! | progress | blocking: a system call for each lock and each unlock, even without contention |
//! | needs | a kernel object beside the memory, which outlives its processes as a segment does |
//! | the holder dies | `SEM_UNDO` has the kernel give the semaphore back, so nobody hangs; but the data is as the dead process left it, and nothing tells the next holder |
//!
//! After W. Richard Stevens, "UNIX Network Programming", volume 2, chapter 11, and semop(2).

use std::ffi::{c_int, c_short};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::owner::Owner;
use crate::error::{Error, Refusal, Result};
use crate::sysv::Key;

/// A set of one semaphore, which counts 1 when free and 0 when held.
///
/// Dropping it does nothing: a set outlives its processes until [`Semaphore::remove`].
///
/// unshare(2) with `CLONE_SYSVSEM` or `CLONE_NEWIPC` carries the undo list out at once: it gives the semaphore back
/// under a guard. After the second, the same id may be another set, in the new namespace.
#[derive(Debug)]
pub struct Semaphore {
    id: c_int,
}

/// `SEM_UNDO` as a field of `struct sembuf` takes it; the libc crate has it as an int.
#[allow(clippy::cast_possible_truncation, reason = "0x1000")]
const SEM_UNDO: c_short = libc::SEM_UNDO as c_short;

/// How long [`Semaphore::open_or_create`] waits for the process that created the set.
const INITIALISED: Duration = Duration::from_secs(1);

impl Semaphore {
    /// Creates a set, free, with the permission bits `mode`: semget(2) with `IPC_CREAT` and
    /// `IPC_EXCL`, then semop(2) to count it up to 1.
    ///
    /// # Errors
    ///
    /// `EEXIST` if the key has a set already, `ENOSPC` at the limit of sets (SEMMNI), `ENOMEM`.
    pub fn create(key: Key, mode: u32) -> Result<Self> {
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | (mode & 0o777).cast_signed();
        let semaphore = Self { id: semget(key, 1, flags)? };
        // On Linux a new set counts 0, that is, held; POSIX leaves that open. Without SEM_UNDO: the count must outlive this process.
        if let Err(error) = semaphore.add(1, 0) {
            let _ = semaphore.remove();
            return Err(error);
        }
        Ok(semaphore)
    }

    /// Finds the set under `key`, or creates it.
    ///
    /// To create a set and to set its count are two calls, and a process that comes between them
    /// finds a set that is not ready. So who finds a set waits until its `sem_otime` is not 0: the
    /// creator's first semop(2) sets it.
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::create`], except `EEXIST`; refused if the set has another number of
    /// semaphores, or if its creator died before it had set the count.
    pub fn open_or_create(key: Key, mode: u32) -> Result<Self> {
        loop {
            match Self::create(key, mode) {
                Err(error) if error.errno() == Some(Errno::EEXIST) => {}
                created_or_failed => return created_or_failed,
            }
            match semget(key, 0, 0).and_then(|id| Self { id }.initialised()) {
                // Removed meanwhile: create it after all.
                Err(error) if error.is_gone() => {}
                found_or_failed => return found_or_failed,
            }
        }
    }

    fn initialised(self) -> Result<Self> {
        let start = Instant::now();
        loop {
            let status = self.status()?;
            let refused = |refusal| {
                let object = format_args!("semaphore set {}", self.id);
                Err(Error::refused("semget", object, refusal))
            };
            if status.sem_nsems != 1 {
                return refused(Refusal::SetOfMany);
            }
            // `sem_otime`: when semop(2) was last called, in seconds since 1970; 0 for never.
            if status.sem_otime != 0 {
                return Ok(self);
            }
            if start.elapsed() > INITIALISED {
                return refused(Refusal::NeverInitialised);
            }
            // The creator is between two system calls: let it go on.
            thread::yield_now();
        }
    }

    fn status(&self) -> Result<libc::semid_ds> {
        // SAFETY: all fields of `semid_ds` are numbers, for which zero is valid.
        let mut status: libc::semid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: IPC_STAT takes as fourth argument a pointer to a `semid_ds`, which outlives the
        // call; the kernel fills it and keeps no pointer.
        let done = unsafe { libc::semctl(self.id, 0, libc::IPC_STAT, &raw mut status) };
        Errno::result(done).map_err(|errno| self.failed("semctl(IPC_STAT)", errno))?;
        Ok(status)
    }

    /// The id, as `ipcs -s` lists it.
    #[must_use]
    pub fn id(&self) -> c_int {
        self.id
    }

    /// Waits until the semaphore is free and takes it: semop(2) with -1 and `SEM_UNDO`.
    ///
    /// Signals that are blocked wait too, and those that are handled do not end the wait.
    ///
    /// # Errors
    ///
    /// `EIDRM` or `EINVAL` if the set has been removed, `ENOSPC` at the limit of processes with an
    /// undo list (SEMMNU).
    pub fn lock(&self) -> Result<Held<'_>> {
        self.add(-1, SEM_UNDO)?;
        Ok(Held { semaphore: self, owner: Owner::current() })
    }

    /// Removes the set at once, whoever uses it: semctl(2) `IPC_RMID`.
    ///
    /// # Errors
    ///
    /// `EPERM` if we neither own nor created it, `EIDRM` or `EINVAL` if it is gone.
    pub fn remove(&self) -> Result<()> {
        // SAFETY: IPC_RMID takes no fourth argument.
        let removed = unsafe { libc::semctl(self.id, 0, libc::IPC_RMID) };
        Errno::result(removed).map(drop).map_err(|errno| self.failed("semctl(IPC_RMID)", errno))
    }

    fn add(&self, number: c_short, flags: c_short) -> Result<()> {
        let mut operation = libc::sembuf { sem_num: 0, sem_op: number, sem_flg: flags };
        loop {
            // SAFETY: the pointer is to one `sembuf`, as the count says, and the kernel only reads.
            let done = unsafe { libc::semop(self.id, &raw mut operation, 1) };
            match Errno::result(done) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(self.failed("semop", errno)),
            }
        }
    }

    fn failed(&self, call: &'static str, errno: Errno) -> Error {
        Error::new(call, format_args!("semaphore set {}", self.id), errno)
    }
}

fn semget(key: Key, count: c_int, flags: c_int) -> Result<c_int> {
    // SAFETY: semget takes three numbers and touches no memory of ours.
    let id = unsafe { libc::semget(key.as_raw(), count, flags) };
    Errno::result(id).map_err(|errno| Error::new("semget", key, errno))
}

/// The semaphore, held. Dropping it gives it back: semop(2) with +1 and `SEM_UNDO`.
///
/// It belongs to the process that took it: the copy of it that a fork makes gives nothing back.
#[derive(Debug)]
#[must_use = "dropped at once, it protects nothing"]
pub struct Held<'a> {
    semaphore: &'a Semaphore,
    owner: Owner,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.owner.is_current() {
            // It can fail only if the set has been removed; whoever waits for it is told so too.
            let _ = self.semaphore.add(1, SEM_UNDO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel lists of the set: permissions and number of semaphores. See sysvipc(7).
    fn listed(id: c_int) -> Option<(String, String)> {
        let list = std::fs::read_to_string("/proc/sysvipc/sem").expect("System V semaphores");
        list.lines().find_map(|line| {
            let mut fields = line.split_whitespace().skip(1).map(str::to_owned);
            (fields.next()? == id.to_string()).then(|| Some((fields.next()?, fields.next()?)))?
        })
    }

    #[test]
    #[cfg_attr(miri, ignore = "system calls")]
    fn a_set_has_the_mode_asked_for_until_it_is_removed() {
        // The bit above the permissions asks for nothing.
        let semaphore = Semaphore::create(Key::Private, 0o1640).expect("a set");
        let found = listed(semaphore.id());
        semaphore.remove().expect("removed");
        assert_eq!(found, Some(("640".into(), "1".into())));
        assert_eq!(listed(semaphore.id()), None);
        assert!(semaphore.remove().expect_err("it is gone").is_gone());
    }
}
