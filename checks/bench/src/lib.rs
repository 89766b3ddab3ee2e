//! How fast is it: what the bench and the micro-benchmarks share.

pub mod beside;
pub mod handover;
pub mod jobs;
pub mod page;
pub mod plots;
pub mod processes;
pub mod raw;
pub mod results;
pub mod single;
pub mod way;
pub mod ways;
