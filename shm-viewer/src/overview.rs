//! Who has what, and what does nobody need any more? All segments, objects in /dev/shm and memfds.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::error::errno_of;
use common::printable::{Text, shown};
use common::proc::{Listed, MapsLine, page_size, segments};
use common::sysv::{Limits, Totals};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc::O_NONBLOCK;

use crate::describe::user;
use crate::sharers::{Found, Noted, Scanner, Sharer, ipc_namespace, pids, program};

/// Where the C library keeps what shm_open(3) makes.
const OBJECTS: &str = "/dev/shm";

/// Everything shared that we may see, at one moment.
#[derive(Debug)]
pub(crate) struct Overview {
    namespace: String,
    /// The segments, and who made each.
    segments: Vec<(Listed, Noted)>,
    /// Why there is no list of segments.
    failed: Option<Errno>,
    limits: Option<Limits>,
    usage: Option<Totals>,
    objects: Vec<Object>,
    found: Found,
    /// How long it took.
    pub(crate) cost: Duration,
}

/// An object in /dev/shm, or a memfd.
#[derive(Debug)]
struct Object {
    /// `/dev/shm/NAME` or `/memfd:NAME`, without ` (deleted)`.
    name: String,
    /// What can be said of it; `None` if we have only seen it mapped.
    about: Option<Metadata>,
    seals: Option<SealFlag>,
    /// Whether it has a name in /dev/shm.
    is_named: bool,
    /// Who has it open without having it mapped: pid and descriptor.
    open: Vec<(i32, String)>,
}

impl Overview {
    pub(crate) fn take() -> Self {
        let start = Instant::now();
        let (segments, usage, failed) = consistent_segments();
        let creator = |it: &Listed| Noted::at(it.creator, it.change_time);
        let segments = segments.into_iter().map(|it| (it, creator(&it))).collect();
        let is_about =
            |line: &MapsLine| line.shmid().is_some() || object_name(&line.name).is_some();
        let wanted =
            |line: &str| ["/SYSV", "/dev/shm/", "/memfd:"].iter().any(|it| line.contains(it));
        let found = Scanner::default().scan(wanted, is_about);
        let objects = objects(&found);
        let namespace = ipc_namespace("self");
        Self {
            namespace: namespace
                .map_or("IPC namespace unknown".into(), |it| it.display().to_string()),
            segments,
            failed,
            limits: Limits::now().ok(),
            usage,
            objects,
            found,
            cost: start.elapsed(),
        }
    }

