//! A stream of messages from one process to another, through a ring in a mapped file.
//!
//! | | |
//! | --- | --- |
//! | guarantees | messages arrive whole, once and in order |
//! | progress | wait-free while there is room, or something to receive; otherwise asleep in futex(2) |
//! | needs | one [`Sender`] and one [`Receiver`]: a second one of either is refused. Both map the file for writing |
//! | the sender dies | the message that it was putting in was never visible, and is dropped; who comes next is told, and goes on behind the last whole one |
//! | the receiver dies | the messages that it had received and not released are there for the next one, which is told that they come a second time |
//! | the peer is hostile | wrong messages, or an error: never an access outside the ring. It can truncate the file, which is a SIGBUS |
//!
//! # The file
//!
//! All of it is 32-bit words. The numbers are bytes from its start.
//!
//! | from | what | stored by |
//! | --- | --- | --- |
//! | 0 | magic number, version, number of places, bytes from `put` to `taken` | who makes the file, before it has a name |
//! | 64 | `put`; then what is begun, and a process id | the sender |
//! | 128 | `taken`; then what is received, and a process id | the receiver |
//! | 192 | who sleeps | both, seldom |
//! | 256 | the places | the sender |
//!
//! 64 bytes are a cache line on most machines: so the two indices, which different processors store, are not
//! in one. In a *packed* ring they are, to show what that costs.
//!
//! # Who is there
//!
//! The sender holds a lock on byte 64 of the file, the receiver on byte 128: fcntl(2) `F_OFD_SETLK`. So a
//! second sender is refused; and whoever waits asks the kernel whether the other one is still there. The
//! kernel frees the lock with the process, however that ends. A process id with its start time, the usual way,
//! is a guess: it is given out again, means another process in another container, and stays while a zombie
//! does. Here a process id stands in the file for people to read, and is 0 if its process has left in order.
//! A child of fork(2) has the same lock, and keeps it after its parent's death.

mod end;
mod lines;
mod queue;
mod receiver;
mod sender;

use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

pub use lines::Side;
pub use queue::Received;
pub use receiver::Receiver;
pub use sender::Sender;

use crate::error::{Error, Refusal, Result};
use crate::mapping::RecordFile;
use crate::shared::{ReadWrite, SharedMemory};
use crate::words::SharedU32;
use queue::Queue;

/// What `queue` and `lines` are made of. The package `model` puts loom's in its place.
mod atomic {
    pub(super) use std::sync::atomic::{AtomicU32, Ordering, fence};
    pub(super) type Place = AtomicU32;
}

/// The usual number of places: 64 KiB, the size of a pipe.
pub const WORDS: usize = 16_384;

/// `RING`, as a number: so a file of the other byte order is none.
const MAGIC: u32 = 0x5249_4e47;

const VERSION: u32 = 1;

/// Bytes from `put` to `taken`: in cache lines of their own, or in one.
const APART: u32 = 64;
const PACKED: u32 = 4;

crate::shared_record! {
    /// Stored before the file has a name, and never again: so it needs no order, which is all that
    /// [`crate::header`] is about.
    struct Header {
        magic: SharedU32,
        version: SharedU32,
        places: SharedU32,
        apart: SharedU32,
        unused: [SharedU32; 12],
    }
}

/// All of the file.
#[derive(Debug)]
#[repr(C)]
struct Layout<const WORDS: usize> {
    header: Header,
    queue: Queue<WORDS>,
}

// SAFETY: `#[repr(C)]` 32-bit atomics only, so no padding and no pointers, and every bit pattern is valid.
// The queue's methods that store can be called in this module only, which has it from writable pages.
unsafe impl<const WORDS: usize> SharedMemory for Layout<WORDS> {}

const _: () = {
    assert!(std::mem::offset_of!(Layout<4>, queue) == 64);
    assert!(size_of::<Layout<4>>() == 256 + 4 * 4);
};

/// Opens the ring at `path`, or makes one, with the permission bits `mode`: open(2), linkat(2). The new file
/// appears with its header in it. `packed` is for a new one.
///
/// # Errors
///
/// Those of [`RecordFile::open_or_create`].
pub fn open_or_create<const WORDS: usize>(
    path: &Path,
    mode: u32,
    packed: bool,
) -> Result<RecordFile<ReadWrite>> {
    let places = u32::try_from(WORDS).unwrap_or(u32::MAX);
    let header = [MAGIC, VERSION, places, if packed { PACKED } else { APART }];
    let mut bytes = header.map(u32::to_ne_bytes).concat();
    bytes.resize(size_of::<Layout<WORDS>>(), 0);
    RecordFile::open_or_create(path, mode, &bytes)
}

impl Header {
    /// Whether it is the header of a packed ring, if it is one of `places` places.
    fn check(&self, places: u32) -> std::result::Result<bool, Refusal> {
        let fields = [
            ("magic number", &self.magic, MAGIC),
            ("version", &self.version, VERSION),
            ("number of places", &self.places, places),
        ];
        for (field, word, wanted) in fields {
            let found = word.load(Relaxed);
            if found != wanted {
                return Err(Refusal::Header { field, found, wanted });
            }
        }
        match self.apart.load(Relaxed) {
            PACKED => Ok(true),
            APART => Ok(false),
            found => {
                let field = "distance of the indices";
                Err(Refusal::Header { field, found, wanted: APART })
            }
        }
    }
}

/// What a side knows of the other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// There is none: none has come yet, or the last one has left.
    Absent,
    /// There is one. The process id is what it says itself.
    Present {
        /// The process id.
        pid: u32,
    },
    /// The last one has ended without leaving.
    Killed(Killed),
}

/// Who has ended without leaving, as by kill -9, and in the middle of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Killed {
    /// Which side it was.
    pub side: Side,
    /// The process id that it had, as it said itself.
    pub pid: u32,
    /// Bytes of the message that a sender had begun; bytes that a receiver had received and not released,
    /// in whole words and with the lengths of the messages.
    pub unfinished: u32,
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { side, pid, unfinished } = self;
        write!(f, "{side}, pid {pid}, was killed")?;
        match (side, unfinished) {
            (Side::Sender, 0) => write!(f, "; no message was half sent"),
            (Side::Sender, bytes) => write!(f, "; half a message of {bytes} bytes is dropped"),
            (Side::Receiver, 0) => write!(f, "; nothing comes twice"),
            (Side::Receiver, bytes) => write!(f, "; {bytes} bytes may come twice"),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sender => "the sender",
            Self::Receiver => "the receiver",
        })
    }
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }

    /// The byte of the file that it locks: the first of its cache line.
    fn byte(self) -> i64 {
        match self {
            Self::Sender => 64,
            Self::Receiver => 128,
        }
    }
}

fn broken(call: &'static str, file: &RecordFile<ReadWrite>, found: queue::Impossible) -> Error {
    let queue::Impossible { field, found } = found;
    Error::refused(call, file.name(), Refusal::Broken { field, found })
}

#[cfg(test)]
mod tests;
