//! A fork from a test, which is a process of several threads.

use std::sync::atomic::{AtomicU32, Ordering};

use common::mapping::Region;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};

/// Forks a child that stores `value` in each of the variables and in the first word of each of the
/// pages, and waits until it has ended.
///
/// # Panics
///
/// If fork(2) fails, or if a region has no pages any more.
pub fn child_stores(value: u32, variables: &[&AtomicU32], pages: &[&Region]) {
    // Here and not in the child, which must not panic.
    assert!(pages.iter().all(|it| it.size() > 0), "a region without pages");
    // SAFETY: libtest has several threads, so the child may only do what a signal handler may. It
    // stores to memory and calls _exit(2): no allocation, no lock. A store cannot panic: every region
    // has a first word, as the assertion says, and only `&mut` could change that.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            for variable in variables {
                variable.store(value, Ordering::Relaxed);
            }
            for page in pages {
                page.store(0, value);
            }
            // SAFETY: it does not return, and runs nothing that was the parent's to run.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            waitpid(child, None).expect("waitpid");
        }
    }
}
