//! What the programs in `examples/` have in common, and what teaches nothing.

#![forbid(unsafe_code)]

mod company;
mod steps;

use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use common::error::errno_of;
use common::{Error, Result};
use nix::errno::Errno;

pub use company::Company;
pub use steps::Steps;

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

/// The path among this program's arguments, `usual` if there is none, and whether `flag` is among them.
/// For anything else it says how the program is used, and ends it with exit status 2.
#[must_use]
pub fn path_and_flag(usual: &str, flag: Option<&str>) -> (PathBuf, bool) {
    let (mut path, mut has_flag) = (None, false);
    for argument in std::env::args_os().skip(1) {
        if flag.is_some_and(|it| argument == it) {
            has_flag = true;
        } else if path.is_none()
            && !argument.is_empty()
            && !argument.to_string_lossy().starts_with('-')
        {
            path = Some(PathBuf::from(argument));
        } else {
            let flag = flag.map(|it| format!("[{it}] ")).unwrap_or_default();
            eprintln!("usage: {flag}[PATH], which is {usual} if it is not given");
            std::process::exit(2);
        }
    }
    (path.unwrap_or_else(|| usual.into()), has_flag)
}
