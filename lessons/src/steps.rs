//! A child that goes on one step at a time. Between two steps it is stopped: no sleep, no luck.

use common::Result;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, waitpid};
use terminal::process::{Child, start_child};
use terminal::{Stop, Terminal};

use crate::On as _;

/// The child, stopped. Dropping it kills it.
#[derive(Debug)]
pub struct Steps(Child);

impl Steps {
    /// Forks a child that calls `step` with 1, 2, 3, .. and stops itself before each: raise(3) of SIGSTOP.
    ///
    /// # Errors
    ///
    /// Those of fork(2) and waitpid(2).
    pub fn of(
        terminal: &mut Terminal,
        mut step: impl FnMut(u32),
    ) -> std::result::Result<Self, Stop> {
        let child = start_child(terminal, |_| {
            // Nobody would let a stopped child go on if its parent were killed.
            set_pdeathsig(Signal::SIGKILL).on("prctl", "PR_SET_PDEATHSIG")?;
            for number in 1.. {
                raise(Signal::SIGSTOP).on("raise", "SIGSTOP")?;
                step(number);
            }
            Ok(())
        })?;
        let new = Self(child);
        new.until_stopped()?;
        Ok(new)
    }

    /// Lets it go on for one step: kill(2) with SIGCONT, and waitpid(2) with `WUNTRACED`.
    ///
    /// # Errors
    ///
    /// Those of kill(2) and waitpid(2).
    pub fn one(&self) -> Result<()> {
        kill(self.0.pid(), Signal::SIGCONT).on("kill", "the child")?;
        self.until_stopped()
    }

    fn until_stopped(&self) -> Result<()> {
        waitpid(self.0.pid(), Some(WaitPidFlag::WUNTRACED)).on("waitpid", "the child").map(drop)
    }
}
