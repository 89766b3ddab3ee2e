//! Whose a guard is: fork(2) copies it, and the copy must not unlock what the parent holds.
//!
//! A process id would do, but getpid(2) is a system call, dearer than a lock that nobody contends for.
//! So the forks are counted: a process and whoever copied its guards never have the same number.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between this process and the first one that asked.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// The process that took a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner(u32);

impl Owner {
    /// This process. From the first call on, forks are counted: pthread_atfork(3).
    ///
    /// # Panics
    ///
    /// If there is no memory for a few words.
    pub(super) fn current() -> Self {
        static COUNTING: Once = Once::new();
        COUNTING.call_once(|| {
            // SAFETY: the handler makes a single atomic addition, which a child may do after the fork
            // of a process with several threads too, and this code is never unloaded.
            let done = unsafe { libc::pthread_atfork(None, None, Some(count_fork)) };
            assert_eq!(done, 0, "pthread_atfork");
        });
        Self(FORKS.load(Ordering::Relaxed))
    }

    /// Whether it is this process, and not one that this one was forked from.
    pub(super) fn is_current(self) -> bool {
        self == Self::current()
    }
}
