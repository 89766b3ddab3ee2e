//! Two programs use ftok(3) of two different files, and get into each other's segment.
//! Build the key yourself, and you see why.
//!
//! Question: in a directory of how many files do two probably have the same key, if inode numbers
//! were random?
//!
//! Answer: in one of about 300. The key holds 16 bits of the inode number, so there are 65536 of them, and
//! two of N random ones are equal with probability 1/2 at N = 1.18 times the square root of 65536, which is
//! 302: the birthday paradox. Real inode numbers are given out one after the other, so it takes longer, and
//! then happens to everybody at once. A file that is deleted and made anew gets another key, too.

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The key that ftok(3) makes of a file's device and inode number, and of an id.
fn key(device: u64, inode: u64, id: u8) -> u32 {
    // 8 bits of the id, 8 of the device, 16 of the inode. The rest is lost, and with it what tells
    // two files apart.
    u32::from(id) << 24 | (device as u32 & 0xff) << 16 | inode as u32 & 0xffff
}

/// The inode number of another file on the same device that has the same key.
fn colliding(inode: u64) -> u64 {
    // Any bit above the lowest 16 will do.
    inode ^ 0x1_0000
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
