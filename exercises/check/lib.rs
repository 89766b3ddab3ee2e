//! What the checks of the exercises are made of.
//!
//! No check judges by time. It waits for what the kernel reports, so a busy machine changes nothing:
//!
//! | | |
//! | --- | --- |
//! | [`Lab`] | shared memory that cannot be left behind, whoever is killed |
//! | [`Directory`], [`OwnKey`] | a directory and a System V key that no other test has |
//! | [`Process`] | this test program once more, playing a part: how it ended ([`Ended`]) |
//! | [`stop_here`] | a place at which the process stands still until the test lets it go on |
//! | [`Process::step_through`] | the student's code, one machine instruction at a time: ptrace(2) |
//! | [`Process::steps`] | the same up to a certain instruction, where another process then comes in between |
//! | [`Process::system_calls`] | the same up to the beginning or the end of a certain system call |
//! | [`Process::settles`] | whether it sleeps in a system call or has ended |
//! | [`child_stores`] | a forked child that does nothing but store |
//! | [`in_all_orders`] | the student's code in all orders that Rust's memory model allows: loom |
//! | [`SharedU32`], [`Store`], [`fence`], [`futex`] | a word of `common`'s that loom can take over |
//! | [`ipc_stat`], [`ipc_set`] | shmctl(2) |
//! | [`stray_store`] | a store that asks nobody for the right to it |
//! | [`pthread`] | a robust mutex, as bare as in C |
//! | [`send_descriptors`] | memory without a name, from process to process |
//! | [`watchdog`] | an end with a sentence, for code that never comes to one |
//! | [`at_the_bite`] | what is to be cleaned up then |
//!
//! A part is played by `tests::role`, which finds its name with [`role`]:
//!
//! ```ignore
//! #[test]
//! fn role() {
//!     if lab::role() == "writer" {
//!         let shared = lab::attach::<Board>();
//!         lab::one_step_at_a_time(|| publish(shared.writer()));
//!     }
//! }
//! ```
//!
//! rustlings has no time limit of its own, and waits until nobody holds the output open. So every check
//! that waits has a watchdog, and every process ends with the test that has started it.

#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

mod descriptors;
mod fork;
mod memory;
mod model;
mod process;
pub mod pthread;
mod settle;
mod step;
mod sysv;
mod watchdog;

pub use descriptors::{receive_descriptors, send_descriptors};
pub use fork::child_stores;
pub use memory::{Directory, Lab, OwnKey, attach};
#[doc(hidden)]
pub use model::{Model, Modelled};
pub use model::{SharedU32, Store, alone, fence, futex};
pub use process::{Ended, Process, argument, given, role, stop_here};
pub use settle::Now;
pub use step::{Reached, one_step_at_a_time};
pub use sysv::{Permissions, ipc_set, ipc_stat, stray_store};
pub use watchdog::{at_the_bite, watchdog};

#[cfg(test)]
mod tests;
