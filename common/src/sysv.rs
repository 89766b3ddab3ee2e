//! System V shared memory: `shmget`, `shmat`, `shmdt` and `shmctl`.
//!
//! A *segment* lives in the kernel until somebody removes it, whether or not a process uses it. A
//! *key* names it for unrelated programs; its *shmid* names it for the calls. A process *attaches*
//! it to its own address space and *detaches* it again; the kernel counts the attachments.
//!
//! See sysvipc(7) for all of it, and `ipcs -m` or `/proc/sysvipc/shm` for what is there now.

use std::ffi::{CString, c_int, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::str::FromStr;

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::shared::{Access, Pages, ReadWrite, SharedMemory, Writer};
use crate::text::shown;

/// No SHMLBA, to which `SHM_RND` rounds, is larger than this.
const LOWEST: usize = 0x1_0000;

/// What names a segment for unrelated processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `IPC_PRIVATE`: no name, so always a new segment, to be found by its shmid alone.
    Private,
    /// A number that the programs agree on. Nothing keeps a stranger from choosing the same one.
    Number(libc::key_t),
}

impl Key {
    /// The key that all programs get which name the same file and the same `proj_id` (1 to 255):
    /// ftok(3).
    ///
    /// The file's contents play no part; its device and inode number do. A file that is deleted
    /// and created anew gives another key, and now and then two files give the same one.
    ///
    /// # Errors
    ///
    /// `ENOENT`, `EACCES` and the other errors of stat(2) on `path`.
    pub fn ftok(path: &Path, proj_id: u8) -> Result<Self> {
        let failed = |errno| {
            let help = "name a file that exists and that you may look up; both programs must name the same one";
            Error::new("ftok", shown(path), errno, help)
        };
        let c_path =
            CString::new(path.as_os_str().as_bytes()).map_err(|_| failed(Errno::EINVAL))?;
        // SAFETY: `c_path` is a NUL-terminated string that outlives the call.
        let key = unsafe { libc::ftok(c_path.as_ptr(), c_int::from(proj_id)) };
        Errno::result(key).map(Self::Number).map_err(failed)
    }

    pub(crate) fn as_raw(self) -> libc::key_t {
        match self {
            Self::Private => libc::IPC_PRIVATE,
            Self::Number(key) => key,
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text == "private" {
            return Ok(Self::Private);
        }
        let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            // ipcs prints a key as 32 bits in hexadecimal, the negative ones too.
            Some(digits) => u32::from_str_radix(digits, 16).map(u32::cast_signed),
            None => text.parse::<u32>().and_then(|_| text.parse()),
        };
        match number {
            Ok(0) => Err("0 is IPC_PRIVATE: it never finds a segment, it always makes a new one; say `private` if you mean that".into()),
            Ok(key) => Ok(Self::Number(key)),
            Err(_) => Err("a key is `private`, decimal from 1 to 2147483647, or hexadecimal from 0x1 to 0xffffffff".into()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private => write!(f, "key IPC_PRIVATE"),
            Self::Number(key) => write!(f, "key {key} (0x{key:08x})"),
        }
    }
}

/// A segment that exists, known by its shmid.
///
/// Dropping it does nothing: a segment outlives its processes until [`Segment::remove`].
#[derive(Debug)]
pub struct Segment {
    id: c_int,
    size: usize,
    mode: u32,
    created: bool,
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
        let id = shmget(key, size, flags).map_err(|errno| {
            let help = match errno {
                Errno::EEXIST => "drop --exclusive to use the segment that is there, or choose another --key",
                Errno::ENOSPC => "the system's limit is reached: `ipcs -m -l` shows it, `ipcs -m` the segments; `ipcrm -m SHMID` removes one of yours that nobody needs",
                Errno::ENOMEM => "the machine has no memory left for it: end a program, or ask for less",
                Errno::EINVAL => "the size is 0 or beyond the limit that `ipcs -m -l` shows",
                _ => "see shmget(2)",
            };
            Error::new("shmget", key, errno, help)
        })?;
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
        // Size 0 and no permission bits ask for nothing, so that the answer to a segment of another
        // size or another user comes from IPC_STAT, which says more than shmget's EINVAL.
        let id = shmget(key, 0, 0).map_err(|errno| {
            let help = match errno {
                Errno::ENOENT => "no segment has this key: start a writer, or look at the keys that `ipcs -m` lists",
                _ => "see shmget(2)",
            };
            Error::new("shmget", key, errno, help)
        })?;
        Self::from_id(id, size)
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

