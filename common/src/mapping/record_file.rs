//! Files that hold a record: open(2), fstat(2), ftruncate(2), and mmap(2) of them.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::marker::PhantomData;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate, open};
use nix::sys::stat::Mode;

use super::{Mapping, NamedFile, not_words};
use crate::error::{Error, Refusal, Result, errno_of};
use crate::printable::{Text, shown};
use crate::shared::{Access, ReadWrite, SharedMemory};
use crate::words::SharedU32;

/// An open file that is to be mapped, open for what `A` says.
///
/// Dropping it closes the file; a mapping of it stays. The file itself is never removed here.
#[derive(Debug)]
pub struct RecordFile<A: Access> {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) size: usize,
    pub(super) created: bool,
    pub(super) access: PhantomData<A>,
}

impl<A: Access> RecordFile<A> {
    /// Opens the file at `path`, which must be a regular file of exactly `size` bytes: open(2),
    /// for reading and, if `A` is [`ReadWrite`], for writing; then fstat(2).
    ///
    /// # Errors
    ///
    /// `ENOENT`, `EACCES`, `EROFS` and the others of open(2); `EAGAIN` if another process holds a
    /// lease on it; for writing also `ENOSPC` and the others of fallocate(2); refused if the file is a
    /// directory, a FIFO, a device, anonymous pages of a process or a semaphore, or if its size is another.
    /// Nothing is done to such a file.
    pub fn open(path: &Path, size: usize) -> Result<Self> {
        let file = Self::open_any(path)?;
        file.must_have(size)?;
        if A::WRITABLE {
            allocate(&file.file, path, size)?;
        }
        Ok(file)
    }

    /// Opens the regular file at `path`, whatever its size: open(2), fstat(2).
    ///
    /// # Errors
    ///
    /// Those of [`RecordFile::open`], except for the size.
    pub fn open_any(path: &Path) -> Result<Self> {
        let file = open_regular::<A>(path)?;
        let found = file.metadata().map_err(|error| failed("fstat", path, &error))?.len();
        let size = usize::try_from(found).unwrap_or(usize::MAX);
        Ok(Self { file, path: path.into(), size, created: false, access: PhantomData })
    }

    fn must_have(&self, size: usize) -> Result<()> {
        if self.size == size {
            return Ok(());
        }
        let refusal = Refusal::Size { found: self.size as u64, wanted: size };
        Err(Error::refused("open", self.name(), refusal))
    }

    /// Whether this process made the file, so that nobody can have written to it before.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// Maps the file with `MAP_SHARED`, and with `PROT_WRITE` if `A` is [`ReadWrite`]: mmap(2).
    ///
    /// # Errors
    ///
    /// `ENODEV` on a file system that cannot map, `ENOMEM` if the address space is full; refused if
    /// the file's size is not `T`'s, or if this process has it open as a semaphore by now.
    ///
    /// The mapping has the rights of the open file. One that was opened for loads gives no writer:
    ///
    /// ```compile_fail,E0599
    /// use common::{ReadOnly, SharedConnStat, mapping::RecordFile};
    ///
    /// fn tick(file: &RecordFile<ReadOnly>) -> common::Result<i32> {
    ///     Ok(file.map::<SharedConnStat>()?.writer().increment())
    /// }
    /// ```
    pub fn map<T: SharedMemory>(&self) -> Result<Mapping<T, A>> {
        self.must_have(size_of::<T>())?;
        let _until_mapped = not_words::refuse(&self.file, "mmap", self.name())?;
        Mapping::of_file(&self.file).map_err(|errno| Error::new("mmap", self.name(), errno))
    }

    /// Maps the file as words, whatever its size: mmap(2). Where the size is no multiple of 4, the last
    /// word has bytes behind the end of the file, in the same page.
    ///
    /// # Errors
    ///
    /// Those of [`RecordFile::map`], and `EINVAL` for an empty file; `ENOMEM` also for more than
    /// `isize::MAX` bytes.
    pub fn map_words(&self) -> Result<Mapping<[SharedU32], A>> {
        let _until_mapped = not_words::refuse(&self.file, "mmap", self.name())?;
        Mapping::words_of_file(&self.file, self.size)
            .map_err(|errno| Error::new("mmap", self.name(), errno))
    }

