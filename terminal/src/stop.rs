//! Why a program ends before it is done.

use common::Error;
use nix::sys::signal::Signal;

/// Why a program ends before it is done. The clean-up is the same for all.
#[derive(Debug)]
pub enum Stop {
    /// A call failed. What to do about it stands in [`crate::advice`], or here.
    Error(Error, Option<String>),
    /// SIGINT, SIGTERM or SIGHUP has arrived.
    Signal(Signal),
    /// Nobody reads our stdout any more, as after `| head -1`.
    ClosedPipe,
}

impl Stop {
    /// A call failed; `help` is one sentence, without a full stop, that tells a person what to do now.
    pub fn because(error: Error, help: impl Into<String>) -> Self {
        Self::Error(error, Some(help.into()))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error, None)
    }
}
