//! Whether a fork(2) would copy what this process has.
//!
//! To the pages that `common` shares, both processes keep to atomics. Other crates may have pages of which each
//! process would believe that it has them alone: shared ones, behind a `&mut [u8]`. And pages that the kernel keeps
//! out of the child, where a guard's copy would mean whatever is mapped there next. And the kernel may have addresses
//! from them, behind a descriptor that both processes have.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::statfs::PROC_SUPER_MAGIC;

use super::not_words::semaphores;
use crate::error::{Error, Refusal, Result, errno_of};
use crate::proc::{MapsLine, open, read};

/// Where `common` has mappings: from, until.
static OURS: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

fn ours() -> MutexGuard<'static, BTreeMap<usize, usize>> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn mapped(addresses: &Range<usize>) {
    ours().insert(addresses.start, addresses.end);
}

pub(crate) fn unmapped(start: usize) {
    ours().remove(&start);
}

/// Refuses a fork if this process has
///
/// - pages that a child would not get, or shared ones that may be stored to and are not `common`'s: `VmFlags` in
///   /proc/self/smaps, see proc_pid_smaps(5). valgrind, too, shares such a page with gdb, unless it is told `--vgdb=no`;
/// - an epoll(7), io_uring(7) or userfaultfd(2): the child has the same one, and may have it keep addresses, which the
///   parent takes for its own.
///
/// # Errors
///
/// Refused, as said, and where nobody knows; those of open(2).
pub fn must_be_forkable() -> Result<()> {
    let text = read("/proc/self/smaps");
    let text = text.map_err(|it| Error::new("open", "/proc/self/smaps", errno_of(&it)))?;
    let (semaphores, ours) = (semaphores(), ours());
    let known = |start| {
        let area = ours.range(..=start).next_back();
        semaphores.contains(&start) || area.is_some_and(|(_, until)| start < *until)
    };
    if let Some((line, why)) = unforkable(&String::from_utf8_lossy(&text), known) {
        let object = format!("the pages at {:x}", line.addresses.start);
        return Err(Error::refused("fork", object, Refusal::Other(why.into())));
    }
    match keeps_addresses().map_err(|it| Error::new("open", "/proc/self/fd", errno_of(&it)))? {
        None => Ok(()),
        Some(name) => {
            let refusal = Refusal::Other("a child would have the same one".into());
            Err(Error::refused("fork", name, refusal))
        }
    }
}

/// The first descriptor of this process by which the kernel is given addresses, and gives them back later.
fn keeps_addresses() -> io::Result<Option<String>> {
    let directory = "/proc/self/fd";
    open(directory, PROC_SUPER_MAGIC)?;
    for entry in fs::read_dir(directory)? {
        // That of the directory itself is not there any more.
        let Ok(name) = fs::read_link(entry?.path()) else { continue };
        let name = name.to_string_lossy();
        let kind = name.strip_prefix("anon_inode:").unwrap_or_default();
        if ["[eventpoll]", "[io_uring]", "[userfaultfd]"].contains(&kind) {
            return Ok(Some(name.into()));
        }
    }
    Ok(None)
}

/// The first mapping in `text`, of smaps, that a fork would not copy, and why. `known` says what is
/// `common`'s, by its first address.
fn unforkable(text: &str, known: impl Fn(usize) -> bool) -> Option<(MapsLine, &'static str)> {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        // Behind it come its figures, such as `Rss:`.
        let Some(line) = MapsLine::parse(line) else { continue };
        let mut flags = None;
        while let Some(figure) = lines.next_if(|it| MapsLine::parse(it).is_none()) {
            flags = figure.strip_prefix("VmFlags:").or(flags);
        }
        let Some(flags) = flags else {
            return Some((line, "this kernel does not say what a child would get"));
        };
        let has = |flag| flags.split(' ').any(|it| it == flag);
        // Where the kernel itself has put something, for who traces this process.
        if has("dc") && line.name != "[uprobes]" {
            return Some((line, "a child would not get them (MADV_DONTFORK)"));
        }
        // What may be dropped at any time ("dp") nobody could miss: the C library's random numbers lie there.
        if has("wf") && !has("dp") {
            return Some((line, "a child would find them empty (MADV_WIPEONFORK)"));
        }
        if line.rights.ends_with('s') && has("mw") && !known(line.addresses.start) {
            return Some((line, "a child would share them, and others than common mapped them"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{Mapping, Region};
    use crate::proc::page_size;
    use crate::{Counters, ReadWrite};
    use nix::sys::mman::{MapFlags, ProtFlags};

    #[test]
    fn what_a_fork_does_not_copy_is_found() {
        let known = |start| start == 0x2000;
        let why = |line: &str, flags: &str| {
            let text = format!(
                "1000-2000 rw-p 00000000 00:00 0\nVmFlags: rd wr\n{line}\nRss: 4 kB\nVmFlags: {flags}\n"
            );
            unforkable(&text, known).map(|(_, why)| why.rsplit(' ').next().unwrap_or_default())
        };
        let private = "5000-6000 rw-p 00000000 00:00 0";
        assert_eq!(why(private, "rd wr dc"), Some("(MADV_DONTFORK)"));
        assert_eq!(why(private, "rd wr wf"), Some("(MADV_WIPEONFORK)"));
        let uprobes = "5000-6000 --xp 00000000 00:00 0 [uprobes]";
        for (line, flags) in [(private, "rd wr"), (private, "rd wf dp"), (uprobes, "ex dc")] {
            assert_eq!(why(line, flags), None, "{line} {flags}");
        }
        assert!(unforkable("1000-2000 rw-p 00000000 00:00 0\nRss: 4 kB\n", known).is_some());
        let shared = |line: &str, flags: &str| why(line, flags).is_some();
        assert!(shared("3000-4000 rw-s 00000000 00:01 7 /dev/zero (deleted)", "rd wr sh mw"));
        assert!(shared("3000-4000 r--s 00000000 00:01 7 /memfd:ring (deleted)", "rd sh mr mw"));
        assert!(!shared("3000-4000 r--s 00000000 08:01 7 /usr/lib/gconv.cache", "rd mr"));
        assert!(shared("3000-4000 rw-s 00000000 00:01 7 /SYSV00000000 (deleted)", "rd wr sh mw"));
        // A huge page is more than what was asked for.
        assert!(!shared("2000-202000 rw-s 00000000 00:01 7 /anon_hugepage (deleted)", "sh mw"));
        assert!(shared("1000-2000 rw-s 00000000 00:01 7 /anon_hugepage (deleted)", "sh mw"));
    }

    #[test]
    #[cfg_attr(miri, ignore = "system calls")]
    fn what_is_mapped_here_is_known() {
        let counters = Mapping::<Counters<1>, ReadWrite>::anonymous().expect("pages");
        let start = counters.address().addr().get();
        assert!(ours().contains_key(&start));
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_ANONYMOUS;
        let mut region = Region::map(1, ProtFlags::PROT_READ, flags, None).expect("a page");
        let before = region.address().addr().get();
        region.resize(2 * page_size()).expect("room");
        let now = region.address().addr().get();
        assert_eq!(ours().get(&now), Some(&(now + 2 * page_size())));
        assert_ne!(ours().get(&before), Some(&(before + page_size())), "nothing of it is there");
    }
}
