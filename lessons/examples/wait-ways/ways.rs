//! Eight ways to give the turn to the other process and to wait for it. Each `give` and each `take` is
//! one call; only spinning makes none.

use std::hint::spin_loop;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use common::mapping::Mapping;
use common::sync::condition::Condition;
use common::sync::futex;
use common::sync::posix_semaphore::PosixSemaphore;
use common::sysv::MessageQueue;
use common::{ReadWrite, Result, SharedU32};
use lessons::On as _;
use nix::sys::eventfd::EventFd;

/// The two processes. Both have all that a way is made of, because fork copies it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Parent,
    Child,
}

impl Side {
    fn other(self) -> Self {
        if self == Self::Parent { Self::Child } else { Self::Parent }
    }
}

/// A way to take turns.
pub(crate) trait Turn {
    /// Lets `to` go on.
    fn give(&self, to: Side) -> Result<()>;
    /// Waits until it is the turn of `me`.
    fn take(&self, me: Side) -> Result<()>;
}

/// A word that says whose turn it is, and a loop that looks at it.
pub(crate) struct Spin(Mapping<SharedU32, ReadWrite>);

impl Spin {
    pub(crate) fn new() -> Result<Self> {
        Mapping::anonymous().map(Self)
    }
}

impl Turn for Spin {
    fn give(&self, to: Side) -> Result<()> {
        self.0.writer().store(to as u32, Release);
        Ok(())
    }

    fn take(&self, me: Side) -> Result<()> {
        while self.0.load(Acquire) != me as u32 {
            spin_loop();
        }
        Ok(())
    }
}

/// The same word, and futex(2) to sleep on it.
pub(crate) struct Futex(Mapping<SharedU32, ReadWrite>);

impl Futex {
    pub(crate) fn new() -> Result<Self> {
        Mapping::anonymous().map(Self)
    }
}

impl Turn for Futex {
    fn give(&self, to: Side) -> Result<()> {
        self.0.writer().store(to as u32, Release);
        futex::wake(&*self.0, 1);
        Ok(())
    }

    fn take(&self, me: Side) -> Result<()> {
        while self.0.load(Acquire) != me as u32 {
            futex::wait(&*self.0, me.other() as u32, Duration::from_secs(1));
        }
        Ok(())
    }
}

/// A word under a mutex, and a condition variable.
pub(crate) struct CondVar(Condition);

impl CondVar {
    pub(crate) fn new() -> Result<Self> {
        Condition::anonymous().map(Self)
    }
}

impl Turn for CondVar {
    fn give(&self, to: Side) -> Result<()> {
        self.0.store(to as u32)
    }

    fn take(&self, me: Side) -> Result<()> {
        self.0.wait_while(me.other() as u32).map(drop)
    }
}

/// A semaphore for each side.
pub(crate) struct Semaphores([PosixSemaphore; 2]);

impl Semaphores {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self([PosixSemaphore::counting(0)?, PosixSemaphore::counting(0)?]))
    }
}

impl Turn for Semaphores {
    fn give(&self, to: Side) -> Result<()> {
        self.0[to as usize].post()
    }

    fn take(&self, me: Side) -> Result<()> {
        self.0[me as usize].wait()
    }
}

/// An eventfd(2) for each side: a count in the kernel, behind a descriptor that poll(2) knows.
pub(crate) struct EventFds([EventFd; 2]);

impl EventFds {
    pub(crate) fn new() -> Result<Self> {
        let new = || EventFd::new().on("eventfd", "a turn");
        Ok(Self([new()?, new()?]))
    }
}

impl Turn for EventFds {
    fn give(&self, to: Side) -> Result<()> {
        self.0[to as usize].write(1).on("write", "the eventfd").map(drop)
    }

    fn take(&self, me: Side) -> Result<()> {
        self.0[me as usize].read().on("read", "the eventfd").map(drop)
    }
}

/// A pipe(2) to each side, with a byte in it when it is its turn.
pub(crate) struct Pipes([(PipeReader, PipeWriter); 2]);

impl Pipes {
    pub(crate) fn new() -> Result<Self> {
        let new = || pipe().on("pipe", "a turn");
        Ok(Self([new()?, new()?]))
    }
}

impl Turn for Pipes {
    fn give(&self, to: Side) -> Result<()> {
        (&self.0[to as usize].1).write_all(&[1]).on("write", "the pipe")
    }

    fn take(&self, me: Side) -> Result<()> {
        (&self.0[me as usize].0).read_exact(&mut [0]).on("read", "the pipe")
    }
}

/// A socketpair(2): an end for each side.
pub(crate) struct Sockets([UnixStream; 2]);

impl Sockets {
    pub(crate) fn new() -> Result<Self> {
        let (parent, child) = UnixStream::pair().on("socketpair", "a turn")?;
        Ok(Self([parent, child]))
    }
}

impl Turn for Sockets {
    fn give(&self, to: Side) -> Result<()> {
        (&self.0[to.other() as usize]).write_all(&[1]).on("write", "the socket")
    }

    fn take(&self, me: Side) -> Result<()> {
        (&self.0[me as usize]).read_exact(&mut [0]).on("read", "the socket")
    }
}

/// A System V message queue: a message of type 1 for the parent, of type 2 for the child.
pub(crate) struct Queue(MessageQueue);

impl Queue {
    pub(crate) fn new() -> Result<Self> {
        MessageQueue::private().map(Self)
    }

    pub(crate) fn remove(&self) -> Result<()> {
        self.0.remove()
    }
}

impl Turn for Queue {
    fn give(&self, to: Side) -> Result<()> {
        self.0.send(to as u16 + 1)
    }

    fn take(&self, me: Side) -> Result<()> {
        self.0.receive(me as u16 + 1)
    }
}
