//! Mapped files and anonymous mappings: `open`, `mmap` and `munmap`, always with `MAP_SHARED`.
//!
//! A file mapped with `MAP_SHARED` is the page cache itself: what one process stores, every other
//! that maps the file loads, and read(2) returns. The kernel writes it to the disk in its own time.
//! An anonymous mapping has no file; a child shares it because fork(2) copies the mapping, not the
//! pages.

use std::ffi::c_void;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::Write as _;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FallocateFlags, OFlag, fallocate, open};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use nix::sys::stat::Mode;
use nix::unistd::linkat;

use crate::error::{Error, Result, errno_of, strerror};
use crate::shared::{Access, Pages, ReadWrite, SharedMemory, Writer};
use crate::sigbus;
use crate::text::shown;

/// An open file that holds one record and nothing else.
///
/// Dropping it closes the file; a mapping of it stays. The file itself is never removed here.
#[derive(Debug)]
pub struct RecordFile {
    file: File,
    path: PathBuf,
    size: usize,
    created: bool,
}

impl RecordFile {
    /// Opens the file at `path`, which must be a regular file of exactly `size` bytes: open(2),
    /// for reading and, if `A` is [`ReadWrite`], for writing; then fstat(2).
    ///
    /// # Errors
    ///
    /// `ENOENT`, `EACCES`, `EROFS` and the others of open(2); `EAGAIN` if another process holds a
    /// lease on it; for writing also `ENOSPC` and the others of fallocate(2); refused if the file is a
    /// directory, a FIFO or a device, or if its size is another. Nothing is done to such a file.
    pub fn open<A: Access>(path: &Path, size: usize) -> Result<Self> {
        let file = Self::open_regular::<A>(path)?;
        let found = file.metadata().map_err(|error| failed("fstat", path, &error))?.len();
        if found != size as u64 {
            let what =
                if found == 0 { "it is empty".into() } else { format!("it has {found} bytes") };
            return Err(Error::refused(
                "open",
                shown(path),
                format!("{what} and the record has {size}: not a record, left as it is"),
                "name another file; to give this one up, call the file writer with --force",
            ));
        }
        if A::WRITABLE {
            allocate(&file, path, size)?;
        }
        Ok(Self { file, path: path.into(), size, created: false })
    }

    /// Opens the file at `path` for reading and writing as [`RecordFile::open`] does, or creates
    /// it with the bytes of `record` and the permission bits `mode`, less the umask.
    ///
    /// The new file appears whole or not at all: it is made without a name (open(2) with
    /// `O_TMPFILE`), filled, and only then given its name (linkat(2)), which fails if there is a
    /// file by now. So no reader ever finds a file that is still too short, and a writer that is
    /// killed in between leaves nothing. The C original opens with `O_TRUNC` instead, which cuts the
    /// file off under a reader that has it mapped: its next load is a SIGBUS.
    ///
    /// # Errors
    ///
    /// Those of [`RecordFile::open`], `ENOSPC` on a full file system, `EFBIG` beyond the limit of
    /// file sizes, `EOPNOTSUPP` on a file system without unnamed files.
    pub fn open_or_create(path: &Path, mode: u32, record: &[u8]) -> Result<Self> {
        loop {
            match Self::open::<ReadWrite>(path, record.len()) {
                Err(error) if error.errno() == Some(Errno::ENOENT) => {}
                found_or_failed => return found_or_failed,
            }
            match Self::create(path, mode, record) {
                Err(error) if error.errno() == Some(Errno::EEXIST) => refuse_dangling_link(path)?,
                created_or_failed => return created_or_failed,
            }
        }
    }

