//! What is left after kill -9 of everybody, and who can clean it up.
//!
//! ```text
//! cargo run -p lessons --example stale
//! ```
//!
//! predict: a killed process had a segment, a file, a memfd and a robust mutex. What of it is still there?

#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use common::sync::mutex::{Lock, Mutex};
use common::sysv::{Key, Segment};
use common::{ReadOnly, ReadWrite, Result, SharedU32};
use lessons::{On as _, descriptors, held_by_child};
use nix::sys::memfd::{MFdFlags, memfd_create};

fn main() -> Result<()> {
    let (id, mutex) = (std::process::id(), Mutex::anonymous()?);
    let path = std::env::temp_dir().join(format!("lesson-{id}"));
    let key = Key::Number(0x5a00_0000 | id.cast_signed());
    let child = held_by_child(|| make(key, &path, &mutex))?;
    let pid = child.pid();
    println!("before: {} memfd", descriptors(pid, "/memfd:lesson"));

    // Dropping the guard of a child is kill(2) with SIGKILL, and waitpid(2).
    drop(child);
    let looked = look(key, &path, &mutex);
    println!("after kill -9: {} memfd", descriptors(pid, "/memfd:lesson"));

    // Names outlive processes. An administrator removes them, or the next start of the program, once it
    // knows that nobody uses them any more: nattch is 0, see also dead-owner.
    Segment::find(key)?.remove()?;
    fs::remove_file(&path).on("unlink", path.display())?;
    looked
}

/// What a program may have when it is killed.
fn make(key: Key, path: &Path, mutex: &Mutex<SharedU32>) -> Result<impl Sized> {
    let segment = Segment::create(key, size_of::<SharedU32>(), 0o600)?;
    let attached = segment.attach::<SharedU32, ReadWrite>()?;
    attached.writer().store(42, Relaxed);
    let mut file = File::create_new(path).on("open", path.display())?;
    file.write_all(b"half a rec").on("write", path.display())?;
    let memfd = memfd_create("lesson", MFdFlags::MFD_CLOEXEC).on("memfd_create", "lesson")?;
    Ok((attached, file, memfd, mutex.lock()?))
}

fn look(key: Key, path: &Path, mutex: &Mutex<SharedU32>) -> Result<()> {
    let segment = Segment::find(key)?;
    let word = segment.attach::<SharedU32, ReadOnly>()?.load(Relaxed);
    println!("segment: {word}, nattch {}", segment.status()?.attached);
    println!("file: {:?}", fs::read_to_string(path).on("read", path.display())?);
    println!("robust mutex, EOWNERDEAD: {}", matches!(mutex.lock()?, Lock::OwnerDied(_)));
    Ok(())
}
