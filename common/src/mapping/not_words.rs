//! Files in which something else lies than 32-bit words, so that nobody may map them as such.

use std::fmt::Display;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use crate::error::{Error, Refusal, Result};

/// Refuses `file`, for `call` on `object`, if it is
///
/// - anonymous shared pages, which root can open in /proc/PID/map_files, and which the kernel shows as a
///   regular file. Wider atomics lie there, or a mutex, and words stored over it would have the C library
///   follow pointers that anybody made up;
/// - a semaphore of sem_open(3), which glibc loads and stores as 64 bits at once.
///
/// The name decides, which is the one that the file was opened by: a semaphore under another name, which
/// link(2) has given it, is not known.
pub(super) fn refuse(file: &File, call: &'static str, object: impl Display) -> Result<()> {
    let name = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    // Without /proc there is no map_files either.
    let kind = name.ok().and_then(|it| kind(&it));
    kind.map_or(Ok(()), |kind| Err(Error::refused(call, object, Refusal::Kind(kind))))
}

fn kind(name: &Path) -> Option<&'static str> {
    if name.as_os_str() == "/dev/zero (deleted)" {
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
    use crate::shared::{ReadOnly, ReadWrite};
    use crate::sync::named_semaphore::NamedSemaphore;
    use nix::sys::mman::{MapFlags, ProtFlags};

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
        let name = format!("/common-not-words-{}", std::process::id());
        let semaphore = NamedSemaphore::create(&name, 0o600, 1).expect("a new one");
        let path = format!("/dev/shm/sem.{}", &name[1..]);
        let file = File::options().read(true).write(true).open(&path);
        match file {
            Ok(file) => nobody_maps(&file, Path::new(&path)),
            Err(error) => eprintln!("skipped: {path}: {error}; the C library has it elsewhere"),
        }
        NamedSemaphore::unlink(&name).expect("ours");
        assert_eq!(semaphore.count(), Ok(1));
    }

    #[test]
    fn other_files_of_the_same_directory_are_words() {
        assert_eq!(kind(Path::new("/dev/shm/sem.a (deleted)")), Some("semaphore"));
        for name in ["/dev/shm/semantics", "/dev/shm/a", "/tmp/sem.a", "/dev/zero"] {
            assert_eq!(kind(Path::new(name)), None, "{name}");
        }
    }
}
