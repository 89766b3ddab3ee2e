//! ftok puts a file's device and inode numbers and a number of yours into 32 bits. So two files may collide.
//!
//! ```text
//! cargo run -p lessons --example ftok-collision
//! ```
//!
//! predict: ftok keeps 16 bits of the inode number. How many new files until one has the key of the first?

#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use common::Result;
use common::sysv::{Key, Segment};
use lessons::{On as _, answer};

/// Twice as many as there are numbers of 16 bits.
const ENOUGH: usize = 2 << 16;

fn main() -> Result<()> {
    // A tmpfs gives its inode numbers out one after the other, so a collision comes for certain.
    let name = |which| PathBuf::from(format!("/dev/shm/lesson-{}-{which}", std::process::id()));
    let (first, second) = (name("first"), name("second"));
    new_file(&first)?;
    let result = collide(&first, &second);
    let _ = (fs::remove_file(&first), fs::remove_file(&second));
    result
}

fn collide(first: &Path, second: &Path) -> Result<()> {
    // ftok: the number that you give, 8 bits of the device number, 16 bits of the inode number.
    let key = Key::ftok(first, 1)?;
    for files in 1..=ENOUGH {
        new_file(second)?;
        if Key::ftok(second, 1)? == key {
            let inode = |it: &Path| fs::metadata(it).on("stat", it.display()).map(|it| it.ino());
            let (one, other) = (inode(first)?, inode(second)?);
            eprintln!("file {files}: {key}, inodes {one} and {other}");
            println!("one key: true, one file: {}", one == other);
            // So unrelated programs find each other's segments: look at size and owner, and have a magic
            // number in your record. O_EXCL and IPC_EXCL say at least that somebody was here.
            let segment = Segment::create(key, 4, 0o600)?;
            println!("shmget with the other file: {}", answer(&Segment::create(key, 4, 0o600)));
            segment.remove()?;
            println!("with another number: one key: {}", Key::ftok(second, 2)? == key);
            return Ok(());
        }
        fs::remove_file(second).on("unlink", second.display())?;
    }
    eprintln!("skipped: {ENOUGH} files, and none had {key}: this /dev/shm numbers them otherwise");
    Ok(())
}

fn new_file(path: &Path) -> Result<()> {
    File::create_new(path).map(drop).on("open", path.display())
}