    fn create(path: &Path, mode: u32, record: &[u8]) -> Result<Self> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let fd =
            open(folder(path), flags, Mode::from_bits_truncate(mode)).map_err(
                |errno| match errno {
                    Errno::ENOENT => {
                        let help = "the folder does not exist: make it, or check the spelling";
                        Error::new("open", shown(folder(path)), errno, help)
                    }
                    _ => os_failed("open", folder(path), errno),
                },
            )?;
        let mut file = File::from(fd);
        // Writing the bytes, and not just setting the size, makes the file system find room for
        // them now: ENOSPC here instead of a SIGBUS at the first store.
        file.write_all(record).map_err(|error| failed("write", path, &error))?;
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(AT_FDCWD, unnamed.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)
            .map_err(|errno| match errno {
                Errno::ENOENT => {
                    let help = "name a file, without a slash at the end, in a folder that stays; /proc must be mounted";
                    Error::new("linkat", shown(path), errno, help)
                }
                _ => os_failed("linkat", path, errno),
            })?;
        // Opened again by its name, or else /proc/PID/maps goes on to show `#INODE (deleted)`. If
        // `mode` forbids us to open it, what we have is as good.
        let unnamed = Self { file, path: path.into(), size: record.len(), created: true };
        let named = Self::open::<ReadWrite>(path, record.len()).unwrap_or(unnamed);
        Ok(Self { created: true, ..named })
    }

    /// Gives up whatever the regular file at `path` holds and makes it `size` bytes long: open(2),
    /// fallocate(2), ftruncate(2). Only for someone who asked for exactly that.
    ///
    /// The file is cut or grown in one step and is never empty in between, so a reader that has
    /// its first page mapped goes on.
    ///
    /// # Errors
    ///
    /// Those of [`RecordFile::open`], except for the size.
    pub fn take_over(path: &Path, size: usize) -> Result<Self> {
        let file = Self::open_regular::<ReadWrite>(path)?;
        // Room first: on a full file system the file then stays as it is.
        allocate(&file, path, size)?;
        file.set_len(size as u64).map_err(|error| failed("ftruncate", path, &error))?;
        Ok(Self { file, path: path.into(), size, created: false })
    }

    fn open_regular<A: Access>(path: &Path) -> Result<File> {
        let regular = |metadata: &Metadata| match kind(metadata) {
            "file" => Ok(()),
            kind => Err(Error::refused(
                "open",
                shown(path),
                format!("it is a {kind}, left as it is"),
                "name a regular file, or one that does not exist yet",
            )),
        };
        // Looked at before it is opened, because opening a FIFO or a device does something to it,
        // and after, because it may have been exchanged. O_NONBLOCK keeps a FIFO from blocking.
        match fs::metadata(path) {
            Ok(metadata) => regular(&metadata)?,
            Err(error) => {
                refuse_dangling_link(path)?;
                return Err(failed("open", path, &error));
            }
        }
        let access = if A::WRITABLE { OFlag::O_RDWR } else { OFlag::O_RDONLY };
        let flags = access | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
        // Somebody may hold a lease on the file, as `has_writer` does for some microseconds.
        let mut tries = 0..1000;
        let fd = loop {
            match open(path, flags, Mode::empty()) {
                Err(Errno::EAGAIN) if tries.next().is_some() => std::thread::yield_now(),
                opened => break opened.map_err(|errno| os_failed("open", path, errno))?,
            }
        };
        let file = File::from(fd);
        regular(&file.metadata().map_err(|error| failed("fstat", path, &error))?)?;
        Ok(file)
    }

    /// Whether this process made the file, so that nobody can have written to it before.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// Whether any process has the file open for writing, or mapped from such a file: fcntl(2)
    /// `F_SETLEASE`. Mapped files have no nattch, but the kernel counts who may write to a file,
    /// and grants a read lease only if nobody may. The lease is given back at once.
    ///
    /// # Errors
    ///
    /// `EACCES` for another user's file, `EINVAL` on a file system without leases.
    pub fn has_writer(&self) -> Result<bool> {
        let fcntl = |command, number: libc::c_int| {
            // SAFETY: both commands take a number and touch no memory of ours.
            Errno::result(unsafe { libc::fcntl(self.file.as_raw_fd(), command, number) })
        };
        let lease = |kind| fcntl(libc::F_SETLEASE, kind);
        // Should somebody open the file at this very moment, a signal asks for the lease back: SIGIO,
        // which kills, unless we name another. SIGURG does nothing.
        let _ = fcntl(F_SETSIG, libc::SIGURG);
        match lease(libc::F_RDLCK) {
            Ok(_) => {
                let _ = lease(libc::F_UNLCK);
                Ok(false)
            }
            Err(Errno::EAGAIN) => Ok(true),
            Err(errno) => {
                let help =
                    "only the owner of a file on a local file system may ask who writes to it";
                Err(Error::new("fcntl(F_SETLEASE)", shown(&self.path), errno, help))
            }
        }
    }

    /// Maps the file with `MAP_SHARED`, and with `PROT_WRITE` if `A` is [`ReadWrite`]: mmap(2).
    ///
    /// # Errors
    ///
    /// `EACCES` if the file is not open for what `A` needs, `ENODEV` on a file system that cannot
    /// map, `ENOMEM` if the address space is full; refused if the file's size is not `T`'s.
    pub fn map<T: SharedMemory, A: Access>(&self) -> Result<Mapping<T, A>> {
        if self.size != size_of::<T>() {
            let reason = format!("it has {} bytes, and {} are wanted", self.size, size_of::<T>());
            let help = "name a file of the right size";
            return Err(Error::refused("mmap", shown(&self.path), reason, help));
        }
        // SAFETY: without MAP_FIXED, mmap never replaces a mapping that is there, so it touches no
        // memory that Rust knows of.
        let start = unsafe {
            mmap(
                None,
                Mapping::<T, A>::LENGTH,
                protection::<A>(),
                MapFlags::MAP_SHARED,
                &self.file,
                0,
            )
        };
        let start = start.map_err(|errno| os_failed("mmap", &self.path, errno))?;
        // SAFETY: the kernel mapped `size_of::<T>()` bytes at a page boundary with the rights that
        // `A` says, and only `Mapping` unmaps them. Should the file be cut off, a load or store is a
        // SIGBUS, which ends the process: no value that Rust could misread.
        let pages = unsafe { Pages::new(start) };
        Ok(Mapping { pages })
    }
}

