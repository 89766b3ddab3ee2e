//! What the programs in `examples/` have in common, and what teaches nothing.

#![forbid(unsafe_code)]

mod company;
pub mod meeting;
mod steps;

use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use common::error::errno_of;
use common::{Error, Refusal, Result};
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

/// The numbers that follow these options on the command line; where one is not there, its default.
///
/// # Errors
///
/// Refused if there is anything else.
pub fn options<const N: usize>(known: [(&str, i32); N]) -> Result<[i32; N]> {
    let mut numbers = known.map(|(_, default)| default);
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        let place = known.iter().position(|(name, _)| word == *name);
        // Also as ipcs prints a key: 0x and hexadecimal.
        let number = words.next().and_then(|it| match it.to_str()?.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok().map(u32::cast_signed),
            None => it.to_str()?.parse().ok(),
        });
        let (Some(place), Some(number)) = (place, number) else {
            let usage = known.map(|(name, default)| format!("[{name} {default}]")).join(" ");
            let word = word.to_string_lossy();
            return Err(refused("main", &word, &format!("the arguments are {usage}")));
        };
        numbers[place] = number;
    }
    Ok(numbers)
}

/// `call` was not made on `object`, for the reason `why`.
#[must_use]
pub fn refused(call: &'static str, object: &str, why: &str) -> Error {
    Error::refused(call, object, Refusal::Other(why.into()))
}

/// Opens the same file again, for reading and writing, whatever `file` may: open(2) of /proc/self/fd.
///
/// # Errors
///
/// `EACCES` if its mode forbids it, `ENOENT` without /proc.
pub fn open_again(file: &File) -> Result<File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::options().read(true).write(true).open(&path).on("open", path)
}

/// The page faults of this process so far that needed no disk: getrusage(2) `ru_minflt`.
///
/// # Errors
///
/// None that the kernel gives for these arguments.
pub fn minor_faults() -> Result<i64> {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage: std::result::Result<_, Errno> = getrusage(UsageWho::RUSAGE_SELF);
    // A long has 32 bits on 32-bit machines.
    #[allow(clippy::useless_conversion)]
    Ok(usage.on("getrusage", "this process")?.minor_page_faults().into())
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

/// Waits until the child has stored something else than 0 in `word`, and then called futex(2)
/// `FUTEX_WAKE` on it.
///
/// # Errors
///
/// Refused if the child has ended before that.
pub fn wait_for(word: &common::SharedU32, child: &mut terminal::process::Child) -> Result<()> {
    use std::sync::atomic::Ordering::Acquire;
    while word.load(Acquire) == 0 {
        common::sync::futex::wait(word, 0, std::time::Duration::from_millis(100));
        if word.load(Acquire) == 0 && !child.is_running()? {
            let refusal = Refusal::Other("the child has ended too early".into());
            return Err(Error::refused("futex", "the child's word", refusal));
        }
    }
    Ok(())
}

/// A child that makes something, keeps it, and sleeps until somebody ends it. It has made it when this
/// returns. It does not outlive this process.
///
/// # Errors
///
/// Those of fork(2); refused if the child could not make it, and has said why on stderr.
pub fn held_by_child<T>(make: impl FnOnce() -> Result<T>) -> Result<terminal::process::Child> {
    use common::{ReadWrite, mapping::Mapping};
    use nix::sys::{prctl::set_pdeathsig, signal::Signal};
    use terminal::process::{Fork, fork};
    let ready = Mapping::<common::SharedU32, ReadWrite>::anonymous()?;
    match fork()? {
        Fork::Parent(mut child) => wait_for(&ready, &mut child).map(|()| child),
        Fork::Child => {
            let made = set_pdeathsig(Signal::SIGKILL).on("prctl", "PR_SET_PDEATHSIG");
            let made = made.and_then(|()| make());
            if let Err(error) = &made {
                eprintln!("error: {error}");
                std::process::exit(1);
            }
            ready.writer().store(1, std::sync::atomic::Ordering::Release);
            common::sync::futex::wake(&*ready, 1);
            nix::unistd::pause();
            std::process::exit(0)
        }
    }
}

/// Another process with the number `pid`, which is free now: root may say which number the kernel gives out
/// next, by /proc/sys/kernel/ns_last_pid. Who may not do that gets the number of this process' parent, and a line
/// that says so.
///
/// # Errors
///
/// Those of [`held_by_child`].
pub fn another_with(pid: u32) -> Result<(u32, Option<terminal::process::Child>)> {
    const LAST: &str = "/proc/sys/kernel/ns_last_pid";
    // Start times are in ticks of 10 ms. No kernel gives a number out again in the same tick unless it is told
    // to: so wait for the next.
    std::thread::sleep(std::time::Duration::from_millis(20));
    let mut why = "others were faster".to_owned();
    // Somebody else may start a process in between, and get it.
    for _ in 0..100 {
        let told = fs::read_to_string(LAST).and_then(|last| {
            fs::write(LAST, (pid - 1).to_string())?;
            Ok(last)
        });
        let last = match told {
            Ok(last) => last,
            Err(error) => {
                why = Error::new("open", LAST, errno_of(&error)).to_string();
                break;
            }
        };
        let child = held_by_child(|| Ok(()));
        // Back to where it was, so that other numbers rest.
        let _ = fs::write(LAST, last);
        let child = child?;
        if child.pid().as_raw().cast_unsigned() == pid {
            // It is about to sleep, as whoever looks at it will see.
            while state_and_start(pid).0 == 'R' {
                std::thread::yield_now();
            }
            return Ok((pid, Some(child)));
        }
    }
    eprintln!("skipped: {why}: our parent stands for another process with that pid");
    Ok((nix::unistd::getppid().as_raw().cast_unsigned(), None))
}

/// How many descriptors of a process lead to `target`; 0 if there is no such process: /proc/PID/fd.
pub fn descriptors(pid: impl Display, target: &str) -> usize {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = links.filter_map(|it| fs::read_link(it.path()).ok());
    targets.filter(|it| it.to_string_lossy().starts_with(target)).count()
}

/// State and start time of a process: fields 3 and 22 of /proc/PID/stat, see proc_pid_stat(5). The time is in
/// clock ticks since the machine started, of which 32 bits come round after 497 days. Without such a process
/// they are `-` and 0.
#[must_use]
pub fn state_and_start(pid: u32) -> (char, u32) {
    let Ok(stat) = common::proc::stat(pid) else { return ('-', 0) };
    let low = u32::try_from(stat.started & u64::from(u32::MAX)).unwrap_or_default();
    (stat.state, low)
}

/// Runs `work` in a new directory of the directory for temporary files, with the mode of /tmp, and removes it
/// with all that is in it.
///
/// # Errors
///
/// Those of `work`, mkdir(2) and chmod(2).
pub fn in_own_tmp(work: impl FnOnce() -> Result<()>) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let tmp = std::env::temp_dir().join(format!("lesson-{}", std::process::id()));
    fs::create_dir(&tmp).on("mkdir", tmp.display())?;
    let like_tmp = fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777));
    let moved = like_tmp.and_then(|()| std::env::set_current_dir(&tmp));
    let tried = moved.on("chdir", tmp.display()).and_then(|()| work());
    fs::remove_dir_all(&tmp).on("rmdir", tmp.display()).and(tried)
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