    /// Finds the segment with the shmid `id`, which must have `size` bytes: shmctl(2) `IPC_STAT`.
    ///
    /// # Errors
    ///
    /// `EINVAL` or `EIDRM` if there is none, `EACCES` if it is not ours to look at; refused if its
    /// size is another.
    pub fn from_id(id: c_int, size: usize) -> Result<Self> {
        let status = status(id)?;
        if status.size != size {
            return Err(Error::refused(
                "shmget",
                format_args!("segment {id}"),
                format!(
                    "it has {} bytes and the record has {size}: not a record, left as it is",
                    status.size
                ),
                "choose another --key; `ipcs -m -p` shows which process created it",
            ));
        }
        Ok(Self { id, size, mode: status.mode, created: false })
    }

    /// The shmid, as `ipcs -m` lists it.
    #[must_use]
    pub fn id(&self) -> c_int {
        self.id
    }

    /// Whether this process made the segment, so that nobody can have written to it before.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// Attaches the segment where the system likes: shmat(2), with `SHM_RDONLY` if `A` is
    /// [`ReadOnly`](crate::ReadOnly).
    ///
    /// # Errors
    ///
    /// `EACCES` without the permission that `A` needs, `EINVAL` or `EIDRM` if the segment has been
    /// removed, `ENOMEM` if the address space is full; refused if the segment's size is not `T`'s.
    pub fn attach<T: SharedMemory, A: Access>(&self) -> Result<Attachment<T, A>> {
        self.shmat(0, 0)
    }

    /// Attaches the segment at `address`, a multiple of the page size where nothing is mapped:
    /// shmat(2).
    ///
    /// # Errors
    ///
    /// Those of [`Segment::attach`], and `EINVAL` for an address that is taken or not aligned.
    pub fn attach_at<T: SharedMemory, A: Access>(
        &self,
        address: usize,
    ) -> Result<Attachment<T, A>> {
        self.shmat(address, 0)
    }

    /// Attaches the segment at `address` rounded down to a multiple of SHMLBA, which on Linux is
    /// the page size nearly everywhere: shmat(2) with `SHM_RND`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::attach`], and `EINVAL` for an address that is taken; refused for one that
    /// might be rounded to 0.
    pub fn attach_rounded<T: SharedMemory, A: Access>(
        &self,
        address: usize,
    ) -> Result<Attachment<T, A>> {
        // Rounded to 0, the address would mean "anywhere" to one half of the kernel and "here,
        // whatever is there" to the other: so it replaces live mappings at 0 if root asks for it.
        if address < LOWEST {
            let reason = "the address may be rounded down to 0";
            let help = "choose a higher one, such as 0x5000001";
            return Err(Error::refused("shmat", format_args!("segment {}", self.id), reason, help));
        }
        self.shmat(address, libc::SHM_RND)
    }

    fn shmat<T: SharedMemory, A: Access>(
        &self,
        address: usize,
        flags: c_int,
    ) -> Result<Attachment<T, A>> {
        let object = || match address {
            0 => format!("segment {}", self.id),
            _ => format!("segment {} at 0x{address:x}", self.id),
        };
        self.must_be::<T>(self.size)?;
        let flags = if A::WRITABLE { flags } else { flags | libc::SHM_RDONLY };
        // SAFETY: without SHM_REMAP, and with no address that SHM_RND rounds to 0, shmat never replaces
        // a mapping that is there, so it touches no memory that Rust knows of; the address is a number
        // to the kernel and may be anything.
        let start = unsafe { libc::shmat(self.id, ptr::without_provenance(address), flags) };
        // Failure is (void *) -1, not NULL.
        let start = match NonNull::new(start) {
            Some(start) if start.as_ptr().addr() != usize::MAX => start,
            _ => return Err(self.shmat_failed(object(), address, Errno::last(), A::WRITABLE)),
        };
        // Only now can the id no longer be another segment's: one that is removed may be given out
        // again, but not while it is attached.
        if let Err(error) = self.status().and_then(|status| self.must_be::<T>(status.size)) {
            // SAFETY: shmat has just returned this address, and nobody else knows it.
            unsafe { libc::shmdt(start.as_ptr()) };
            return Err(error);
        }
        // SAFETY: the kernel attached at least the segment's size, which is that of `T`, at a page
        // boundary, with the rights that `A` says; only `Attachment` detaches it.
        let pages = unsafe { Pages::new(start) };
        Ok(Attachment { pages })
    }

