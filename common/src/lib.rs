//! What both halves of a pair must agree on, and all the unsafe code of the workspace.
//!
//! Read it in this order:
//!
//! 1. [`conn_stat`]: the record, as a value and as shared memory; [`text`]: characters in it.
//! 2. [`shared`]: what may live in shared memory, and who may write to it.
//! 3. [`sysv`]: System V segments (`shmget`, `shmat`, `shmdt`, `shmctl`).
//! 4. [`mapping`]: mapped files and anonymous mappings (`open`, `mmap`, `munmap`).
//! 5. [`process`]: `fork`, and [`error`]: what a failed call tells the person at the terminal.
//! 6. [`sync`]: locks, a seqlock, and waiting for a change; [`follow`]: each change as it happens.
//! 7. [`cli`]: the plumbing that every program needs and that teaches nothing about memory.

pub mod cli;
pub mod conn_stat;
pub mod error;
pub mod follow;
pub mod mapping;
pub mod process;
pub mod shared;
mod sigbus;
pub mod sync;
pub mod sysv;
pub mod text;

pub use conn_stat::{ConnStat, SharedConnStat};
pub use error::{Error, Result};
pub use shared::{ReadOnly, ReadWrite, SharedMemory, Writer};
pub use text::{SharedText, Text};
