//! Whose a guard is: fork(2) copies it, and the copy must not unlock what the parent holds.
//!
//! A process id would do, but getpid(2) is a system call, dearer than a lock that nobody contends for.
//! So the forks are counted: a process and whoever copied its guards never have the same number.

use std::cell::Cell;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, Refusal, Result, errno_of};
use crate::proc::pid_namespace;

/// How many forks lie between this process and the first one that asked.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// The PID namespace of a lock that knows its owner by the number of a thread: pid_namespaces(7).
#[derive(Debug)]
pub(super) struct Home {
    namespace: u64,
    /// The last process that was found to be in it. No process changes its own.
    inside: Cell<Option<Owner>>,
}

impl Home {
    /// That of this process.
    ///
    /// # Errors
    ///
    /// Those of open(2) on /proc/self/ns/pid.
    pub(super) fn here() -> Result<Self> {
        Ok(Self { namespace: namespace()?, inside: Cell::new(Some(Owner::current())) })
    }

    /// # Errors
    ///
    /// Refused in another one; those of [`Home::here`].
    pub(super) fn must_be_here(&self) -> Result<()> {
        if self.inside.get().is_some_and(Owner::is_current) {
            return Ok(());
        }
        if namespace()? != self.namespace {
            let refusal = Refusal::Other("it is of another PID namespace".into());
            return Err(Error::refused(
                "pthread_mutex_lock",
                "the mutex in shared memory",
                refusal,
            ));
        }
        self.inside.set(Some(Owner::current()));
        Ok(())
    }
}

fn namespace() -> Result<u64> {
    pid_namespace().map_err(|it| Error::new("open", "/proc/self/ns/pid", errno_of(&it)))
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