    fn must_be<T>(&self, size: usize) -> Result<()> {
        if size == size_of::<T>() {
            return Ok(());
        }
        let object = format_args!("segment {}", self.id);
        let reason = format!("it has {size} bytes, and {} are wanted", size_of::<T>());
        Err(Error::refused("shmat", object, reason, "name a segment of the right size"))
    }

    fn shmat_failed(&self, object: String, address: usize, errno: Errno, writable: bool) -> Error {
        let help = match errno {
            Errno::EACCES if writable => format!("the segment's mode is {:04o} and you may not write to it: `ipcs -m` shows whose it is; choose another --key", self.mode),
            Errno::EACCES => format!("the segment's mode is {:04o} and you may not read it: `ipcs -m` shows whose it is; choose another --key", self.mode),
            Errno::EINVAL | Errno::EIDRM if address == 0 => "the segment is gone: start again".into(),
            Errno::EINVAL | Errno::EIDRM => "the segment is gone, or the address is taken or no multiple of the page size (SHM_RND rounds it): choose another".into(),
            Errno::ENOMEM if address != 0 => "the address is beyond what a process may use, or `ulimit -v` allows no more: choose another".into(),
            Errno::EPERM if address != 0 => "an address this low is root's alone (vm.mmap_min_addr): choose another".into(),
            Errno::ENOMEM => "this process has no address space left: `ulimit -v` shows its limit".into(),
            _ => "see shmat(2)".into(),
        };
        Error::new("shmat", object, errno, help)
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

    /// What the kernel says of the segment now: shmctl(2) `IPC_STAT`.
    ///
    /// # Errors
    ///
    /// `EINVAL` or `EIDRM` if the segment is gone, `EACCES` if it is not ours to look at.
    pub fn status(&self) -> Result<Status> {
        status(self.id)
    }

    /// What is left of the segment once this process is done with it, and who can remove it: a line
    /// for the person at the terminal, from shmctl(2) `IPC_STAT`.
    #[must_use]
    pub fn what_remains(&self) -> String {
        let id = self.id;
        match self.status() {
            Ok(Status { marked_for_destruction: false, attached, .. }) => {
                format!(
                    "segment {id} stays ({attached} attached): shm-sysv-reader --id {id} or ipcrm -m {id} removes it"
                )
            }
            Ok(Status { attached, .. }) => {
                format!(
                    "segment {id} goes with the last detach ({attached} attached): it was removed meanwhile"
                )
            }
            Err(_) => format!("segment {id} is gone: it was removed meanwhile"),
        }
    }

    /// Marks the segment for destruction: shmctl(2) `IPC_RMID`. Its key is free at once; its memory
    /// goes with the last detach. Returns `false` if somebody else had destroyed it before.
    ///
    /// # Errors
    ///
    /// `EPERM` if we neither own nor created it.
    pub fn remove(&self) -> Result<bool> {
        // SAFETY: IPC_RMID ignores its third argument.
        let removed = unsafe { libc::shmctl(self.id, libc::IPC_RMID, ptr::null_mut()) };
        match Errno::result(removed) {
            Ok(_) => Ok(true),
            Err(Errno::EINVAL | Errno::EIDRM) => Ok(false),
            Err(errno) => Err(Error::new(
                "shmctl(IPC_RMID)",
                format_args!("segment {}", self.id),
                errno,
                "only the segment's owner may remove it: `ipcs -m` shows who that is; --keep leaves it alone",
            )),
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, size, mode, created } = self;
        let how = if *created { "created" } else { "found" };
        write!(f, "segment {id}, {size} bytes, mode {mode:04o}, {how}")
    }
}

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

fn status(id: c_int) -> Result<Status> {
    // SAFETY: all fields of `shmid_ds` are numbers, for which zero is valid.
    let mut stat: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is a `shmid_ds` that outlives the call, which fills it and keeps no pointer.
    let done = unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut stat) };
    Errno::result(done).map_err(|errno| {
        let help = match errno {
            Errno::EACCES => {
                "the segment is another user's: `ipcs -m` shows whose; choose another --key"
            }
            Errno::EINVAL | Errno::EIDRM => {
                "no segment has this id, or it has been removed: `ipcs -m` lists those that exist"
            }
            _ => "see shmctl(2)",
        };
        Error::new("shmctl(IPC_STAT)", format_args!("segment {id}"), errno, help)
    })?;
    let mode = u32::from(stat.shm_perm.mode);
    Ok(Status {
        key: stat.shm_perm.__key,
        size: stat.shm_segsz,
        mode: mode & 0o777,
        marked_for_destruction: mode & SHM_DEST != 0,
        attached: stat.shm_nattch,
        owner: stat.shm_perm.uid,
        creator: stat.shm_cpid,
        last: stat.shm_lpid,
    })
}

