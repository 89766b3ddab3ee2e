//! Files in which something else lies than 32-bit words, so that nobody may map them as such.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::sys::statfs::{DEBUGFS_MAGIC, PROC_SUPER_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC, fstatfs};

use super::Area;
use crate::error::{Error, Refusal, Result, errno_of};
use crate::proc::{self, MapsLine, own_maps};
use crate::shared::ReadOnly;

/// Where the C library has semaphores mapped in this process, once for each time that one is open. Whoever maps
/// a file as words, or moves such a mapping, holds it meanwhile, so that none is added.
pub(crate) type Semaphores = MutexGuard<'static, Vec<usize>>;

static SEMAPHORES: Mutex<Vec<usize>> = Mutex::new(Vec::new());

pub(crate) fn semaphores() -> Semaphores {
    SEMAPHORES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Refuses `file`, for `call` on `object`, if it is
///
/// - anonymous pages that root can open in /proc/PID/map_files, where the kernel shows shared ones and huge ones
///   as a regular file. Wider atomics lie there, or a mutex, and words stored over it would have the C library
///   follow pointers that anybody made up;
/// - a semaphore of sem_open(3), which glibc loads and stores as 64 bits at once. It is known by the name that
///   the file was opened by. One that this process has open by a `NamedSemaphore` is known under every name, which
///   rename(2) and link(2) may have given it;
/// - a file of the kernel's own: of procfs, sysfs, debugfs or tracefs. Some of them are registers of a device, or pages that a
///   fork does not copy.
///
/// Who is to map the file keeps what is returned until it is mapped.
pub(super) fn refuse(file: &File, call: &'static str, object: impl Display) -> Result<Semaphores> {
    let refused = |kind| Error::refused(call, &object, Refusal::Kind(kind));
    let about = file.metadata().map_err(|it| Error::new("fstat", &object, errno_of(&it)))?;
    match own_name(file) {
        Ok(name) => kind(Path::new(&name)).map_or(Ok(()), |it| Err(refused(it)))?,
        // Pages of a process have no name, so what has one is no such file. It may have been opened before a
        // chroot(2) to where there is no /proc.
        Err(error) if error.kind() == io::ErrorKind::NotFound && about.nlink() > 0 => {}
        Err(error) => return Err(Error::new("readlink", "/proc/thread-self/fd", errno_of(&error))),
    }
    let system = fstatfs(file).map_err(|it| Error::new("fstatfs", &object, it))?;
    if [PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC]
        .contains(&system.filesystem_type())
    {
        return Err(refused("file of the kernel's own"));
    }
    let semaphores = semaphores();
    if !semaphores.is_empty() {
        // Nobody loads there. It is mapped to have a line in /proc/self/maps: only there the file and the
        // semaphores are named in one way. stat(2) has other devices on some file systems, and a name may lead
        // elsewhere by now.
        let page =
            Area::of_file::<ReadOnly>(file, 1).map_err(|it| Error::new(call, &object, it))?;
        let lines = own_maps()?;
        let here = file_at(&lines, page.start().addr().get());
        if semaphores.iter().any(|it| file_at(&lines, *it) == here) {
            return Err(refused("semaphore"));
        }
    }
    Ok(semaphores)
}

/// The name that `file` was opened by, as the kernel has it.
fn own_name(file: &File) -> io::Result<OsString> {
    let directory = proc::open("/proc/thread-self/fd", PROC_SUPER_MAGIC)?;
    Ok(readlinkat(directory, &*file.as_raw_fd().to_string())?)
}

/// The device and the inode of what is mapped at `address`.
fn file_at(lines: &[MapsLine], address: usize) -> Option<(&str, u64)> {
    let line = lines.iter().find(|it| it.addresses.contains(&address))?;
    Some((&line.device, line.inode))
}

/// Refuses the semaphore `object`, which the C library has mapped at `address`, if this process has its file mapped
/// as something else too.
///
/// # Errors
///
/// Those of [`maps`](crate::proc::maps).
pub(crate) fn must_be_mapped_once(address: usize, object: impl Display) -> Result<()> {
    let lines = own_maps()?;
    let here = file_at(&lines, address)
        .ok_or_else(|| Error::new("open", "/proc/self/maps", Errno::ENOENT))?;
    if lines.iter().filter(|it| (&*it.device, it.inode) == here).count() > 1 {
        let refusal = Refusal::Other("this process has its file mapped as something else".into());
        return Err(Error::refused("sem_open", object, refusal));
    }
    Ok(())
}

/// The names of anonymous pages that are a file to the kernel: shared ones; and those of MAP_HUGETLB, the private ones
/// too, which may be anybody's heap.
const ANONYMOUS: [&str; 2] = ["/dev/zero (deleted)", "/anon_hugepage (deleted)"];

fn kind(name: &Path) -> Option<&'static str> {
    if ANONYMOUS.map(Path::new).contains(&name) {
        return Some("process's own memory");
    }
    let semaphore = name.strip_prefix("/dev/shm").ok()?.to_str()?.starts_with("sem.");
    semaphore.then_some("semaphore")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{Mapping, RecordFile, Region};
    use crate::proc::page_size;
    use crate::shared::ReadWrite;
    use crate::sync::named_semaphore::NamedSemaphore;
    use crate::sync::named_semaphore::tests::Unlinked;
    use nix::sys::mman::{MapFlags, ProtFlags};
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::Ordering;

    /// Every way to map a file.
    fn nobody_maps(file: &File, path: &Path) {
        let (rights, page) = (ProtFlags::PROT_READ, page_size());
        let room = || {
            let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS;
            Region::map(page, rights, flags, None).expect("a page")
        };
        for flags in [MapFlags::MAP_SHARED, MapFlags::MAP_PRIVATE] {
            let refusals = [
                RecordFile::<ReadWrite>::open_any(path).expect_err("refused"),
                RecordFile::<ReadOnly>::open_any(path).expect_err("refused"),
                Region::map(page, rights, flags, Some((file, 0))).expect_err("refused"),
                room()
                    .replace(0, page, flags | MapFlags::MAP_FIXED, (file, 0))
                    .expect_err("refused"),
            ];
            for error in refusals {
                assert!(matches!(error.refusal(), Some(Refusal::Kind(_))), "{error}");
            }
        }
    }

    #[test]
    fn nobody_maps_anonymous_pages_a_second_time() {
        let counters = Mapping::<crate::Counters<1>, ReadWrite>::anonymous().expect("pages");
        let start = counters.address().as_ptr().addr();
        let path = format!("/proc/self/map_files/{start:x}-{:x}", start + page_size());
        match File::options().read(true).write(true).open(&path) {
            Ok(file) => nobody_maps(&file, Path::new(&path)),
            Err(error) => eprintln!("skipped: {path}: {error}; only root may open it"),
        }
    }

    #[test]
    fn nobody_maps_a_semaphore_as_words() {
        let name = Unlinked::new("not-words");
        let semaphore = NamedSemaphore::create(name.as_str(), 0o600, 1).expect("a new one");
        let Some(path) = name.file() else { return };
        // Closed, so that only the name tells.
        drop(semaphore);
        let file = File::options().read(true).write(true).open(&path).expect("ours");
        nobody_maps(&file, &path);
    }

    #[test]
    fn nobody_maps_a_file_of_the_kernels_own() {
        let path = "/sys/kernel/uevent_seqnum";
        match File::open(path) {
            Ok(file) => {
                let (rights, shared) = (ProtFlags::PROT_READ, MapFlags::MAP_SHARED);
                let error = Region::map(1, rights, shared, Some((&file, 0))).expect_err("refused");
                assert!(matches!(error.refusal(), Some(Refusal::Kind(_))), "{error}");
            }
            Err(error) => eprintln!("skipped: {path}: {error}"),
        }
    }

    #[test]
    fn an_open_semaphore_is_known_under_every_name() {
        let name = Unlinked::new("links");
        let semaphore = NamedSemaphore::create(name.as_str(), 0o600, 1).expect("a new one");
        let Some(file) = name.file() else { return };
        for rename in [false, true] {
            let other = file.with_file_name(format!("common-other-{}", std::process::id()));
            let path = Removed(other);
            if rename { fs::rename(&file, &path.0) } else { fs::hard_link(&file, &path.0) }
                .expect("another name");
            let words =
                File::options().read(true).write(true).open(&path.0).expect("the same file");
            nobody_maps(&words, &path.0);
            assert_eq!(semaphore.count(), Ok(1));
        }
    }

    #[test]
    fn a_file_that_is_mapped_as_words_becomes_no_semaphore() {
        let name = Unlinked::new("words");
        // One to learn from where the C library has them, and how large they are.
        let other = NamedSemaphore::create(name.as_str(), 0o600, 1).expect("a new one");
        let Some(file) = name.file() else { return };
        let bytes = fs::read(&file).expect("its bytes");
        drop(other);
        NamedSemaphore::unlink(name.as_str()).expect("ours");

        let path = Removed(file.with_file_name(format!("common-words-{}", std::process::id())));
        let record = RecordFile::open_or_create(&path.0, 0o600, &bytes).expect("a new file");
        let words = record.map_words().expect("words");
        fs::hard_link(&path.0, &file).expect("another name");
        let refused = NamedSemaphore::open(name.as_str()).expect_err("mapped as words");
        assert!(matches!(refused.refusal(), Some(Refusal::Other(_))), "{refused}");
        drop(words);

        // Not mapped any more, so it is a semaphore; and while it is one, it is not mapped.
        let semaphore = NamedSemaphore::open(name.as_str()).expect("no words");
        assert_eq!(semaphore.try_take(), Ok(true));
        let again = NamedSemaphore::open(name.as_str()).expect("twice");
        for open in [semaphore, again] {
            let refused = record.map_words().expect_err("a semaphore");
            assert_eq!(refused.refusal(), Some(&Refusal::Kind("semaphore")));
            drop(open);
        }
        let words = record.map_words().expect("closed by both");
        assert_eq!(words[0].load(Ordering::Relaxed), 0, "taken");
    }

    /// A file that is removed with this value.
    struct Removed(PathBuf);

    impl Drop for Removed {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn other_files_of_the_same_directory_are_words() {
        assert_eq!(kind(Path::new("/dev/shm/sem.a (deleted)")), Some("semaphore"));
        assert_eq!(kind(Path::new("/anon_hugepage (deleted)")), Some("process's own memory"));
        for name in ["/dev/shm/semantics", "/dev/shm/a", "/tmp/sem.a", "/dev/zero"] {
            assert_eq!(kind(Path::new(name)), None, "{name}");
        }
    }
}
