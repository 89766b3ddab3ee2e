//! What both ends of a ring have in common: the file, the lock, and the sleep.

use std::ffi::c_void;
use std::hint::spin_loop;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::queue::{self, Queue};
use super::{Killed, Layout, Peer, Side, broken};
use crate::error::{Error, Refusal, Result};
use crate::mapping::{Mapping, RecordFile};
use crate::shared::ReadWrite;
use crate::sync::futex;

/// One end of a ring, which nobody else has. Dropping it unmaps the ring and closes the file; only
/// [`End::leave`] says good-bye.
#[derive(Debug)]
pub(super) struct End<const WORDS: usize> {
    // Unmapped before the lock goes with the file.
    shared: Mapping<Layout<WORDS>, ReadWrite>,
    file: RecordFile<ReadWrite>,
    side: Side,
    packed: bool,
    before: Option<Killed>,
    sleeps: u64,
}

impl<const WORDS: usize> End<WORDS> {
    /// `go_on` looks where the one before has stopped.
    pub(super) fn claim<At>(
        file: RecordFile<ReadWrite>,
        side: Side,
        go_on: impl FnOnce(&Queue<WORDS>, bool) -> std::result::Result<At, queue::Impossible>,
    ) -> Result<(Self, At)> {
        let shared: Mapping<Layout<WORDS>, ReadWrite> = file.map()?;
        let places = u32::try_from(WORDS).unwrap_or(u32::MAX);
        let packed = shared.header.check(places);
        let packed = packed.map_err(|it| Error::refused("mmap", file.name(), it))?;
        // Before the first store: so there is never a second one that stores.
        file.lock_byte(side.byte())?;
        let queue = &shared.queue;
        let before = match queue.pid(side).load(Relaxed) {
            0 => None,
            pid => Some(Killed { side, pid, unfinished: queue.unfinished(side, packed) }),
        };
        let at = go_on(queue, packed).map_err(|it| broken("mmap", &file, it))?;
        queue.is_awake(side);
        queue.pid(side).store(std::process::id(), Relaxed);
        Ok((Self { shared, file, side, packed, before, sleeps: 0 }, at))
    }

    pub(super) fn queue(&self) -> &Queue<WORDS> {
        &self.shared.queue
    }

    pub(super) fn broken(&self, call: &'static str, found: queue::Impossible) -> Error {
        broken(call, &self.file, found)
    }

    pub(super) fn refused(&self, call: &'static str, refusal: Refusal) -> Error {
        Error::refused(call, self.file.name(), refusal)
    }

    /// Wakes the other side, if it sleeps: futex(2) `FUTEX_WAKE`.
    pub(super) fn wake(&self) {
        if self.queue().must_wake(self.side.other()) {
            futex::wake(self.queue().index(self.side, self.packed), u32::MAX);
        }
    }

    /// Looks some times whether the word is still what was seen. Then it sleeps while it is, and while
    /// `flag` is 0: futex_waitv(2).
    pub(super) fn wait(
        &mut self,
        on: impl FnOnce(&Queue<WORDS>) -> (&AtomicU32, u32),
        flag: &AtomicU32,
        patience: Duration,
    ) {
        /// A sleep and a wake-up take longer than as many looks.
        const LOOKS: u32 = 500;

        let queue = &self.shared.queue;
        let (word, seen) = on(queue);
        for _ in 0..LOOKS {
            if word.load(Relaxed) != seen {
                return;
            }
            spin_loop();
        }
        self.sleeps += 1;
        queue.will_sleep(self.side);
        futex::wait_unless(word, seen, flag, patience);
        queue.is_awake(self.side);
    }

    pub(super) fn peer(&self) -> Result<Peer> {
        let (side, queue) = (self.side.other(), self.queue());
        let pid = queue.pid(side).load(Relaxed);
        if self.file.is_byte_locked(side.byte())? {
            return Ok(Peer::Present { pid });
        }
        // Who leaves stores 0 first and closes the file then.
        if pid == 0 || queue.pid(side).load(Relaxed) != pid {
            return Ok(Peer::Absent);
        }
        let unfinished = queue.unfinished(side, self.packed);
        Ok(Peer::Killed(Killed { side, pid, unfinished }))
    }

    pub(super) fn before(&self) -> Option<Killed> {
        self.before
    }

    pub(super) fn is_packed(&self) -> bool {
        self.packed
    }

    pub(super) fn sleeps(&self) -> u64 {
        self.sleeps
    }

    pub(super) fn address(&self) -> NonNull<c_void> {
        self.shared.address()
    }

    pub(super) fn explain_sigbus(&self, message: String) -> Result<()> {
        self.shared.explain_sigbus(message)
    }

    pub(super) fn leave(self) -> Result<()> {
        self.queue().pid(self.side).store(0, Relaxed);
        self.shared.unmap()
    }
}

/// What both ends offer in the same words.
macro_rules! common_methods {
    () => {
        /// What is known of the other side: fcntl(2) `F_OFD_GETLK`.
        ///
        /// # Errors
        ///
        /// Those of fcntl(2).
        pub fn peer(&self) -> Result<Peer> {
            self.end.peer()
        }

        /// Who had this end of the ring before, if it was killed.
        #[must_use]
        pub fn before(&self) -> Option<Killed> {
            self.end.before()
        }

        /// Whether both indices lie in one cache line.
        #[must_use]
        pub fn is_packed(&self) -> bool {
            self.end.is_packed()
        }

        /// How often this side has slept.
        #[must_use]
        pub fn sleeps(&self) -> u64 {
            self.end.sleeps()
        }

        /// Where in this process's address space the ring is mapped.
        #[must_use]
        pub fn address(&self) -> NonNull<c_void> {
            self.end.address()
        }

        /// As [`Mapping::explain_sigbus`](crate::mapping::Mapping::explain_sigbus).
        ///
        /// # Errors
        ///
        /// Those of sigaction(2).
        pub fn explain_sigbus(&self, message: String) -> Result<()> {
            self.end.explain_sigbus(message)
        }

        /// Says that this side has ended in order; then munmap(2), and close(2), with which the lock goes.
        /// The stream is not at its end: another process may go on with it.
        ///
        /// # Errors
        ///
        /// Those of [`Mapping::unmap`](crate::mapping::Mapping::unmap).
        pub fn leave(self) -> Result<()> {
            self.end.leave()
        }
    };
}
pub(super) use common_methods;
