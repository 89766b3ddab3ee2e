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
//! | [`Process::settles`] | whether it sleeps in a system call or has ended |
//! | [`child_stores`] | a forked child that does nothing but store |
//! | [`watchdog`] | an end with a sentence, for code that never comes to one |
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

mod fork;
mod memory;
mod process;
mod settle;
mod step;
mod watchdog;

pub use fork::child_stores;
pub use memory::{Directory, Lab, OwnKey, attach};
pub use process::{Ended, Process, argument, given, role, stop_here};
pub use settle::Now;
pub use step::one_step_at_a_time;
pub use watchdog::watchdog;
