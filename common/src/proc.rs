//! The kernel's own evidence: the lines of /proc about shared memory.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;

use nix::sys::statfs::{FsType, NSFS_MAGIC, PROC_SUPER_MAGIC, fstatfs};

use crate::error::{Error, Result, errno_of};

/// The bytes of a page: sysconf(3) `_SC_PAGESIZE`. 4096 on most machines, 16 or 64 KiB on others.
#[must_use]
pub fn page_size() -> usize {
    // SAFETY: sysconf takes a number and touches no memory of ours.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // It is -1 only for what a system does not have, and every system has pages.
    usize::try_from(size).unwrap_or(4096)
}

/// One mapping in the address space of a process: a line of /proc/PID/maps, see proc_pid_maps(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapsLine {
    /// The addresses.
    pub addresses: Range<usize>,
    /// The rights, such as `rw-s`: read, write, execute, and `s` for shared or `p` for private.
    pub rights: String,
    /// Where in the file the mapping begins, in bytes.
    pub offset: u64,
    /// The device, such as `fe:00`.
    pub device: String,
    /// The inode number; the shmid, if it is a segment.
    pub inode: u64,
    /// The file, or a name such as `[stack]` or `/SYSV000004d2 (deleted)`; empty for anonymous pages.
    pub name: String,
    /// The whole line, with single spaces.
    pub line: String,
}

impl MapsLine {
    /// The shmid, if the mapping is a System V segment.
    #[must_use]
    pub fn shmid(&self) -> Option<i32> {
        self.name.starts_with("/SYSV").then(|| i32::try_from(self.inode).ok()).flatten()
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        // The name comes last and may have spaces in it.
        let mut rest = line;
        let mut field = || {
            let (field, behind) =
                rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
            rest = behind;
            field
        };
        let (start, end) = field().split_once('-')?;
        let address = |digits| usize::from_str_radix(digits, 16).ok();
        Some(Self {
            addresses: address(start)?..address(end)?,
            rights: field().into(),
            offset: u64::from_str_radix(field(), 16).ok()?,
            device: field().into(),
            inode: field().parse().ok()?,
            name: rest.trim_start().into(),
            line: line.split_whitespace().collect::<Vec<_>>().join(" "),
        })
    }
}

/// The mappings of a process: /proc/PID/maps. `pid` is a process id, or `self`.
///
/// # Errors
///
/// `ENOENT` if there is no such process, or no /proc; `EACCES` if it is another user's.
pub fn maps(pid: impl Display) -> io::Result<Vec<MapsLine>> {
    maps_where(pid, |_| true)
}

/// The mappings of this process, for calls here that look before they go on.
pub(crate) fn own_maps() -> Result<Vec<MapsLine>> {
    maps("self").map_err(|it| Error::new("open", "/proc/self/maps", errno_of(&it)))
}

/// Those mappings of a process for whose line `wanted` is true: for who looks at many processes, of
/// which most have nothing of interest.
///
/// # Errors
///
/// Those of [`maps`].
pub fn maps_where(pid: impl Display, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<MapsLine>> {
    let text = read(&format!("/proc/{pid}/maps"))?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter(|line| wanted(line));
    lines.map(|line| MapsLine::parse(line).ok_or_else(|| unexpected(line))).collect()
}

/// A segment as the kernel lists it in /proc/sysvipc/shm, see sysvipc(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// The key; 0 for a private segment and for one that is marked for destruction.
    pub key: i32,
    /// The shmid.
    pub id: i32,
    /// The permission bits, such as `0o600`.
    pub mode: u32,
    /// Whether the segment goes with the last detach (`SHM_DEST`).
    pub marked_for_destruction: bool,
    /// The size in bytes.
    pub size: u64,
    /// The process that created it.
    pub creator: i32,
    /// The process that attached or detached last; 0 if none has.
    pub last: i32,
    /// How many attachments there are.
    pub attached: u64,
    /// How much of it is in memory, in bytes.
    pub resident: u64,
    /// The user id of the owner.
    pub owner: u32,
    /// When it was last attached, in seconds since 1970; 0 for never.
    pub attach_time: i64,
    /// When it was last detached, in seconds since 1970; 0 for never.
    pub detach_time: i64,
    /// When it was made or changed by shmctl(2), in seconds since 1970.
    pub change_time: i64,
}

/// All segments of this IPC namespace: /proc/sysvipc/shm.
///
/// # Errors
///
/// `ENOENT` without /proc, or on a kernel without System V shared memory.
pub fn segments() -> io::Result<Vec<Listed>> {
    let text = read("/proc/sysvipc/shm")?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
    lines.map(|line| Listed::parse(&names, line).ok_or_else(|| unexpected(line))).collect()
}

impl Listed {
    fn parse(names: &[&str], line: &str) -> Option<Self> {
        let fields: Vec<_> = line.split_whitespace().collect();
        // By the names in the first line: kernels have added columns.
        let field =
            |name| Some(fields[..].get(names.iter().position(|it| *it == name)?)?.to_owned());
        let number = |name| field(name)?.parse::<i64>().ok();
        let perms = u32::from_str_radix(field("perms")?, 8).ok()?;
        Some(Self {
            key: i32::try_from(number("key")?).ok()?,
            id: i32::try_from(number("shmid")?).ok()?,
            mode: perms & 0o777,
            marked_for_destruction: perms & 0o1000 != 0,
            size: field("size")?.parse().ok()?,
            creator: i32::try_from(number("cpid")?).ok()?,
            last: i32::try_from(number("lpid")?).ok()?,
            attached: field("nattch")?.parse().ok()?,
            // Not there before Linux 2.6.34.
            resident: field("rss").map_or(Some(0), |it| it.parse().ok())?,
            owner: u32::try_from(number("uid")?).ok()?,
            attach_time: number("atime")?,
            detach_time: number("dtime")?,
            change_time: number("ctime")?,
        })
    }
}

