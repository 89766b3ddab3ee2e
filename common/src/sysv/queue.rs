//! System V message queues: msgget(2), msgsnd(2), msgrcv(2). Not shared memory, but its neighbour: what
//! is sent is copied into the kernel and out of it.

use std::ffi::{c_int, c_long};
use std::ptr;

use nix::errno::Errno;

use crate::error::{Error, Result};

/// A private message queue, for messages that are nothing but their type.
///
/// Like a segment it outlives its processes: dropping this does nothing, [`MessageQueue::remove`] removes
/// the queue.
#[derive(Debug)]
pub struct MessageQueue {
    id: c_int,
}

impl MessageQueue {
    /// Creates a queue that only this user may use: msgget(2) with `IPC_PRIVATE` and mode 0600.
    ///
    /// # Errors
    ///
    /// `ENOSPC` at the limit of queues (MSGMNI), `ENOMEM`.
    pub fn private() -> Result<Self> {
        // SAFETY: msgget takes two numbers and touches no memory of ours.
        let id = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
        let id = Errno::result(id).map_err(|it| Error::new("msgget", "a private queue", it))?;
        Ok(Self { id })
    }

    /// Sends a message of no bytes, of this type, and waits while the queue is full: msgsnd(2).
    ///
    /// # Errors
    ///
    /// `EINVAL` for a type of 0, or if there is no such queue; `EIDRM` if it has just been removed.
    pub fn send(&self, kind: u16) -> Result<()> {
        let kind = c_long::from(kind);
        loop {
            // SAFETY: the message is a type and no bytes, so the kernel reads one long.
            let sent = unsafe { libc::msgsnd(self.id, (&raw const kind).cast(), 0, 0) };
            match Errno::result(sent) {
                Err(Errno::EINTR) => {}
                sent => return sent.map(drop).map_err(|errno| self.failed("msgsnd", errno)),
            }
        }
    }

    /// Waits for a message of this type and takes it out; of type 0, for any: msgrcv(2).
    ///
    /// # Errors
    ///
    /// `E2BIG` for a message that has bytes, which somebody else has sent; `EINVAL` if there is no such
    /// queue; `EIDRM` if it has just been removed.
    pub fn receive(&self, kind: u16) -> Result<()> {
        let mut received: c_long = 0;
        let kind = c_long::from(kind);
        loop {
            let message = (&raw mut received).cast();
            // SAFETY: there is room for a type and for no bytes; the kernel writes no more.
            let got = unsafe { libc::msgrcv(self.id, message, 0, kind, 0) };
            match Errno::result(got) {
                Err(Errno::EINTR) => {}
                got => return got.map(drop).map_err(|errno| self.failed("msgrcv", errno)),
            }
        }
    }

    /// Removes the queue, and wakes all who wait for it with `EIDRM`: msgctl(2) `IPC_RMID`.
    ///
    /// # Errors
    ///
    /// `EPERM` if we neither own nor created it, `EINVAL` or `EIDRM` if it is gone.
    pub fn remove(&self) -> Result<()> {
        // SAFETY: IPC_RMID ignores its third argument.
        let removed = unsafe { libc::msgctl(self.id, libc::IPC_RMID, ptr::null_mut()) };
        Errno::result(removed).map(drop).map_err(|errno| self.failed("msgctl(IPC_RMID)", errno))
    }

    fn failed(&self, call: &'static str, errno: Errno) -> Error {
        Error::new(call, format_args!("queue {}", self.id), errno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_by_their_type() {
        let queue = MessageQueue::private().expect("a queue");
        let tried = || -> Result<()> {
            queue.send(1)?;
            queue.send(2)?;
            queue.receive(2)?;
            queue.receive(0)
        };
        let (tried, zero) = (tried(), queue.send(0));
        queue.remove().expect("removed");
        tried.expect("sent and received");
        assert_eq!(zero.expect_err("no type").errno(), Some(Errno::EINVAL));
        assert!(queue.receive(0).is_err());
        assert!(queue.remove().is_err());
    }
}
