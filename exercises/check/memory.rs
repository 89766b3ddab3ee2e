//! Memory, directories and keys of a test's own, none of which is left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use common::sysv::{Attachment, Key, Segment};
use common::{ReadWrite, SharedMemory, Writer};

use crate::process::{Process, argument};
use crate::watchdog;

/// A new segment that goes with the last process that has it attached, even if all are killed.
///
/// It is marked for destruction as soon as it is attached. On Linux others can attach it by its id all
/// the same.
#[derive(Debug)]
pub struct Lab<T: SharedMemory> {
    /// The memory, attached in this process.
    pub shared: Attachment<T, ReadWrite>,
    id: i32,
}

impl<T: SharedMemory> Default for Lab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: SharedMemory> Lab<T> {
    /// Makes the segment: all its bytes are zero.
    ///
    /// # Panics
    ///
    /// If the machine has no room for one more segment.
    #[must_use]
    pub fn new() -> Self {
        let segment = Segment::create(Key::Private, size_of::<T>(), 0o600).expect("a segment");
        let shared = segment.attach();
        segment.remove().expect("marked for destruction");
        Self { shared: shared.expect("attached"), id: segment.id() }
    }

    /// The memory, which stays attached as long as this process lives.
    #[must_use]
    pub fn for_ever(self) -> Writer<'static, T> {
        Box::leak(Box::new(self)).shared.writer()
    }

    /// Its shmid, for a program that is none of ours.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Starts a process that plays `role`, with this memory to [`attach`].
    pub fn start(&self, role: &str) -> Process {
        Process::start(role, &[("LAB_SEGMENT", &self.id.to_string())])
    }

    /// The same, and passes `value` to it, which it finds with [`argument`](crate::argument).
    pub fn start_with_argument(&self, role: &str, name: &str, value: &str) -> Process {
        Process::start(role, &[("LAB_SEGMENT", &self.id.to_string()), (name, value)])
    }
}

/// In a process that plays a part: the memory of the [`Lab`] that has started it.
///
/// # Panics
///
/// If no lab has started it, or `T` is not what it was started with.
#[must_use]
pub fn attach<T: SharedMemory>() -> Attachment<T, ReadWrite> {
    let id = argument("LAB_SEGMENT").parse().expect("an id");
    Segment::from_id(id).and_then(|it| it.attach()).expect("the lab's segment")
}

fn number() -> u32 {
    static NUMBERS: AtomicU32 = AtomicU32::new(0);
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// A new directory that is removed, with what is in it, when this is dropped.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory {
    /// Makes the directory, where temporary files belong.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[must_use]
    pub fn new() -> Self {
        let name = format!("lab.{}.{}", process::id(), number());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap_or_else(|error| panic!("mkdir, {}: {error}", path.display()));
        let clean = path.clone();
        watchdog::at_the_bite(move || drop(fs::remove_dir_all(&clean)));
        Self(path)
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Its own path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A System V key that nobody else uses. Dropping it removes the segment that has it.
#[derive(Debug)]
pub struct OwnKey(Key);

impl Default for OwnKey {
    fn default() -> Self {
        Self::new()
    }
}

impl OwnKey {
    /// Finds a key that has no segment.
    #[must_use]
    pub fn new() -> Self {
        loop {
            // The process's id and a number of its own: no two tests try the same one.
            let key = process::id() << 8 | number() & 0xff;
            let key = Key::Number(key.cast_signed());
            if Segment::find(key).is_err() {
                watchdog::at_the_bite(move || remove(key));
                return Self(key);
            }
        }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        self.0
    }

    /// Removes the segment, if there is one: IPC_RMID.
    pub fn remove_segment(&self) {
        remove(self.0);
    }
}

/// Only what this process has made: the key may be somebody else's by now.
fn remove(key: Key) {
    let Ok(segment) = Segment::find(key) else { return };
    if segment.status().is_ok_and(|it| it.creator.cast_unsigned() == process::id()) {
        let _ = segment.remove();
    }
}

impl Drop for OwnKey {
    fn drop(&mut self) {
        self.remove_segment();
    }
}
