//! What every program needs and what teaches nothing about memory: the person at the terminal.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`args`] | arguments that several programs have |
//! | [`person`], `bytes` | data on stdout, narration on stderr, pauses that Ctrl-C ends |
//! | [`program`] | arguments in, exit status out |
//! | [`advice`] | what to do about an error, in one table |
//! | [`looks`] | how a reader looks at the record: each second, or at each change |
//! | [`watch`] | says it when somebody removes what a program uses |
//! | [`process`] | fork(2), and waiting for children |
//! | [`ended`] | a child that may end by a fault, and how it ended |
//!
//! | exit status | meaning |
//! | --- | --- |
//! | 0 | done, or the reader of our stdout has had enough |
//! | 1 | a call failed; the message says which, why, and what to do |
//! | 2 | the arguments make no sense |
//! | ended by a signal | SIGINT, SIGTERM or SIGHUP, after the usual clean-up; a shell shows 128 + its number |

pub mod advice;
pub mod args;
mod bytes;
pub mod ended;
pub mod looks;
pub mod person;
pub mod process;
pub mod program;
mod signals;
pub mod stop;
pub mod watch;

pub use looks::Looks;
pub use person::Terminal;
pub use program::{run, run_without_args};
pub use stop::Stop;