/// The number of the PID namespace of this process: pid_namespaces(7).
pub(crate) fn pid_namespace() -> io::Result<u64> {
    Ok(open("/proc/self/ns/pid", NSFS_MAGIC)?.metadata()?.ino())
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    open(path, PROC_SUPER_MAGIC)?.read_to_end(&mut text)?;
    Ok(text)
}

/// Opens a file of the kernel's own. After a chroot(2) anybody may have put something else there.
fn open(path: &str, system: FsType) -> io::Result<File> {
    let file = File::open(path)?;
    if fstatfs(&file)?.filesystem_type() == system {
        return Ok(file);
    }
    Err(io::Error::other(format!("{path} is not the kernel's")))
}

fn unexpected(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not as the man page says: {line}"))
}

/// What the kernel tells of a process: some fields of /proc/PID/stat, see proc_pid_stat(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The state, such as `S` for asleep, `T` for stopped, `Z` for ended and not waited for.
    pub state: char,
    /// The pid of its parent.
    pub parent: i32,
    /// The kernel's flags: `PF_` in its sources.
    pub flags: u64,
    /// How many threads it has. Unlike the entries of /proc/PID/task, of which one may be missed while a thread
    /// ends, the kernel keeps this number.
    pub threads: u64,
    /// When it was started, in clock ticks since the machine was.
    pub started: u64,
}

/// Reads /proc/`process`/stat. `process` is a pid, `self`, or `self/task/TID`.
///
/// # Errors
///
/// `ENOENT` and `ESRCH` if there is no such process.
pub fn stat(process: impl Display) -> io::Result<Stat> {
    let text = read(&format!("/proc/{process}/stat"))?;
    let text = String::from_utf8_lossy(&text);
    parse_stat(&text).ok_or_else(|| unexpected(&text))
}

/// Whether this process has a single thread, the one that asks: so nobody can start another meanwhile.
/// Without /proc nobody knows, and that is no.
#[must_use]
pub fn is_single_threaded() -> bool {
    matches!(stat("self"), Ok(it) if it.threads == 1)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The second field is the name in parentheses, and may have anything in it.
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    // By their numbers in the man page: 3, 4, 9, 20, 22.
    let (state, parent) = (fields.next()?, fields.next()?);
    let (flags, threads) = (fields.nth(9 - 5)?, fields.nth(20 - 10)?);
    let started = fields.nth(22 - 21)?;
    Some(Stat {
        state: state.chars().next()?,
        parent: parent.parse().ok()?,
        flags: flags.parse().ok()?,
        threads: threads.parse().ok()?,
        started: started.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps_is_taken_apart() {
        let text = "7f46dc6b5000-7f46dc6b6000 r--s 00001000 00:01 27                         /SYSV000004d2 (deleted)";
        let line = MapsLine::parse(text).expect("a line");
        assert_eq!(line.addresses, 0x7f46_dc6b_5000..0x7f46_dc6b_6000);
        assert_eq!(
            (line.rights.as_str(), line.offset, line.device.as_str()),
            ("r--s", 4096, "00:01")
        );
        assert_eq!((line.name.as_str(), line.shmid()), ("/SYSV000004d2 (deleted)", Some(27)));
        let anonymous =
            MapsLine::parse("00400000-00452000 r-xp 00000000 00:00 0 ").expect("a line");
        assert_eq!((anonymous.name.as_str(), anonymous.shmid()), ("", None));
        assert!(MapsLine::parse("garbage").is_none());
    }

    #[test]
    fn our_own_code_is_mapped() {
        let here = (our_own_code_is_mapped as fn()) as usize;
        let all = maps("self").expect("/proc/self/maps");
        let maps = maps_where("self", |line| line.contains(" r-x")).expect("/proc/self/maps");
        assert!(maps.len() < all.len() && maps.iter().all(|it| all.contains(it)));
        let line = maps.iter().find(|it| it.addresses.contains(&here)).expect("our code");
        assert!(line.rights.starts_with("r-x"), "{line:?}");
        assert!(page_size().is_power_of_two());
    }

    #[test]
    fn columns_are_found_by_their_names() {
        let names = [
            "shmid", "key", "size", "perms", "uid", "cpid", "lpid", "nattch", "atime", "dtime",
            "ctime", "rss",
        ];
        let line = "7 -2 5000000000 1600 0 11 12 3 100 0 99 8192";
        let listed = Listed::parse(&names, line).expect("a segment");
        assert_eq!((listed.id, listed.key, listed.size), (7, -2, 5_000_000_000));
        assert_eq!((listed.mode, listed.marked_for_destruction), (0o600, true));
        assert_eq!((listed.creator, listed.last, listed.attached), (11, 12, 3));
        assert_eq!(listed.resident, 8192);
        assert_eq!((listed.attach_time, listed.detach_time, listed.change_time), (100, 0, 99));
    }

    #[test]
    fn a_name_may_look_like_fields() {
        let text = "7 (a) Z 1 (b) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n";
        let stat = Stat { state: 'S', parent: 4, flags: 9, threads: 20, started: 22 };
        assert_eq!(parse_stat(text), Some(stat));
        assert_eq!(parse_stat("7 (a) S 5"), None);
        let (own, parent) = (super::stat("self").expect("/proc"), nix::unistd::getppid());
        assert_eq!(own.parent, parent.as_raw());
    }
}
