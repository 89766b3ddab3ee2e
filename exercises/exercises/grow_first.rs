//! A program makes a file, maps two pages of it, and stores. It dies of SIGBUS at the first store,
//! although mmap(2) has said that all is well.
//!
//! Question: why does mmap not fail instead?

#![forbid(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use common::mapping::Region;
use common::proc::page_size;
use nix::sys::mman::{MapFlags, ProtFlags};

/// Makes a new file of two pages, to be mapped.
fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    // TODO: `ls -l` says how long it is now. Who makes it longer? Not the mapping.
    Ok(file)
}

/// Maps the two pages.
fn map(file: &File) -> common::Result<Region> {
    let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    Region::map(2 * page_size(), rights, MapFlags::MAP_SHARED, Some((file, 0)))
}

fn main() {
    let path = std::env::temp_dir().join(format!("grow_first.{}", std::process::id()));
    let file = create(&path).expect("created");
    let pages = map(&file);
    std::fs::remove_file(&path).expect("removed");
    let length = file.metadata().expect("fstat").len();
    println!("The mapping has {} bytes, the file {length}.", pages.expect("mapped").size());
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Directory, Ended, Process};

    #[test]
    fn role() {
        if lab::role() == "writer" {
            let file = create(lab::argument("FILE").as_ref()).expect("created");
            let pages = map(&file).expect("mapped");
            pages.store(0, 7);
            pages.store(2 * page_size() - 4, 8);
        }
    }

    #[test]
    fn the_first_store_and_the_last_one_arrive_in_the_file() {
        let _dog = lab::watchdog(60, "the writer does not end");
        let directory = Directory::new();
        let path = directory.file("record");
        let path_text = path.display().to_string();

        let ended = Process::start("writer", &[("FILE", &path_text)]).end();

        assert!(ended == Ended::Exited(0), "the writer stores to both pages: {ended}");
        let bytes = std::fs::read(&path).expect("the file");
        let length = 2 * page_size();
        assert!(
            bytes.len() == length,
            "two pages are {length} bytes, the file has {}",
            bytes.len()
        );
        let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|it| bytes[at + it]));
        let words = [word(0), word(length - 4)];
        assert!(words == [7, 8], "the writer stored 7 and 8, and read(2) finds {words:?}");
    }
}
