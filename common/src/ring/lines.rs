//! What the two ends of a ring tell each other, in cache lines of their own: a line that one processor stores
//! must be fetched again by the other, whatever word of it was stored.

use super::atomic::AtomicU32;

/// Stored by the sender alone, unless the ring is packed.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct SenderLine {
    /// How many words were ever put in.
    pub(super) put: AtomicU32,
    /// The receiver's `taken`, if the ring is packed: in the wrong cache line, to show what that costs.
    pub(super) packed_taken: AtomicU32,
    /// What `put` will be after the message that is being put in; `put`, if there is none.
    pub(super) begun: AtomicU32,
    /// The bytes of the message that was begun last.
    pub(super) begun_bytes: AtomicU32,
    /// The sender's process id, for people to read; 0 if it has left.
    pub(super) pid: AtomicU32,
    unused: [AtomicU32; 11],
}

/// Stored by the receiver alone.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct ReceiverLine {
    /// How many words were ever taken out.
    pub(super) taken: AtomicU32,
    /// What `taken` will be after the messages that were received and not released yet.
    pub(super) received: AtomicU32,
    /// The receiver's process id, for people to read; 0 if it has left.
    pub(super) pid: AtomicU32,
    unused: [AtomicU32; 13],
}

/// A line of their own, because it is loaded for each message and seldom stored.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct SleepersLine {
    /// Not 0 while the sender sleeps, or is about to.
    pub(super) sender: AtomicU32,
    /// Not 0 while the receiver sleeps, or is about to.
    pub(super) receiver: AtomicU32,
    unused: [AtomicU32; 14],
}

/// The two ends of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who puts messages in.
    Sender,
    /// Who takes messages out.
    Receiver,
}
