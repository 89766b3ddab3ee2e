//! How a new file appears: whole, or not at all.
//!
//! It is made without a name (open(2) with `O_TMPFILE`), filled, and only then given its name
//! (linkat(2)), which fails if there is a file by now. So no reader ever finds a file that is still
//! too short, and a writer that is killed in between leaves nothing. Some file systems, such as older
//! overlay and network ones, have no files without a name: there it gets a temporary name first, which
//! a writer that is killed in between leaves behind.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::marker::PhantomData;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::linkat;

use super::record_file::{RecordFile, directory};
use crate::error::{Error, Result, errno_of};
use crate::printable::shown;
use crate::shared::ReadWrite;

impl RecordFile<ReadWrite> {
    /// Creates the file at `path` with the bytes of `record`: `EEXIST` if there is one by now.
    pub(super) fn create(path: &Path, mode: u32, record: &[u8]) -> Result<Self> {
        let new = New::without_name(path, mode).or_else(|error| match error.errno() {
            // EISDIR is what a kernel says that does not know the flag.
            Some(Errno::EOPNOTSUPP | Errno::EISDIR) => New::with_temporary_name(path, mode),
            _ => Err(error),
        })?;
        // Writing the bytes, and not just setting the size, makes the file system find room for
        // them now: ENOSPC here instead of a SIGBUS at the first store.
        (&new.file)
            .write_all(record)
            .map_err(|error| Error::new("write", shown(path), errno_of(&error)))?;
        linkat(AT_FDCWD, new.name.as_path(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)
            .map_err(|errno| Error::new("linkat", shown(path), errno))?;
        // Opened again by its name, or else /proc/PID/maps goes on to show `#INODE (deleted)`. If
        // `mode` forbids us to open it, what we have is as good.
        let file = match Self::open(path, record.len()) {
            Ok(named) => named.file,
            Err(_) => new
                .file
                .try_clone()
                .map_err(|error| Error::new("fcntl(F_DUPFD)", shown(path), errno_of(&error)))?,
        };
        let (path, size) = (path.into(), record.len());
        Ok(Self { file, path, size, created: true, access: PhantomData })
    }
}

/// A new file that does not bear its name yet. Dropping it removes its temporary name, if it has one.
struct New {
    file: File,
    /// What linkat(2) finds it by.
    name: PathBuf,
    temporary: bool,
}

impl New {
    fn without_name(path: &Path, mode: u32) -> Result<Self> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let directory = directory(path);
        let file = open(directory, flags, Mode::from_bits_truncate(mode))
            .map_err(|errno| Error::new("open", shown(path), errno))?;
        let file = File::from(file);
        // Not /proc/self: a thread may have descriptors of its own, unshare(2) CLONE_FILES.
        let name = format!("/proc/thread-self/fd/{}", file.as_raw_fd()).into();
        Ok(Self { file, name, temporary: false })
    }

    fn with_temporary_name(path: &Path, mode: u32) -> Result<Self> {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        // Nobody can know the name before, so nobody can have planted a file or a link there.
        let number = RandomState::new().hash_one(path);
        let name = directory(path).join(format!(".new-record-{number:016x}"));
        match open(&name, flags, Mode::from_bits_truncate(mode)) {
            Ok(file) => Ok(Self { file: file.into(), name, temporary: true }),
            Err(errno) => Err(Error::new("open", shown(path), errno)),
        }
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_file(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};
    use std::sync::Barrier;

    #[test]
    #[cfg_attr(miri, ignore = "system calls")]
    fn a_thread_with_descriptors_of_its_own_names_its_own_file() {
        let path =
            |what| std::env::temp_dir().join(format!("create-{what}-{}", std::process::id()));
        let (mine, other) = (path("mine"), path("other"));
        fs::write(&other, "others").expect("a file");
        let opened = Barrier::new(2);
        let made = std::thread::scope(|scope| {
            let own = scope.spawn(|| {
                unshare(CloneFlags::CLONE_FILES).expect("anybody may");
                opened.wait();
                opened.wait();
                // Closed here, where its descriptor is.
                RecordFile::create(&mine, 0o600, b"record").map(drop)
            });
            opened.wait();
            // Its number is that of the other thread's next descriptor.
            let others: Vec<_> = (0..100).map(|_| File::open(&other).expect("opened")).collect();
            opened.wait();
            let made = own.join().expect("no panic");
            drop(others);
            made
        });
        let found = fs::read(&mine);
        let _ = (fs::remove_file(&mine), fs::remove_file(&other));
        made.expect("a new file");
        assert_eq!(found.expect("it has the name"), b"record");
    }
}
