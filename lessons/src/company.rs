//! Who is at the other end of a ring: said when it changes.

use common::ring::{Peer, Side};
use terminal::{Terminal, say};

/// What was said last.
#[derive(Debug)]
pub struct Company {
    side: Side,
    said: Option<Peer>,
}

impl Company {
    /// `side` is the other one's.
    #[must_use]
    pub fn of(side: Side) -> Self {
        Self { side, said: None }
    }

    /// Says what has become of the other side, if it was something else before.
    pub fn tell(&mut self, terminal: &mut Terminal, now: Peer) {
        // Who has just come has not said its process id yet.
        let soon = Peer::Present { pid: 0 };
        if self.said != Some(now) && now != soon {
            match now {
                Peer::Absent => say!(terminal, "{} is not there: waiting for it", self.side),
                Peer::Present { pid } => say!(terminal, "{} is there, pid {pid}", self.side),
                Peer::Killed(killed) => say!(terminal, "{killed}; waiting for another one"),
            }
            self.said = Some(now);
        }
    }
}
