//! The memory: what both halves of a pair must agree on, and the guards around shared memory.
//!
//! Read it in this order:
//!
//! 1. [`conn_stat`]: the record, as a value and as shared memory.
//! 2. [`shared`]: what may live in shared memory, and who may write to it. It is made of [`words`]
//!    and of text ([`shared_text`]).
//! 3. [`sysv`]: System V segments (`shmget`, `shmat`, `shmdt`, `shmctl`).
//! 4. [`mapping`]: mapped files and anonymous mappings (`open`, `mmap`, `munmap`).
//! 5. [`sync`]: locks, a seqlock, and waiting for a change.
//! 6. [`ring`]: a stream of messages through a mapped file.
//! 7. [`links`]: records that refer to each other by offsets. [`header`]: what everybody checks first.
//!    [`descriptor`]: memory without a name, handed to another process.
//! 8. [`proc`]: the kernel's own evidence. [`process`]: who a pid was, and how it ended. [`error`]:
//!    which call failed, on what, and why. [`printable`]: text that others have left, safe to print.
//!    [`clock`]: times as a person reads them.

pub mod clock;
pub mod conn_stat;
pub mod counters;
pub mod descriptor;
pub mod error;
pub mod header;
pub mod links;
pub mod mapping;
pub mod printable;
pub mod proc;
pub mod process;
pub mod ring;
pub mod shared;
pub mod shared_text;
pub mod sync;
pub mod sysv;
pub mod words;

/// What the record, the seqlock and the two slots are made of. The package `model` puts loom's in its
/// place, to check the order of stores and loads.
mod atomic {
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::atomic::{AtomicI32, AtomicU32, Ordering, fence};
}

pub use conn_stat::{ConnStat, SharedConnStat};
pub use counters::Counters;
pub use error::{Error, Refusal, Result};
pub use printable::Text;
pub use shared::{Anonymous, ReadOnly, ReadWrite, SharedMemory, Writer};
pub use shared_text::SharedText;
pub use words::{SharedI32, SharedU32};
