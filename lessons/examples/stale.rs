//! What is left after kill -9 of everybody, and who can clean it up.
//!
//! ```text
//! cargo run -p lessons --example stale
//! ```
//!
//! predict: a segment, a file, a memfd, a named semaphore, a robust mutex. What outlives a killed process?

#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use common::sync::{mutex::Lock, mutex::Mutex, named_semaphore::NamedSemaphore};
use common::sysv::{Key, Segment};
use common::{ReadOnly, ReadWrite, Result, SharedU32};
use lessons::{On as _, descriptors, held_by_child};
use nix::sys::memfd::{MFdFlags, memfd_create};

fn main() -> Result<()> {
    let (id, mutex) = (std::process::id(), Mutex::anonymous()?);
    let (key, name) = (Key::Number(0x5a00_0000 | id.cast_signed()), format!("/lesson-{id}"));
    let path = &std::env::temp_dir().join(format!("lesson-{id}"));
    let child = held_by_child(|| make(key, path, &name, &mutex))?;
    let pid = child.pid();
    println!("before: {} memfd", descriptors(pid, "/memfd:lesson"));

    // Dropping the guard of a child is kill(2) with SIGKILL, and waitpid(2).
    drop(child);
    println!("after kill -9: {} memfd", descriptors(pid, "/memfd:lesson"));
    let looked = look(key, path, &name, &mutex);

    // Names outlive processes. Who removes them must know that nobody uses them any more: see dead-owner.
    let removed = Segment::find(key).and_then(|it| it.remove());
    let unlinked = [NamedSemaphore::unlink(&name), fs::remove_file(path).on("unlink", "the file")];
    unlinked.into_iter().collect::<Result<()>>().and(looked).and(removed).map(drop)
}

/// What a program may have when it is killed.
fn make(key: Key, path: &Path, name: &str, mutex: &Mutex<SharedU32>) -> Result<impl Sized> {
    let attached = Segment::create(key, 4, 0o600)?.attach::<SharedU32, ReadWrite>()?;
    attached.writer().store(42, Relaxed);
    let mut file = File::create_new(path).on("open", path.display())?;
    file.write_all(b"half a rec").on("write", path.display())?;
    let memfd = memfd_create("lesson", MFdFlags::MFD_CLOEXEC).on("memfd_create", "lesson")?;
    let semaphore = NamedSemaphore::create(name, 0o600, 1)?;
    Ok((semaphore.try_take()?, attached, file, memfd, semaphore, mutex.lock()?))
}

fn look(key: Key, path: &Path, name: &str, mutex: &Mutex<SharedU32>) -> Result<()> {
    println!("file: {:?}", fs::read_to_string(path).on("read", path.display())?);
    println!("named semaphore, made with 1: count {}", NamedSemaphore::open(name)?.count()?);
    println!("robust mutex, EOWNERDEAD: {}", matches!(mutex.lock()?, Lock::OwnerDied(_)));
    let segment = Segment::find(key)?;
    let word = segment.attach::<SharedU32, ReadOnly>()?.load(Relaxed);
    println!("segment: {word}, nattch {}", segment.status()?.attached);
    Ok(())
}