    /// All of it, for a screen or a pipe.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = self.totals();
        lines.push(String::new());
        lines.push("System V segments: shmid, key, size, mode, owner".into());
        self.segments.iter().for_each(|(it, creator)| self.segment(it, creator, &mut lines));
        if let Some(errno) = self.failed {
            lines.push(format!("  /proc/sysvipc/shm cannot be read: {errno:?}"));
        } else if self.segments.is_empty() {
            lines.push("  none".into());
        }
        for (title, is_named) in [
            ("Objects in /dev/shm: size, mode, owner", true),
            ("memfds, and objects without a name: size, mode, owner, seals", false),
        ] {
            lines.push(String::new());
            lines.push(title.into());
            let of_kind: Vec<_> =
                self.objects.iter().filter(|it| it.is_named == is_named).collect();
            of_kind.iter().for_each(|it| self.object(it, &mut lines));
            if of_kind.is_empty() {
                lines.push("  none".into());
            }
        }
        lines
    }

    fn totals(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let pages: u64 =
            self.segments.iter().map(|(it, _)| it.size.div_ceil(page_size() as u64)).sum();
        let resident: u64 =
            self.segments.iter().map(|(it, _)| it.resident / page_size() as u64).sum();
        let count = self.segments.len() as u64;
        lines.push(match self.limits {
            Some(Limits { most_segments, .. }) => {
                format!("{}: {count} of at most {most_segments} segments (SHMMNI)", self.namespace)
            }
            None => format!("{}: {count} segments", self.namespace),
        });
        if let Some(Limits { most_pages, most_bytes, .. }) = self.limits {
            // Without a limit the kernel has a number that no machine reaches.
            let human = |limit: u64| match limit > 1 << 52 {
                true => format!("{limit}, as good as none"),
                false => limit.to_string(),
            };
            let (largest, all) = (human(most_bytes), human(most_pages));
            lines.push(format!("SHMMAX, bytes of a segment: {largest}"));
            lines.push(format!("SHMALL, pages of {} in all: {all}", page_size()));
        }
        let ours = format!("our own sum: {count} segments, {pages} pages, {resident} in memory");
        if let Some(it) = self.usage {
            let (segments, pages, swapped) = (it.segments, it.pages, it.swapped);
            lines.push(format!(
                "SHM_INFO:    {segments} segments, {pages} pages, {} in memory, {swapped} in swap",
                it.resident
            ));
        }
        lines.push(match self.usage {
            Some(it) if (it.segments, it.pages, it.resident) == (count, pages, resident) => {
                format!("{ours}: the same")
            }
            Some(_) => format!("{ours}: not the same, they change while we look"),
            None => ours,
        });
        lines.push(match (self.found.failed, self.found.unseen) {
            (Some(errno), _) => format!("/proc, which says who has what: {errno:?}"),
            (None, 0) => "all processes could be looked at".into(),
            (None, 1) => "1 process could not be looked at: another user's, or protected".into(),
            (None, more) => {
                format!("{more} processes could not be looked at: other users', or protected")
            }
        });
        lines
    }

    fn segment(&self, it: &Listed, creator: &Noted, lines: &mut Vec<String>) {
        let dest = if it.marked_for_destruction { ", SHM_DEST" } else { "" };
        lines.push(format!(
            "  {:<6} 0x{:08x} {:>10} {:04o} {}{dest}; made by {creator}; nattch {}",
            it.id,
            it.key,
            it.size,
            it.mode,
            user(it.owner),
            it.attached
        ));
        let users = self.users(|line| line.shmid() == Some(it.id), lines);
        match it.attached.saturating_sub(users) {
            0 if it.attached > 0 => {}
            0 if creator.is_gone() => {
                lines.push(format!(
                    "           nobody, and its creator is gone: ipcrm -m {} removes it",
                    it.id
                ));
            }
            0 => lines.push(format!("           nobody; ipcrm -m {} removes it", it.id)),
            hidden => lines
                .push(format!("           {hidden} attachments of processes that we do not see")),
        }
    }

    /// Lines for all who have mapped what `is_it` says; returns how many mappings.
    fn users(&self, is_it: impl Fn(&MapsLine) -> bool, lines: &mut Vec<String>) -> u64 {
        let mut count = 0;
        for Sharer { pid, program, lines: maps, .. } in &self.found.sharers {
            let rights: Vec<_> =
                maps.iter().filter(|it| is_it(it)).map(|it| it.rights.as_str()).collect();
            count += rights.len() as u64;
            if !rights.is_empty() {
                let own =
                    if *pid == std::process::id().cast_signed() { " (this viewer)" } else { "" };
                lines.push(format!("           {pid} {program}{own} {}", rights.join(" ")));
            }
        }
        count
    }

    fn object(&self, it: &Object, lines: &mut Vec<String>) {
        let inode = it.about.as_ref().map(Metadata::ino);
        lines.push(format!(
            "  {}{}",
            it.name,
            match &it.about {
                None => ": only seen mapped, so its size is not known".into(),
                Some(about) => format!(
                    ": {} bytes {:04o} {}{}{}",
                    about.len(),
                    about.permissions().mode() & 0o7777,
                    user(about.uid()),
                    if it.is_named || it.name.starts_with("/memfd:") {
                        ""
                    } else {
                        "; its name has been unlinked"
                    },
                    it.seals.map_or(String::new(), seals),
                ),
            }
        ));
        let same = |line: &MapsLine| {
            object_name(&line.name) == Some(&it.name) && inode.is_none_or(|it| it == line.inode)
        };
        let users = self.users(same, lines);
        for (pid, descriptors) in &it.open {
            lines.push(format!("           {pid} {} has it open: {descriptors}", program(*pid)));
        }
        if users == 0 && it.open.is_empty() {
            let among = if self.found.unseen > 0 { " that we see" } else { "" };
            lines.push(format!(
                "           nobody{among} has it open or mapped; rm {} removes it",
                quoted(&it.name)
            ));
        }
    }
}

/// The list and the sum of the kernel, if possible of one moment.
fn consistent_segments() -> (Vec<Listed>, Option<Totals>, Option<Errno>) {
    for left in (0..5).rev() {
        let before = Totals::now().ok();
        match segments() {
            Ok(listed) if left == 0 || before == Totals::now().ok() => {
                return (listed, before, None);
            }
            Ok(_) => {}
            Err(error) => return (Vec::new(), before, Some(errno_of(&error))),
        }
    }
    unreachable!("the last time any list will do")
}

/// The name of an object in /dev/shm or of a memfd, as maps and the links of descriptors show it.
fn object_name(name: &str) -> Option<&str> {
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    (name.starts_with("/memfd:") || Path::new(name).starts_with(OBJECTS)).then_some(name)
}