    /// Reads bytes from `offset` on: pread(2). No SIGBUS behind the end, no page allocated in a hole.
    ///
    /// # Errors
    ///
    /// `EIO` from the storage.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(bytes, offset).map_err(|error| failed("pread", &self.path, &error))
    }

    /// The size in bytes when it was opened.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The file as its name says it, to be asked later what has become of that: fstat(2).
    ///
    /// # Errors
    ///
    /// Those of fstat(2).
    pub fn named(&self) -> Result<NamedFile> {
        let it = self.file.metadata().map_err(|error| failed("fstat", &self.path, &error))?;
        let (path, size) = (self.path.clone(), self.size);
        Ok(NamedFile { path, device: it.dev(), inode: it.ino(), size })
    }

    /// When the file was last changed, as far as the kernel knows: fstat(2). Stores to a mapping
    /// count when their page is written to the disk, or unmapped.
    #[must_use]
    pub fn changed(&self) -> Option<std::time::SystemTime> {
        self.file.metadata().and_then(|it| it.modified()).ok()
    }

    /// The name, as a person may see it.
    pub(crate) fn name(&self) -> Text {
        shown(&self.path)
    }
}

impl RecordFile<ReadWrite> {
    /// Opens the file at `path` for reading and writing as [`RecordFile::open`] does, or creates
    /// it with the bytes of `record` and the permission bits `mode`, less the umask.
    ///
    /// The new file appears whole or not at all (see `create.rs`). The C original opens with `O_TRUNC`
    /// instead, which truncates the file under a reader that has it mapped: its next load is a SIGBUS.
    ///
    /// # Errors
    ///
    /// Those of [`RecordFile::open`], `ENOSPC` on a full file system, `EFBIG` beyond the limit of
    /// file sizes.
    pub fn open_or_create(path: &Path, mode: u32, record: &[u8]) -> Result<Self> {
        loop {
            match Self::open(path, record.len()) {
                Err(error) if error.errno() == Some(Errno::ENOENT) => {}
                found_or_failed => return found_or_failed,
            }
            match Self::create(path, mode, record) {
                Err(error) if error.errno() == Some(Errno::EEXIST) => refuse_dangling_link(path)?,
                created_or_failed => return created_or_failed,
            }
        }
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
        let it = Self::open_any(path)?;
        // Room first: on a full file system the file then stays as it is.
        allocate(&it.file, path, size)?;
        it.file.set_len(size as u64).map_err(|error| failed("ftruncate", path, &error))?;
        Ok(Self { size, ..it })
    }
}

impl<A: Access> fmt::Display for RecordFile<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.created { "created" } else { "found" };
        let mode = self.file.metadata().map_or(0, |it| it.permissions().mode() & 0o777);
        write!(f, "{}, {} bytes, mode {mode:04o}, {how}", self.name(), self.size)
    }
}

/// Whether a writer may still make a record at `path`: nothing is there, though its directory is, or an
/// empty file, as a C writer leaves it between open(2) and ftruncate(2).
#[must_use]
pub fn is_awaited(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.is_file() && metadata.len() == 0,
        Err(error) => errno_of(&error) == Errno::ENOENT && directory(path).is_dir(),
    }
}

pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

fn open_regular<A: Access>(path: &Path) -> Result<File> {
    let regular = |metadata: &Metadata| match kind(metadata) {
        "file" => Ok(()),
        kind => Err(Error::refused("open", shown(path), Refusal::Kind(kind))),
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
            opened => break opened.map_err(|errno| Error::new("open", shown(path), errno))?,
        }
    };
    let file = File::from(fd);
    regular(&file.metadata().map_err(|error| failed("fstat", path, &error))?)?;
    drop(not_words::refuse(&file, "open", shown(path))?);
    Ok(file)
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
        (Ok(target), Err(error)) => {
            let (target, errno) = (shown(&target), errno_of(&error));
            Err(Error::refused("open", shown(path), Refusal::DanglingLink { target, errno }))
        }
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
        Err(errno) => Err(Error::new("fallocate", shown(path), errno)),
    }
}

fn failed(call: &'static str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(call, shown(path), errno_of(error))
}
