//! Who has the memory in its address space: /proc/PID/maps of every process.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use common::clock;
use common::error::errno_of;
use common::printable::{Text, shown};
use common::proc::{self, MapsLine, maps_where};
use nix::errno::Errno;

use crate::frame::Frame;

/// A process that has the memory mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sharer {
    pub(crate) pid: i32,
    pub(crate) program: String,
    /// When it was started, in ticks since the machine was: with the pid, it means this process alone.
    pub(crate) started: u64,
    /// Its lines in maps about the memory: nattch counts each.
    pub(crate) lines: Vec<MapsLine>,
    /// The frame of the page that is shown.
    pub(crate) frame: Frame,
}

impl Sharer {
    /// What its rights make of it.
    pub(crate) fn role(&self) -> &'static str {
        match () {
            () if self.may_store() => "writer",
            () if self.lines.iter().any(|it| it.rights.ends_with('s')) => "reader",
            () => "has a private copy",
        }
    }

    /// Whether its stores reach the others.
    pub(crate) fn may_store(&self) -> bool {
        self.lines.iter().any(|it| it.rights.ends_with('s') && it.rights.contains('w'))
    }

    /// Where it has the byte at `offset`.
    fn address_of(&self, offset: usize) -> Option<usize> {
        self.lines.iter().find_map(|line| {
            let inside = offset.checked_sub(usize::try_from(line.offset).ok()?)?;
            (inside < line.addresses.len()).then_some(line.addresses.start + inside)
        })
    }

    /// Looks up which frame it has for the page with the byte at `offset`.
    pub(crate) fn look_up(&mut self, offset: usize) {
        let address = self.address_of(offset);
        self.frame = address.map_or(Frame::Untouched, |it| Frame::of(self.pid, it));
    }
}

/// What a look at all processes has found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) sharers: Vec<Sharer>,
    /// How many processes did not let us look at their maps.
    pub(crate) unseen: usize,
    /// Why there is nothing to see at all.
    pub(crate) failed: Option<Errno>,
}

/// Looks at the maps of all processes.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// They have no address space, and say EACCES to who is not root.
    kernel_threads: HashSet<i32>,
}

impl Scanner {
    /// All processes with lines for which `wanted`, and then `is_about`, are true.
    pub(crate) fn scan(
        &mut self,
        wanted: impl Fn(&str) -> bool,
        is_about: impl Fn(&MapsLine) -> bool,
    ) -> Found {
        let mut found = Found::default();
        let pids = match pids() {
            Ok(pids) => pids,
            Err(error) => return Found { failed: Some(errno_of(&error)), ..found },
        };
        for pid in pids {
            match maps_where(pid, &wanted) {
                Ok(mut lines) => {
                    lines.retain(&is_about);
                    if lines.is_empty() {
                        continue;
                    }
                    // It may have gone since; and a shmid means something in its own namespace alone.
                    let Some(started) = start(pid) else { continue };
                    if lines.iter().any(|it| it.shmid().is_some()) && !has_our_segments(pid) {
                        continue;
                    }
                    let (program, frame) = (program(pid), Frame::Untouched);
                    found.sharers.push(Sharer { pid, program, started, lines, frame });
                }
                // It has gone: ENOENT from open(2), ESRCH from read(2).
                Err(error) if matches!(errno_of(&error), Errno::ENOENT | Errno::ESRCH) => {}
                Err(_) => found.unseen += usize::from(!self.is_kernel_thread(pid)),
            }
        }
        found
    }

    fn is_kernel_thread(&mut self, pid: i32) -> bool {
        /// `PF_KTHREAD` of linux/sched.h.
        const KERNEL_THREAD: u64 = 0x0020_0000;
        let is = self.kernel_threads.contains(&pid)
            || proc::stat(pid).is_ok_and(|it| it.flags & KERNEL_THREAD != 0);
        if is {
            self.kernel_threads.insert(pid);
        }
        is
    }
}

/// All processes that this PID namespace, and the options of the mount, show.
pub(crate) fn pids() -> io::Result<Vec<i32>> {
    let names = fs::read_dir("/proc")?.filter_map(|it| it.ok()?.file_name().into_string().ok());
    let pids: Vec<_> = names.filter_map(|it| it.parse().ok()).collect();
    // A directory, but without our own process: nothing is mounted there.
    if pids.is_empty() { Err(io::Error::from_raw_os_error(Errno::ENOENT as i32)) } else { Ok(pids) }
}