/// All objects: those with a name, those that somebody has open, and those that somebody has mapped.
fn objects(found: &Found) -> Vec<Object> {
    let mut objects: BTreeMap<(String, u64), Object> = BTreeMap::new();
    for path in files_below(Path::new(OBJECTS), 3) {
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if about.is_file() {
            let name = shown(&path).to_string();
            let object = Object {
                name: name.clone(),
                seals: None,
                is_named: true,
                open: Vec::new(),
                about: Some(about),
            };
            let inode = object.about.as_ref().map_or(0, Metadata::ino);
            objects.insert((name, inode), object);
        }
    }
    for pid in pids().unwrap_or_default() {
        for (descriptor, name) in descriptors(pid) {
            let path = format!("/proc/{pid}/fd/{descriptor}");
            let Ok(about) = fs::metadata(&path) else { continue };
            if !about.is_file() {
                continue;
            }
            let object = objects.entry((name.clone(), about.ino())).or_insert_with(|| Object {
                name: name.clone(),
                seals: None,
                is_named: false,
                open: Vec::new(),
                about: Some(about),
            });
            if object.seals.is_none() && name.starts_with("/memfd:") {
                object.seals = seals_of(&path);
            }
            let is_mapped = found.sharers.iter().any(|it| {
                it.pid == pid && it.lines.iter().any(|it| object_name(&it.name) == Some(&name))
            });
            match object.open.last_mut() {
                _ if is_mapped => {}
                Some((last, descriptors)) if *last == pid => {
                    descriptors.push_str(", ");
                    descriptors.push_str(&descriptor);
                }
                _ => object.open.push((pid, format!("descriptor {descriptor}"))),
            }
        }
    }
    for line in found.sharers.iter().flat_map(|it| &it.lines) {
        if let Some(name) = object_name(&line.name) {
            objects.entry((name.into(), line.inode)).or_insert_with(|| Object {
                name: Text::from_c(name.as_bytes()).to_string(),
                about: None,
                seals: None,
                is_named: false,
                open: Vec::new(),
            });
        }
    }
    objects.into_values().collect()
}

/// The files in a directory, and in those below it down to some depth.
fn files_below(directory: &Path, depth: usize) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .flat_map(|it| match it.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => files_below(&it.path(), depth - 1),
            _ => vec![it.path()],
        })
        .collect()
}

/// The descriptors of a process that lead to an object or a memfd: number and name.
fn descriptors(pid: i32) -> Vec<(String, String)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let object = |entry: fs::DirEntry| {
        let link = fs::read_link(entry.path()).ok()?;
        let name = object_name(link.to_str()?)?.to_owned();
        Some((entry.file_name().into_string().ok()?, name))
    };
    entries.filter_map(object).collect()
}

/// fcntl(2), F_GET_SEALS, of what a descriptor of another process leads to.
fn seals_of(path: &str) -> Option<SealFlag> {
    let file = File::options().read(true).custom_flags(O_NONBLOCK).open(path).ok()?;
    let seals = fcntl(&file, FcntlArg::F_GET_SEALS).ok()?;
    Some(SealFlag::from_bits_truncate(seals))
}

fn seals(seals: SealFlag) -> String {
    let names = [
        (SealFlag::F_SEAL_SEAL, "seal"),
        (SealFlag::F_SEAL_SHRINK, "shrink"),
        (SealFlag::F_SEAL_GROW, "grow"),
        (SealFlag::F_SEAL_WRITE, "write"),
        (SealFlag::from_bits_retain(0x10), "future_write"),
    ];
    let set: Vec<_> = names.iter().filter(|it| seals.contains(it.0)).map(|it| it.1).collect();
    if set.is_empty() { "; no seals".into() } else { format!("; sealed: {}", set.join(" ")) }
}

/// A name for a shell.
fn quoted(name: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "/._-+,:@%".contains(it);
    if name.chars().all(plain) { name.into() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_kernel_shows() {
        assert_eq!(object_name("/dev/shm/ring"), Some("/dev/shm/ring"));
        assert_eq!(object_name("/dev/shm/ring (deleted)"), Some("/dev/shm/ring"));
        assert_eq!(object_name("/memfd:conn_stat (deleted)"), Some("/memfd:conn_stat"));
        for other in ["/dev/shmem", "/dev/shm2/x", "/SYSV000004d2 (deleted)", "", "[stack]"] {
            assert_eq!(object_name(other), None, "{other}");
        }
        assert_eq!(quoted("/dev/shm/sem.a"), "/dev/shm/sem.a");
        assert_eq!(quoted("/dev/shm/it's"), r"'/dev/shm/it'\''s'");
    }

    #[test]
    fn a_memfd_of_ours_is_found_with_its_seals() {
        use nix::sys::memfd::{MFdFlags, memfd_create};
        let Ok(fd) = memfd_create("viewer-test", MFdFlags::MFD_ALLOW_SEALING) else {
            eprintln!("skipped: no memfd_create here");
            return;
        };
        fcntl(&fd, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW)).expect("sealed");
        let overview = Overview::take();
        let lines = overview.lines();
        let at = lines.iter().position(|it| it.contains("/memfd:viewer-test: 0 bytes"));
        let at = at.unwrap_or_else(|| panic!("not in {lines:#?}"));
        assert!(lines[at].contains("; sealed: grow"), "{}", lines[at]);
        assert!(lines[at + 1].contains("has it open"), "{}", lines[at + 1]);
    }
}
