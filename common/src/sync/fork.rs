//! Whose a lock is: a fork copies the guard, but not the lock.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between this process and the first one that took a lock.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// The process that took a lock.
///
/// Not its process id: that would be a system call for each look, and may come round again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    forks: u32,
}

impl Owner {
    /// This process. Has the C library count the forks from here on: pthread_atfork(3).
    pub(super) fn here() -> Self {
        static COUNTING: Once = Once::new();
        COUNTING.call_once(|| {
            // SAFETY: the handler runs in the child, before fork(2) returns there, and makes a single
            // atomic addition.
            let done = unsafe { libc::pthread_atfork(None, None, Some(count_fork)) };
            assert_eq!(done, 0, "pthread_atfork: no memory");
        });
        Self { forks: FORKS.load(Ordering::Relaxed) }
    }

    /// Whether this is still the same process, and no fork of it.
    pub(super) fn is_here(self) -> bool {
        self.forks == FORKS.load(Ordering::Relaxed)
    }
}