/// The IPC namespace of a process, such as `ipc:[4026531839]`.
pub(crate) fn ipc_namespace(pid: impl std::fmt::Display) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/ipc")).ok()
}

fn has_our_segments(pid: i32) -> bool {
    match (ipc_namespace(pid), ipc_namespace("self")) {
        (Some(theirs), Some(ours)) => theirs == ours,
        _ => true,
    }
}

/// The name of the program: of the file that it runs, or what the kernel calls it.
pub(crate) fn program(pid: i32) -> String {
    let exe = fs::read_link(format!("/proc/{pid}/exe"));
    let name = exe.ok().and_then(|it| Some(shown(Path::new(it.file_name()?)).to_string()));
    let name = name.map(|it| it.trim_end_matches(" (deleted)").to_owned());
    let comm = || fs::read(format!("/proc/{pid}/comm")).ok();
    let comm = || Some(Text::from_c(comm()?.trim_ascii_end()).to_string());
    name.or_else(comm).unwrap_or_else(|| "?".into())
}

/// When the process was started, in ticks.
pub(crate) fn start(pid: i32) -> Option<u64> {
    proc::stat(pid).ok().map(|it| it.started)
}

/// Who has the pid now that the kernel noted at `time`, in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Noted {
    /// The kernel has noted none.
    Nobody,
    /// It is of another PID namespace, where it has another pid.
    Elsewhere,
    /// It has gone.
    Gone(i32),
    /// The process with this pid now was started later.
    Reused(i32),
    /// It runs this program.
    Runs(i32, String),
}

impl Noted {
    pub(crate) fn at(pid: i32, time: i64) -> Self {
        match (pid, start(pid)) {
            (0, _) if time == 0 => Self::Nobody,
            (0, _) => Self::Elsewhere,
            (_, None) => Self::Gone(pid),
            (_, Some(started)) => match boot_time() {
                // The clock may have been set meanwhile, by some seconds at most.
                Some(boot) if boot + ticks_to_seconds(started) > time + 2 => Self::Reused(pid),
                _ => Self::Runs(pid, program(pid)),
            },
        }
    }

    /// Whether nobody is left who could be asked.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Gone(_) | Self::Reused(_))
    }
}

impl std::fmt::Display for Noted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nobody => f.write_str("0 (nobody yet)"),
            Self::Elsewhere => f.write_str("0 (in another PID namespace)"),
            Self::Gone(pid) => write!(f, "{pid} (gone)"),
            Self::Reused(pid) => write!(f, "{pid} (gone; another process has the pid)"),
            Self::Runs(pid, program) => write!(f, "{pid} ({program})"),
        }
    }
}

/// The kernel counts in ticks of a hundredth of a second for us (`USER_HZ`), whatever its own are.
fn ticks_to_seconds(ticks: u64) -> i64 {
    i64::try_from(ticks / 100).unwrap_or(i64::MAX)
}

/// When the machine was started, in seconds since 1970.
fn boot_time() -> Option<i64> {
    let up = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: i64 = up.split('.').next()?.parse().ok()?;
    Some(clock::now() - seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_found_by_our_own_maps() {
        let pid = std::process::id().cast_signed();
        let here = (we_are_found_by_our_own_maps as fn()) as usize;
        let found =
            Scanner::default().scan(|it| it.contains(" r-xp "), |it| it.addresses.contains(&here));
        let us = found.sharers.iter().find(|it| it.pid == pid).expect("ourselves");
        assert!(us.program.starts_with("shm_viewer"), "{us:?}");
        assert_eq!((us.role(), us.lines.len()), ("has a private copy", 1));
        assert_eq!(Noted::at(pid, clock::now()), Noted::Runs(pid, us.program.clone()));
        assert_eq!(Noted::at(pid, 1000), Noted::Reused(pid), "long before we were started");
        assert_eq!(Noted::at(i32::MAX, 1000), Noted::Gone(i32::MAX));
    }
}
