//! Two programs use ftok(3) of two different files, and get into each other's segment.
//! Build the key yourself, and you see why.
//!
//! Question: in a directory of how many files do two probably have the same key, if inode numbers
//! were random?

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The key that ftok(3) makes of a file's device and inode number, and of an id.
fn key(device: u64, inode: u64, id: u8) -> u32 {
    // TODO: the key has 32 bits. 8 are the id's, and where are the device's?
    let _ = device;
    u32::from(id) << 24 | inode as u32
}

/// The inode number of another file on the same device that has the same key.
fn colliding(inode: u64) -> u64 {
    // TODO: which bits of it does the key not hold?
    inode + 1
}

fn key_of(path: &Path, id: u8) -> u32 {
    let it = fs::metadata(path).expect("it is there");
    key(it.dev(), it.ino(), id)
}

fn main() {
    println!("The key of / and id 1: {:#010x}", key_of(Path::new("/"), 1));
    println!("Inodes 100 and {} have one key.", colliding(100));
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::sysv::Key;
    use lab::Directory;

    #[test]
    fn it_is_the_key_that_ftok_makes() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let directory = Directory::new();
        for number in 0..20 {
            let path = directory.file(&number.to_string());
            fs::write(&path, "").expect("a file");
            let it = fs::metadata(&path).expect("it is there");
            for id in [1, 2, 255] {
                let key = key_of(&path, id);
                let theirs = Key::ftok(&path, id).expect("it is there");
                let ours = Key::Number(key.cast_signed());
                let (device, inode) = (it.dev(), it.ino());
                assert!(
                    ours == theirs,
                    "device {device:#x}, inode {inode:#x}, id {id:#x}: \
                     ftok makes {theirs}, and we make {ours}"
                );
            }
        }
    }

    #[test]
    fn large_numbers_do_not_run_into_each_other() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        for (device, inode, id, expected) in [
            (0x0001_0803, 0x0001_2345, 1, 0x0103_2345),
            (0xff, 0xffff_ffff, 2, 0x02ff_ffff),
            (0x1_0000_0000, 0x7_0000_0001, 255, 0xff00_0001),
        ] {
            let key = key(device, inode, id);
            assert!(
                key == expected,
                "device {device:#x}, inode {inode:#x}, id {id:#x}: {expected:#010x}, \
                 and we make {key:#010x}"
            );
        }
    }

    #[test]
    fn another_inode_collides() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        for inode in [1, 100, 0xffff, 0x1_0000, 0xffff_ffff] {
            let other = colliding(inode);
            assert!(other != inode, "{inode} is the same file");
            let (ours, theirs) = (key(1, inode, 1), key(1, other, 1));
            assert!(ours == theirs, "inodes {inode} and {other}: keys {ours:#x} and {theirs:#x}");
        }
    }
}
