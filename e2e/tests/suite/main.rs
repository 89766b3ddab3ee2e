//! The real programs, run as real processes.
//!
//! One test binary for all of it, because cargo runs test binaries one after the other and the
//! tests of one binary side by side.

mod follow;
mod lifecycle;
mod race;