fn shmget(key: Key, size: usize, flags: c_int) -> nix::Result<c_int> {
    // SAFETY: shmget takes three numbers and touches no memory of ours.
    Errno::result(unsafe { libc::shmget(key.as_raw(), size, flags) })
}

/// A segment in this process's address space, seen as a `T`.
///
/// Dropping it detaches it, and does nothing else: the segment stays.
pub struct Attachment<T: SharedMemory, A: Access> {
    pages: Pages<T, A>,
}

impl<T: SharedMemory, A: Access> Attachment<T, A> {
    /// Where in this process's address space the segment is attached.
    #[must_use]
    pub fn address(&self) -> NonNull<c_void> {
        self.pages.address()
    }

    /// Detaches the segment, as dropping does, and says whether that went well: shmdt(2).
    ///
    /// # Errors
    ///
    /// None that the types here allow; the kernel's `EINVAL` means an address without attachment.
    pub fn detach(self) -> Result<()> {
        ManuallyDrop::new(self)
            .shmdt()
            .map_err(|errno| Error::new("shmdt", "the attached segment", errno, "see shmdt(2)"))
    }

    fn shmdt(&self) -> nix::Result<()> {
        // SAFETY: shmat returned this address, and since both callers are done with `self` for
        // good, no reference into the pages is left and nobody detaches them a second time.
        Errno::result(unsafe { libc::shmdt(self.address().as_ptr()) }).map(drop)
    }
}

impl<T: SharedMemory> Attachment<T, ReadWrite> {
    /// The right to store.
    #[must_use]
    pub fn writer(&self) -> Writer<'_, T> {
        self.pages.writer()
    }
}

impl<T: SharedMemory, A: Access> Deref for Attachment<T, A> {
    type Target = T;

    fn deref(&self) -> &T {
        self.pages.get()
    }
}

impl<T: SharedMemory, A: Access> Drop for Attachment<T, A> {
    fn drop(&mut self) {
        // It can fail only on an address that is not attached, and this one is.
        let _ = self.shmdt();
    }
}

