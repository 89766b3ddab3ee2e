//! What a child sees that has no address space of its own: vfork(2), here clone(2) with `CLONE_VM` and
//! `CLONE_VFORK`.

use std::ffi::{c_int, c_void};

use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::Segment;
use crate::error::{Error, Result};

/// What the child is to ask, and where it puts the answer.
struct Question {
    id: c_int,
    stat: libc::shmid_ds,
    done: c_int,
}

impl Segment {
    /// The number of attachments (`nattch`) that a child sees which shares this process's address space,
    /// while this process waits for it, as after vfork(2): clone(2), then shmctl(2) `IPC_STAT` in the child.
    ///
    /// vfork itself can't be called from Rust, because it returns twice into one stack frame. The child
    /// of this function has a stack of its own.
    ///
    /// # Errors
    ///
    /// `EAGAIN` at the limit of processes; `EINVAL` or `EIDRM` if the segment is gone, `EACCES` if it is
    /// not ours to look at.
    pub fn attached_after_vfork(&self) -> Result<u64> {
        let failed = |errno| Error::new("clone", "a child like that of vfork", errno);
        // SAFETY: all fields of `shmid_ds` are numbers, for which zero is valid.
        let stat: libc::shmid_ds = unsafe { std::mem::zeroed() };
        let mut question = Question { id: self.id, stat, done: libc::ENOSYS };
        // Aligned as a stack must be; enough for one system call.
        let mut stack = vec![0_u128; 4096];
        let top = stack.as_mut_ptr_range().end;
        // A handler of this process must not run in the child, which has the same memory.
        let blocked = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK);
        let blocked = blocked.map_err(failed)?;
        let (flags, argument) =
            (libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, (&raw mut question).cast());
        // SAFETY: the child runs `ask` on a stack that nobody else uses, with a pointer to `question`.
        // With CLONE_VFORK this thread goes on only when the child has ended, so both outlive it. `ask`
        // makes one system call, which takes no lock and allocates nothing.
        let child = unsafe { libc::clone(ask, top.cast(), flags, argument) };
        let child = Errno::result(child);
        let _ = blocked.thread_set_mask();
        // It has ended; this only takes its exit status away. Where SIGCHLD is ignored there is none.
        let _ = waitpid(Pid::from_raw(child.map_err(failed)?), None);
        match question.done {
            // 32 bits wide on 32-bit machines.
            #[allow(clippy::useless_conversion)]
            0 => Ok(question.stat.shm_nattch.into()),
            errno => {
                let object = format_args!("segment {}", self.id);
                Err(Error::new("shmctl(IPC_STAT)", object, Errno::from_raw(errno)))
            }
        }
    }
}

/// What the child does.
extern "C" fn ask(question: *mut c_void) -> c_int {
    // SAFETY: `attached_after_vfork` passes the address of its `Question`, and does not look at it while
    // this runs.
    let question = unsafe { &mut *question.cast::<Question>() };
    // SAFETY: the pointer is to a `shmid_ds` that outlives the call.
    let done = unsafe { libc::shmctl(question.id, libc::IPC_STAT, &raw mut question.stat) };
    question.done = if done == 0 { 0 } else { Errno::last_raw() };
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReadOnly;
    use crate::sysv::tests::Private;

    #[test]
    fn a_child_without_address_space_adds_no_attachment() {
        let segment = Private::new(4096);
        assert_eq!(segment.attached_after_vfork(), Ok(0));
        let attached = segment.attach_words::<ReadOnly>().expect("attached");
        for _ in 0..100 {
            assert_eq!(segment.attached_after_vfork(), Ok(1));
        }
        assert_eq!(segment.remove(), Ok(true));
        drop(attached);
        let gone = segment.attached_after_vfork().expect_err("gone").errno();
        assert!(matches!(gone, Some(Errno::EINVAL | Errno::EIDRM)), "{gone:?}");
    }
}
