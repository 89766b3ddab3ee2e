//! A program looks at one record in a large file. It works for the first record, and for a few others;
//! for all the rest mmap(2) says EINVAL.
//!
//! Question: on Windows a view must begin at a multiple of 65536, although pages have 4096 bytes. What
//! does a program lose that takes 65536 everywhere?

#![forbid(unsafe_code)]

use std::fs::File;

use common::Result;
use common::mapping::Region;
use common::proc::page_size;
use nix::sys::mman::{MapFlags, ProtFlags};

/// Some bytes of a file, from any offset on.
struct Window {
    pages: Region,
    /// How many bytes of the pages come before the window.
    ahead: usize,
    length: usize,
}

impl Window {
    /// Maps `length` bytes from `offset` on, where a mapping must begin at a multiple of `granularity`.
    fn map(file: &File, offset: usize, length: usize, granularity: usize) -> Result<Self> {
        // TODO: where does the mapping begin, how many bytes of it come before the window, and how long
        // is it then?
        let _ = granularity;
        let (start, ahead) = (offset, 0);
        let start = i64::try_from(start).expect("no file is larger");
        let pages =
            Region::map(length, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, Some((file, start)))?;
        Ok(Self { pages, ahead, length })
    }

    /// The bytes of the window: a copy, for the file may change.
    fn bytes(&self) -> Vec<u8> {
        let byte = |at: usize| self.pages.load(at / 4 * 4).to_ne_bytes()[at % 4];
        (self.ahead..self.ahead + self.length).map(byte).collect()
    }
}

fn main() {
    let file = File::open("/proc/self/exe").expect("this program");
    let magic = Window::map(&file, 0, 4, page_size()).expect("the first page").bytes();
    println!("A mapping begins at a multiple of {}. This program: {magic:x?}", page_size());
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::os::unix::fs::FileExt as _;

    /// Where in the file the kernel says that the pages begin: /proc/self/maps.
    fn start_of(window: &Window) -> usize {
        let address = window.pages.address().addr().get();
        let maps = common::proc::maps("self").expect("/proc/self/maps");
        let line = maps.into_iter().find(|it| it.addresses.start == address).expect("it is mapped");
        usize::try_from(line.offset).expect("a small file")
    }

    #[test]
    fn a_window_may_begin_anywhere() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let file = File::from(memfd_create(c"records", MFdFlags::MFD_CLOEXEC).expect("a memfd"));
        let contents: Vec<u8> = (0..400_000_u32).map(|it| (it % 251) as u8).collect();
        file.write_all_at(&contents, 0).expect("written");

        for granularity in [page_size(), 65536] {
            for offset in [0, 1, 4095, 4096, 4097, 65535, 65536, 70_000, 131_077, 262_143] {
                for length in [1, 3, 4096, 9000, 66_000] {
                    let what = format!("{length} bytes at {offset}, granularity {granularity}");
                    let window = Window::map(&file, offset, length, granularity)
                        .unwrap_or_else(|error| panic!("{what}: {error}"));
                    let start = start_of(&window);
                    assert!(
                        start.is_multiple_of(granularity),
                        "{what}: the kernel says that the mapping begins at {start}"
                    );
                    let ahead = window.ahead;
                    assert!(
                        ahead < granularity,
                        "{what}: {ahead} bytes more than needed are mapped before it"
                    );
                    let needed = ahead + length;
                    let has = window.pages.size();
                    assert!(needed <= has, "{what}: {needed} bytes are needed, {has} are mapped");
                    assert!(
                        window.bytes() == contents[offset..offset + length],
                        "{what}: pread(2) finds other bytes there"
                    );
                }
            }
        }
    }
}
