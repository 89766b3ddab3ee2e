//! All `unsafe` of the bench: what C does with shared memory, to compare with, and System V message queues,
//! which neither nix nor `common` has.

use std::ffi::{c_int, c_long};
use std::fs::File;

use common::Result;
use common::mapping::Region;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags};
use nix::unistd::Pid;

/// Pages that hold plain words. They are shared with the children that are forked from now on, or hold
/// what is in a file.
pub struct Plain {
    pages: Region,
    words: usize,
}

impl Plain {
    /// Maps new pages: mmap(2).
    ///
    /// # Errors
    ///
    /// Those of mmap(2); `EINVAL` for 0 words.
    pub fn anonymous(words: usize, more: MapFlags) -> Result<Self> {
        let (rights, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
        let pages = Region::map(words * 4, rights, flags | MapFlags::MAP_ANONYMOUS | more, None)?;
        Ok(Self { pages, words })
    }

    /// Maps the first words of `file` to be read: mmap(2).
    ///
    /// # Safety
    ///
    /// Nobody may change the file or truncate it for as long as it is mapped.
    ///
    /// # Errors
    ///
    /// Those of mmap(2); `EINVAL` for 0 words.
    pub unsafe fn of_file(file: &File, words: usize, more: MapFlags) -> Result<Self> {
        let flags = MapFlags::MAP_SHARED | more;
        let pages = Region::map(words * 4, ProtFlags::PROT_READ, flags, Some((file, 0)))?;
        Ok(Self { pages, words })
    }

    /// The words, to be read.
    ///
    /// # Safety
    ///
    /// Nobody may store to them while the slice exists: it is this process's turn.
    #[must_use]
    pub unsafe fn read(&self) -> &[u32] {
        // SAFETY: the pages have that many words, are mapped while `self` exists, and nobody stores.
        unsafe { std::slice::from_raw_parts(self.pages.address().as_ptr().cast(), self.words) }
    }

    /// The words, to be written. Not those of a file, whose pages are read-only.
    ///
    /// # Safety
    ///
    /// Nobody else may load or store them while the slice exists: it is this process's turn.
    pub unsafe fn write(&mut self) -> &mut [u32] {
        // SAFETY: the pages have that many words, are mapped while `self` exists, and are ours alone now.
        unsafe { std::slice::from_raw_parts_mut(self.pages.address().as_ptr().cast(), self.words) }
    }
}

unsafe extern "C" {
    fn count_atomic(count: *mut i32, times: u32);
}

/// Adds 1 to a count of its own so many times: C's `atomic_fetch_add_explicit`, in count.c.
#[must_use]
pub fn count_in_c(count: &std::sync::atomic::AtomicI32, times: u32) -> i32 {
    // SAFETY: the pointer is to a live atomic int, and C adds to it atomically.
    unsafe { count_atomic(count.as_ptr(), times) };
    count.load(std::sync::atomic::Ordering::Relaxed)
}

/// A System V message queue, removed when the process that made it drops it.
pub struct Queue {
    id: c_int,
    maker: Pid,
}

/// `struct msgbuf`: the type, and then the bytes.
#[repr(C)]
struct Message {
    kind: c_long,
    bytes: [u8; Queue::LONGEST],
}

impl Queue {
    /// Bytes of the longest message here. The system's limit is MSGMAX, 8192 by default.
    pub const LONGEST: usize = 4096;

    /// Makes a queue: msgget(2).
    ///
    /// # Errors
    ///
    /// `ENOSPC` at the limit of queues.
    pub fn new() -> nix::Result<Self> {
        // SAFETY: msgget takes two numbers.
        let id = unsafe { libc::msgget(libc::IPC_PRIVATE, libc::IPC_CREAT | 0o600) };
        Ok(Self { id: Errno::result(id)?, maker: nix::unistd::getpid() })
    }

    /// Sends `bytes`, when there is room: msgsnd(2).
    ///
    /// # Errors
    ///
    /// `EINVAL` for more than MSGMAX.
    ///
    /// # Panics
    ///
    /// For more than [`Queue::LONGEST`] bytes.
    pub fn send(&self, bytes: &[u8]) -> nix::Result<()> {
        let mut message = Message { kind: 1, bytes: [0; Self::LONGEST] };
        message.bytes[..bytes.len()].copy_from_slice(bytes);
        // SAFETY: the kernel loads the type and that many bytes, which `message` has.
        let sent = unsafe { libc::msgsnd(self.id, (&raw const message).cast(), bytes.len(), 0) };
        Errno::result(sent).map(drop)
    }

    /// Waits for a message of so many bytes: msgrcv(2).
    ///
    /// # Errors
    ///
    /// `E2BIG` for a longer message.
    ///
    /// # Panics
    ///
    /// For more than [`Queue::LONGEST`] bytes.
    pub fn receive(&self, bytes: &mut [u8]) -> nix::Result<()> {
        let mut message = Message { kind: 0, bytes: [0; Self::LONGEST] };
        assert!(bytes.len() <= Self::LONGEST, "a message of {} bytes", bytes.len());
        let (place, most) = ((&raw mut message).cast(), bytes.len());
        // SAFETY: the kernel stores the type and at most that many bytes, which `message` has room for.
        let received = unsafe { libc::msgrcv(self.id, place, most, 0, 0) };
        Errno::result(received)?;
        bytes.copy_from_slice(&message.bytes[..bytes.len()]);
        Ok(())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if self.maker == nix::unistd::getpid() {
            // SAFETY: IPC_RMID ignores its third argument.
            unsafe { libc::msgctl(self.id, libc::IPC_RMID, std::ptr::null_mut()) };
        }
    }
}