/// `F_SETSIG` of fcntl.h; the libc crate does not have it.
const F_SETSIG: libc::c_int = 10;

impl fmt::Display for RecordFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, size, created, .. } = self;
        let how = if *created { "created" } else { "found" };
        let mode = self.file.metadata().map_or(0, |it| it.permissions().mode() & 0o777);
        write!(f, "{}, {size} bytes, mode {mode:04o}, {how}", shown(path))
    }
}

/// Whether a writer may still make a record at `path`: nothing is there, though its folder is, or an
/// empty file, as a C writer leaves it between open(2) and ftruncate(2).
#[must_use]
pub fn is_awaited(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.is_file() && metadata.len() == 0,
        Err(error) => errno_of(&error) == Errno::ENOENT && folder(path).is_dir(),
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// What C's `S_ISREG` and its kin distinguish.
fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => "file",
        () if kind.is_dir() => "directory",
        () if kind.is_fifo() => "FIFO",
        () if kind.is_socket() => "socket",
        () => "device",
    }
}

/// A link that leads nowhere is an error of its own: creating "its" file would follow it.
fn refuse_dangling_link(path: &Path) -> Result<()> {
    match (fs::read_link(path), fs::metadata(path)) {
        (Ok(target), Err(error)) => Err(Error::refused(
            "open",
            shown(path),
            format!("it is a symbolic link to {}: {}", shown(&target), strerror(errno_of(&error))),
            "create the file that the link leads to, or remove the link",
        )),
        _ => Ok(()),
    }
}

/// Makes the file system find room for the whole record now: a store into a hole would be a SIGBUS
/// on a full one.
fn allocate(file: &File, path: &Path, size: usize) -> Result<()> {
    let length = libc::off_t::try_from(size).unwrap_or(libc::off_t::MAX);
    match fallocate(file, FallocateFlags::empty(), 0, length) {
        // A file system that cannot promise room: go on without the promise.
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
        Err(errno) => Err(os_failed("fallocate", path, errno)),
    }
}

fn protection<A: Access>() -> ProtFlags {
    if A::WRITABLE { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ }
}

fn failed(call: &'static str, path: &Path, error: &std::io::Error) -> Error {
    os_failed(call, path, errno_of(error))
}

fn os_failed(call: &'static str, path: &Path, errno: Errno) -> Error {
    let help = match errno {
        Errno::ENOENT => "it does not exist: start the file writer first, or check the spelling",
        Errno::EACCES | Errno::EPERM => {
            "the permissions of the file or its folder forbid it: name one of your own"
        }
        Errno::EROFS => "the file system is read-only: name a file on another one",
        Errno::ENOSPC | Errno::EDQUOT => {
            "the file system is full: free some room, or name a file on another one"
        }
        Errno::EFBIG => "the limit of file sizes is too low: `ulimit -f` shows it",
        Errno::EOPNOTSUPP | Errno::EISDIR => {
            "this file system cannot make unnamed files: name a file on another one, such as /dev/shm"
        }
        Errno::ENODEV => {
            "this file system cannot map files: name a file on another one, such as /dev/shm"
        }
        Errno::ENOMEM => "this process has no address space left: `ulimit -v` shows its limit",
        Errno::ENOTDIR => {
            "a part of the path is a file where a folder is needed: check the spelling"
        }
        Errno::ENAMETOOLONG => "the name is too long: 255 bytes a part, 4095 in all",
        Errno::ELOOP => "the symbolic links go round in a circle: name the file itself",
        Errno::EAGAIN => {
            "another process holds a lease on the file: `cat /proc/locks` shows which; try again"
        }
        Errno::ETXTBSY => "the file is a program that runs: name another one",
        _ => "see the call's man page",
    };
    Error::new(call, shown(path), errno, help)
}

