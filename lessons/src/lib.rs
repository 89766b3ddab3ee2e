//! What the programs in `examples/` have in common, and what teaches nothing.

#![forbid(unsafe_code)]

use std::fmt::Display;
use std::fs::{self, File};
use std::io;

use common::error::errno_of;
use common::{Error, Result};
use nix::errno::Errno;

/// A new file for reading and writing, in the directory for temporary files. It has no name any more, so
/// it goes with the last process that has it open or mapped.
///
/// # Errors
///
/// Those of open(2) and unlink(2).
pub fn scratch_file() -> Result<File> {
    let path = std::env::temp_dir().join(format!("lesson-{}", std::process::id()));
    // create_new is O_EXCL: never a file that somebody else has put there.
    let file = File::options().read(true).write(true).create_new(true).open(&path);
    let file = file.on("open", path.display())?;
    fs::remove_file(&path).on("unlink", path.display())?;
    Ok(file)
}

/// Says which call failed, and on what.
pub trait On<T> {
    /// The same, with an error that names `call` and `object`.
    ///
    /// # Errors
    ///
    /// The error that was there.
    fn on(self, call: &'static str, object: impl Display) -> Result<T>;
}

impl<T> On<T> for io::Result<T> {
    fn on(self, call: &'static str, object: impl Display) -> Result<T> {
        self.map_err(|error| Error::new(call, object, errno_of(&error)))
    }
}

impl<T> On<T> for nix::Result<T> {
    fn on(self, call: &'static str, object: impl Display) -> Result<T> {
        self.map_err(|errno| Error::new(call, object, errno))
    }
}

/// What the kernel answered, for calls that a lesson expects to fail: `ok`, or errno's name.
pub fn answer<T>(result: &Result<T>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(error) => error.errno().map_or_else(|| error.to_string(), |it| format!("{it:?}")),
    }
}

/// The page faults of this process so far that needed no disk: getrusage(2) `ru_minflt`.
///
/// # Errors
///
/// None that the kernel gives for these arguments.
pub fn minor_faults() -> Result<i64> {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage: std::result::Result<_, Errno> = getrusage(UsageWho::RUSAGE_SELF);
    Ok(usage.on("getrusage", "this process")?.minor_page_faults())
}

/// Takes this process into an IPC namespace of its own, without segments, semaphore sets and queues:
/// unshare(2) with `CLONE_NEWIPC`. Whoever is not root makes a user namespace too, in which that is allowed.
///
/// # Errors
///
/// `EPERM` or `ENOSPC` where that is forbidden, for instance in many containers.
pub fn own_ipc_namespace() -> Result<()> {
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWIPC)
        .or_else(|_| unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWIPC))
        .on("unshare", "CLONE_NEWIPC")
}

/// The rights of the mapping that starts at `address`, such as `rw-s`; empty if there is none:
/// /proc/self/maps.
///
/// # Errors
///
/// `ENOENT` where /proc is not mounted.
pub fn rights(address: usize) -> Result<String> {
    let lines = common::proc::maps("self").on("read", "/proc/self/maps")?;
    let line = lines.into_iter().find(|it| it.addresses.start == address);
    Ok(line.map(|it| it.rights).unwrap_or_default())
}
