//! The real programs, run as real processes.
//!
//! One test binary for all of it, because cargo runs test binaries one after the other and the
//! tests of one binary side by side.

mod book;
mod bytes;
mod c_partner;
mod c_ring;
mod file_pair;
mod follow;
mod fork_demo;
mod how_fast;
mod injected;
mod lifecycle;
mod observe;
mod pages;
mod race;
mod sysv_pair;
mod topics;
mod transcripts;
mod wrong;
mod wrong_arguments;
mod wrong_death;
mod wrong_machine;
mod wrong_pairs;
mod wrong_partner;
mod wrong_signals;
mod wrong_valgrind;
