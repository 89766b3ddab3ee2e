//! How fast is it: what the bench and the micro-benchmarks share.

pub mod handover;
pub mod processes;
pub mod raw;
pub mod results;
pub mod way;
pub mod ways;
