//! System V shared memory: `shmget`, `shmat`, `shmdt` and `shmctl`.
//!
//! A *segment* lives in the kernel until somebody removes it, whether or not a process uses it. A
//! *key* names it for unrelated programs; its *shmid* names it for the calls. A process *attaches*
//! it to its own address space and *detaches* it again; the kernel counts the attachments.
//!
//! See sysvipc(7) for all of it, and `ipcs -m` or `/proc/sysvipc/shm` for what is there now.

mod attachment;
mod chosen_address;
mod key;
mod limits;
mod over_region;
mod queue;
mod segment;
mod settings;
mod status;
mod vfork;

pub use attachment::Attachment;
pub use key::Key;
pub use limits::{Limits, Totals};
pub use queue::MessageQueue;
pub use segment::Segment;
pub use status::Status;

#[cfg(test)]
mod tests {
    use std::ops::Deref;

    use super::{Key, Segment};

    /// A private segment that is removed when the test ends, however it ends.
    pub(super) struct Private(Segment);

    impl Private {
        pub(in crate::sysv) fn new(size: usize) -> Self {
            Self(Segment::create(Key::Private, size, 0o600).expect("a private segment"))
        }
    }

    impl Deref for Private {
        type Target = Segment;
        fn deref(&self) -> &Segment {
            &self.0
        }
    }

    impl Drop for Private {
        fn drop(&mut self) {
            let _ = self.0.remove();
        }
    }
}
