//! Which frame of physical memory a page of a process is: /proc/PID/pagemap, see proc_pid_pagemap(5).

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use common::error::errno_of;
use common::proc::page_size;
use nix::errno::Errno;

/// What the page table of a process says of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The page is in this frame.
    Number(u64),
    /// The process has not touched the page yet, so its page table has no entry.
    Untouched,
    /// The page is in the swap area.
    Swapped,
    /// There is a frame, and the kernel says 0 to who may not know it.
    Hidden,
    /// pagemap can't be read.
    Failed(Errno),
}

impl Frame {
    /// Looks up the page at `address` in the page table of the process `pid`.
    pub(crate) fn of(pid: i32, address: usize) -> Self {
        match entry(pid, address) {
            Err(error) => Self::Failed(errno_of(&error)),
            Ok(entry) if entry & 1 << 63 != 0 => match entry & ((1 << 55) - 1) {
                0 => Self::Hidden,
                number => Self::Number(number),
            },
            Ok(entry) if entry & 1 << 62 != 0 => Self::Swapped,
            Ok(_) => Self::Untouched,
        }
    }
}

/// pread(2) of the 64 bits about the page.
fn entry(pid: i32, address: usize) -> io::Result<u64> {
    let pagemap = File::open(format!("/proc/{pid}/pagemap"))?;
    let mut entry = [0; size_of::<u64>()];
    let offset = address / page_size() * size_of::<u64>();
    pagemap.read_exact_at(&mut entry, offset as u64)?;
    Ok(u64::from_ne_bytes(entry))
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "frame 0x{number:x}"),
            Self::Untouched => f.write_str("page not touched yet"),
            Self::Swapped => f.write_str("page in swap"),
            Self::Hidden => f.write_str("frame hidden"),
            Self::Failed(errno) => write!(f, "frame unknown: {errno:?}"),
        }
    }
}

/// What all frames together prove.
pub(crate) fn proof(frames: &[Frame]) -> String {
    let numbers: Vec<_> = frames
        .iter()
        .filter_map(|it| if let Frame::Number(it) = it { Some(*it) } else { None })
        .collect();
    match numbers[..] {
        [first, _, ..] if numbers.iter().all(|it| *it == first) => {
            format!("frame 0x{first:x} in {} page tables: it is one page of memory", numbers.len())
        }
        [_, _, ..] => "frames differ: the kernel has just moved the page, or one is a copy".into(),
        [first] => format!("frame 0x{first:x} in one page table"),
        [] if frames.contains(&Frame::Hidden) => {
            "frame hidden: needs CAP_SYS_ADMIN (root); it would help who attacks memory (Rowhammer)"
                .into()
        }
        [] if frames.iter().any(|it| matches!(it, Frame::Failed(_))) => {
            "frame unknown: /proc/PID/pagemap is closed to us".into()
        }
        [] => "no frame: no process here has touched the page yet".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_frames_prove_one_page() {
        let [one, other] = [Frame::Number(16), Frame::Number(17)];
        let says = |frames: &[Frame], part: &str| assert!(proof(frames).contains(part), "{part}");
        says(&[one, Frame::Untouched, one], "0x10 in 2 page tables: it is one page");
        says(&[one, other], "differ");
        says(&[Frame::Untouched, one], "in one page table");
        says(&[Frame::Hidden, Frame::Failed(Errno::EACCES)], "needs CAP_SYS_ADMIN");
        says(&[Frame::Untouched], "touched the page yet");
        says(&[], "no frame");
    }

    #[test]
    fn our_own_stack_is_touched() {
        let value = 7;
        let address = std::ptr::from_ref(&value).addr();
        let frame = Frame::of(std::process::id().cast_signed(), address);
        assert!(matches!(frame, Frame::Number(_) | Frame::Hidden), "{frame:?}");
        assert_eq!(Frame::of(0, address), Frame::Failed(Errno::ENOENT));
    }
}