/// Shared pages in this process's address space, seen as a `T`.
///
/// Dropping it unmaps them, and does nothing else: a file stays.
pub struct Mapping<T: SharedMemory, A: Access> {
    pages: Pages<T, A>,
}

impl<T: SharedMemory> Mapping<T, ReadWrite> {
    /// Maps new pages, filled with zeros, that this process shares with the children that it forks
    /// from now on: mmap(2) with `MAP_SHARED` and `MAP_ANONYMOUS`.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if the address space or the memory is full.
    pub fn anonymous() -> Result<Self> {
        // SAFETY: as in `RecordFile::map`: no MAP_FIXED, so nothing that is there is replaced.
        let start = unsafe {
            mmap_anonymous(None, Self::LENGTH, protection::<ReadWrite>(), MapFlags::MAP_SHARED)
        };
        let start =
            start.map_err(|errno| os_failed("mmap", Path::new("anonymous pages"), errno))?;
        // SAFETY: the kernel mapped `size_of::<T>()` bytes at a page boundary, readable and
        // writable, and only `Mapping` unmaps them.
        let pages = unsafe { Pages::new(start) };
        Ok(Self { pages })
    }

    /// The right to store.
    #[must_use]
    pub fn writer(&self) -> Writer<'_, T> {
        self.pages.writer()
    }
}

impl<T: SharedMemory, A: Access> Mapping<T, A> {
    /// What is mapped, in bytes; the kernel rounds it up to whole pages.
    const LENGTH: NonZeroUsize = NonZeroUsize::new(size_of::<T>()).expect("an empty T");

    /// Where in this process's address space the pages are mapped.
    #[must_use]
    pub fn address(&self) -> NonNull<c_void> {
        self.pages.address()
    }

    /// Makes a truncation of the mapped file at `path` end this process with a message and exit
    /// status 1, for as long as it is mapped: sigaction(2) for SIGBUS.
    ///
    /// One mapping a process is watched: the last one that asked.
    ///
    /// # Errors
    ///
    /// Those of sigaction(2).
    pub fn explain_sigbus(&self, path: &Path) -> Result<()> {
        let start = self.address().as_ptr().addr();
        let file = shown(path);
        // Both ways out, because the writer refuses a file that has been cut off.
        let message = format!(
            "error: SIGBUS, {file}: the page is not there: the file has been truncated, or its file system is full\n  \
             help: replace a file that others have mapped, never cut it off; now rm {file}, or start the file writer with --force\n",
        );
        sigbus::explain(start..start + Self::LENGTH.get(), message)
    }

    /// Unmaps the pages, as dropping does, and says whether that went well: munmap(2).
    ///
    /// # Errors
    ///
    /// None that the types here allow; the kernel's `EINVAL` means an address that is no page's.
    pub fn unmap(self) -> Result<()> {
        ManuallyDrop::new(self)
            .munmap()
            .map_err(|errno| Error::new("munmap", "the mapped pages", errno, "see munmap(2)"))
    }

    fn munmap(&self) -> nix::Result<()> {
        sigbus::forget(self.address().as_ptr().addr());
        // SAFETY: mmap returned this address for this length, and since both callers are done with
        // `self` for good, no reference into the pages is left and nobody unmaps them twice.
        unsafe { munmap(self.address(), Self::LENGTH.get()) }
    }
}

impl<T: SharedMemory, A: Access> Deref for Mapping<T, A> {
    type Target = T;

    fn deref(&self) -> &T {
        self.pages.get()
    }
}

impl<T: SharedMemory, A: Access> Drop for Mapping<T, A> {
    fn drop(&mut self) {
        // It can fail only on an address that is not mapped, and this one is.
        let _ = self.munmap();
    }
}

impl<T: SharedMemory, A: Access> fmt::Debug for Mapping<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("address", &self.address())
            .field("access", &PhantomData::<A>)
            .finish()
    }
}