impl<T: SharedMemory, A: Access> fmt::Debug for Attachment<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("address", &self.address())
            .field("access", &PhantomData::<A>)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReadOnly, SharedConnStat, SharedText};

    const SIZE: usize = size_of::<SharedConnStat>();

    /// A private segment that is removed when the test ends, however it ends.
    struct Private(Segment);

    impl Private {
        fn new(size: usize) -> Self {
            Self(Segment::create(Key::Private, size, 0o600).expect("a private segment"))
        }
    }

    impl Deref for Private {
        type Target = Segment;
        fn deref(&self) -> &Segment {
            &self.0
        }
    }

    impl Drop for Private {
        fn drop(&mut self) {
            let _ = self.0.remove();
        }
    }

    #[test]
    fn keys_are_read_as_ipcs_prints_them() {
        assert_eq!("1234".parse(), Ok(Key::Number(1234)));
        assert_eq!("0x4d2".parse(), Ok(Key::Number(1234)));
        assert_eq!("0XFFFFFFFF".parse(), Ok(Key::Number(-1)));
        assert_eq!("private".parse(), Ok(Key::Private));
        assert_eq!(Key::Number(1234).to_string(), "key 1234 (0x000004d2)");
        for wrong in ["", "x", "-1", "0x", "0x100000000", "2147483648", "12 ", "1e3", "Private"] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong:?} is a key");
        }
        for zero in ["0", "00", "0x0"] {
            let error = zero.parse::<Key>().expect_err("0 is no key");
            assert!(error.contains("IPC_PRIVATE"), "{error}");
        }
    }

    #[test]
    fn ftok_follows_the_file_and_the_id() {
        let here = Path::new(".");
        let key = Key::ftok(here, 1).expect("a key");
        assert_eq!(Key::ftok(here, 1), Ok(key));
        assert_ne!(Key::ftok(here, 2), Ok(key));
        let error = Key::ftok(Path::new("/nowhere/at/all"), 1).expect_err("no file, no key");
        assert_eq!(error.errno(), Some(Errno::ENOENT));
    }

    #[test]
    fn two_attachments_show_the_same_memory() {
        let segment = Private::new(SIZE);
        let writing = segment.attach::<SharedConnStat, ReadWrite>().expect("attached");
        let reading = segment.attach::<SharedConnStat, ReadOnly>().expect("attached again");
        assert_ne!(writing.address(), reading.address());
        assert_eq!(writing.writer().increment(), 1);
        assert_eq!(reading.load().count, 1);
        assert_eq!(segment.status().expect("status").attached, 2);
        writing.detach().expect("detached");
        drop(reading);
        assert_eq!(segment.status().expect("status").attached, 0);
    }

    #[test]
    fn status_is_what_was_asked_for() {
        let segment = Private::new(0x6400);
        let status = segment.status().expect("status");
        assert_eq!((status.size, status.mode, status.attached), (25_600, 0o600, 0));
        assert_eq!(status.creator.cast_unsigned(), std::process::id());
        assert!(!status.marked_for_destruction);
    }

    #[test]
    fn a_segment_of_another_size_is_refused() {
        let segment = Private::new(4096);
        let error = Segment::from_id(segment.id(), SIZE).expect_err("wrong size");
        assert_eq!(error.errno(), None);
        assert!(error.to_string().contains("4096 bytes and the record has 68"), "{error}");
        assert!(segment.attach::<SharedConnStat, ReadOnly>().is_err());
        assert_eq!(segment.status().expect("still there").attached, 0);
    }

    #[test]
    fn addresses_must_be_aligned_or_rounded() {
        let segment = Private::new(SharedText::<1024>::CAPACITY);
        let at = |address| segment.attach_at::<SharedText<1024>, ReadWrite>(address);
        // A free place: where the kernel has just put it and taken it away again.
        let free = segment.attach::<SharedText<1024>, ReadWrite>().expect("attached").address();
        let free = free.as_ptr().addr();
        assert_eq!(at(free + 1).expect_err("not aligned").errno(), Some(Errno::EINVAL));
        let attached = at(free).expect("attached at the address");
        assert_eq!(attached.address().as_ptr().addr(), free);
        assert_eq!(at(free).expect_err("taken").errno(), Some(Errno::EINVAL));
        drop(attached);
        let to_zero = segment.attach_rounded::<SharedText<1024>, ReadWrite>(1);
        assert_eq!(to_zero.expect_err("refused").errno(), None);
        assert_eq!(segment.status().expect("status").attached, 0);
        let rounded = segment.attach_rounded::<SharedText<1024>, ReadWrite>(free + 1);
        assert_eq!(rounded.expect("rounded").address().as_ptr().addr(), free);
    }

    #[test]
    fn removal_waits_for_the_last_detach() {
        let segment = Private::new(SIZE);
        let attached = segment.attach::<SharedConnStat, ReadWrite>().expect("attached");
        assert_eq!(segment.remove(), Ok(true));
        let status = segment.status().expect("still there");
        assert!(status.marked_for_destruction);
        assert_eq!((status.key, status.attached), (0, 1));
        drop(attached);
        assert_eq!(segment.remove(), Ok(false));
        let gone = segment.status().expect_err("gone").errno();
        assert!(matches!(gone, Some(Errno::EINVAL | Errno::EIDRM)));
    }
}
