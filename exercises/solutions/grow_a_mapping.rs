//! A buffer that two processes share becomes too small. One of them makes its mapping longer, which
//! mremap(2) says went well. Its first store to the new page is a SIGBUS.
//!
//! Question: who has pointers into the old pages, and what becomes of those?
//!
//! Answer: whoever took the address of something in the buffer before it grew: mremap(2) may move the
//! mapping, and then they point to nothing, or to what is mapped there next. Store and pass on offsets from
//! the start; those stay right, in every process. `Region` hands out no references for that reason.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io;

use common::Result;
use common::mapping::Region;
use common::proc::page_size;
use nix::sys::mman::{MapFlags, ProtFlags};

/// Memory that others have too, and that any of them may make longer.
struct Buffer {
    /// A memfd of whole pages: the object. It never becomes shorter.
    memory: File,
    /// This process's view of it, maybe of its first pages only.
    pages: Region,
}

impl Buffer {
    /// Maps the first page.
    fn open(memory: File) -> Result<Self> {
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let pages = Region::map(page_size(), rights, MapFlags::MAP_SHARED, Some((&memory, 0)))?;
        Ok(Self { memory, pages })
    }

    /// Sees to it that this process has at least `pages` pages. Others may have more already.
    fn grow(&mut self, pages: usize) -> io::Result<()> {
        let length = pages * page_size();
        // The object first. posix_fallocate(3) makes it longer where it is shorter, and never truncates what others
        // have added, as ftruncate(2) would. To look at the size before is not enough: they may add in between.
        let end = i64::try_from(length).map_err(io::Error::other)?;
        nix::fcntl::posix_fallocate(&self.memory, 0, end)?;
        self.pages.resize(length.max(self.pages.size())).map_err(io::Error::other)
    }

    /// Maps all that others have added meanwhile.
    fn follow(&mut self) -> io::Result<()> {
        let length = self.memory.metadata()?.len();
        self.pages
            .resize(usize::try_from(length).map_err(io::Error::other)?)
            .map_err(io::Error::other)
    }
}

fn new_memory() -> File {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let memory = File::from(memfd_create(c"buffer", MFdFlags::MFD_CLOEXEC).expect("a memfd"));
    memory.set_len(page_size() as u64).expect("one page");
    memory
}

fn main() {
    let mut buffer = Buffer::open(new_memory()).expect("mapped");
    buffer.grow(2).expect("grown");
    buffer.follow().expect("followed");
    let object = buffer.memory.metadata().expect("fstat").len();
    println!("The mapping has {} bytes, the object has {object}.", buffer.pages.size());
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Process, Reached};

    #[test]
    fn role() {
        if lab::role() == "other" {
            let mut buffer = Buffer::open(lab::given().into()).expect("mapped");
            let pages = lab::argument("PAGES").parse().expect("a number");
            buffer.grow(pages).expect("grown");
            assert_eq!(buffer.pages.load(0), 7, "the first page is as it was");
            buffer.pages.store(pages * page_size() - 4, 8);
        }
        if lab::role() == "other in steps" {
            let mut buffer = Buffer::open(lab::given().into()).expect("mapped");
            lab::one_step_at_a_time(|| buffer.grow(2).expect("grown"));
        }
    }

    /// Has another process grow the buffer, and store 8 at the end of the last page.
    fn other_grows(buffer: &Buffer, pages: usize) {
        let memory = buffer.memory.try_clone().expect("a descriptor").into();
        let mut other = Process::start_with("other", &[("PAGES", &pages.to_string())], memory);
        let ended = other.end();
        assert!(ended == Ended::Exited(0), "another process grows to {pages} pages: {ended}");
    }

    fn buffer() -> Buffer {
        let buffer = Buffer::open(new_memory()).expect("mapped");
        buffer.pages.store(0, 7);
        buffer
    }

    #[test]
    fn what_another_process_has_added_is_here_too() {
        let _dog = lab::watchdog(60, "the other process does not end");
        let mut buffer = buffer();
        for pages in [2, 5] {
            other_grows(&buffer, pages);
            buffer.follow().expect("followed");
            let (has, needs) = (buffer.pages.size(), pages * page_size());
            assert!(has == needs, "{needs} bytes are there by now, and {has} are mapped here");
            let found = [0, needs - 4].map(|offset| buffer.pages.load(offset));
            assert!(found == [7, 8], "7 was there, another process has stored 8, found: {found:?}");
        }
    }

    #[test]
    fn nobody_takes_pages_away_from_others() {
        let _dog = lab::watchdog(60, "the other process does not end");
        let mut buffer = buffer();
        other_grows(&buffer, 4);
        buffer.grow(2).expect("grown");
        let length = buffer.memory.metadata().expect("fstat").len();
        let pages = length / page_size() as u64;
        assert!(pages == 4, "others have 4 pages, and growing to 2 leaves them {pages}");
        assert!(buffer.pages.size() >= 2 * page_size(), "grown to {} bytes", buffer.pages.size());
        other_grows(&buffer, 3);
    }

    #[test]
    fn nobody_takes_pages_away_from_this_process() {
        let _dog = lab::watchdog(60, "the other process does not end");
        let mut buffer = buffer();
        buffer.grow(4).expect("grown");
        buffer.grow(2).expect("grown");
        let pages = buffer.pages.size() / page_size();
        assert!(pages == 4, "4 pages are mapped here, and growing to at least 2 leaves {pages}");
    }

    /// This process grows the buffer to 4 pages at the beginning of the first system call in the other one's `grow`;
    /// and again, at its end; and so on. Nobody sees more of `grow` than its system calls.
    #[test]
    fn two_grow_at_once() {
        let _dog = lab::watchdog(120, "the other process does not end");
        for half in 1.. {
            let buffer = buffer();
            let memory = buffer.memory.try_clone().expect("a descriptor").into();
            let mut other = Process::start_with("other in steps", &[], memory);
            let reached = other.system_calls(half).expect("it is on its way");
            if reached == Reached::End {
                break;
            }
            buffer.memory.set_len(4 * page_size() as u64).expect("longer");
            other.run_on(libc::SYS_pause).expect("it goes on");
            let pages = buffer.memory.metadata().expect("fstat").len() / page_size() as u64;
            assert!(
                pages == 4,
                "others added pages in the middle of `grow`, at its system call {}: there were 4, and it leaves {pages}",
                half.div_ceil(2)
            );
        }
    }
}
