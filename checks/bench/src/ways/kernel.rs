//! The kernel carries the message: it copies it in and out, and wakes who waits.

use std::io::{PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};

use bytemuck::{cast_slice, cast_slice_mut};
use nix::mqueue::{MQ_OFlag, MqAttr, MqdT, mq_open, mq_receive, mq_send, mq_unlink};
use nix::sys::stat::Mode;

use crate::raw::Queue;
use crate::way::{Result, Way};

/// A pipe for each direction: pipe(2), write(2), read(2).
pub struct Pipe([(PipeReader, PipeWriter); 2]);

impl Way for Pipe {
    fn new(_: usize) -> Result<Self> {
        Ok(Self([pipe()?, pipe()?]))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        Ok(self.0[out].1.write_all(cast_slice(message))?)
    }

    fn receive(&mut self, from: usize, _: u32, message: &mut [u32]) -> Result<()> {
        Ok(self.0[from].0.read_exact(cast_slice_mut(message))?)
    }
}

/// A pair of connected Unix stream sockets: socketpair(2). Each process uses its own.
pub struct Unix([UnixStream; 2]);

impl Way for Unix {
    fn new(_: usize) -> Result<Self> {
        Ok(Self(UnixStream::pair()?.into()))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        Ok(self.0[out].write_all(cast_slice(message))?)
    }

    fn receive(&mut self, from: usize, _: u32, message: &mut [u32]) -> Result<()> {
        Ok(self.0[1 - from].read_exact(cast_slice_mut(message))?)
    }
}

/// A pair of Unix datagram sockets, which keep messages apart: socketpair(2).
pub struct Datagram([UnixDatagram; 2]);

impl Way for Datagram {
    fn new(_: usize) -> Result<Self> {
        Ok(Self(UnixDatagram::pair()?.into()))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        self.0[out].send(cast_slice(message))?;
        Ok(())
    }

    fn receive(&mut self, from: usize, _: u32, message: &mut [u32]) -> Result<()> {
        let wanted = size_of_val(message);
        let found = self.0[1 - from].recv(cast_slice_mut(message))?;
        if found == wanted { Ok(()) } else { Err(format!("{found} of {wanted} bytes").into()) }
    }
}

/// A TCP connection to this machine itself, with `TCP_NODELAY`.
pub struct Tcp([TcpStream; 2]);

impl Way for Tcp {
    fn new(_: usize) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let one = TcpStream::connect(listener.local_addr()?)?;
        let (other, _) = listener.accept()?;
        one.set_nodelay(true)?;
        other.set_nodelay(true)?;
        Ok(Self([one, other]))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        Ok(self.0[out].write_all(cast_slice(message))?)
    }

    fn receive(&mut self, from: usize, _: u32, message: &mut [u32]) -> Result<()> {
        Ok(self.0[1 - from].read_exact(cast_slice_mut(message))?)
    }
}

/// A POSIX message queue for each direction: mq_open(3), mq_send(3), mq_receive(3).
pub struct PosixQueue([MqdT; 2]);

impl Way for PosixQueue {
    fn new(words: usize) -> Result<Self> {
        let queue = |direction| {
            let name = format!("/bench-{}-{direction}", std::process::id());
            let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDWR;
            let bytes = libc::c_long::try_from(words * 4)?;
            let attributes = MqAttr::new(0, 10, bytes, 0);
            let mode = Mode::S_IRUSR | Mode::S_IWUSR;
            let queue = mq_open(name.as_str(), flags, mode, Some(&attributes))?;
            // The descriptors are inherited, so nobody needs the name.
            mq_unlink(name.as_str())?;
            Ok::<_, Box<dyn std::error::Error>>(queue)
        };
        Ok(Self([queue(0)?, queue(1)?]))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        Ok(mq_send(&self.0[out], cast_slice(message), 0)?)
    }

    fn receive(&mut self, from: usize, _: u32, message: &mut [u32]) -> Result<()> {
        mq_receive(&self.0[from], cast_slice_mut(message), &mut 0)?;
        Ok(())
    }
}

/// A System V message queue for each direction: msgget(2), msgsnd(2), msgrcv(2).
pub struct SystemVQueue([Queue; 2]);

impl Way for SystemVQueue {
    fn new(_: usize) -> Result<Self> {
        Ok(Self([Queue::new()?, Queue::new()?]))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        Ok(self.0[out].send(cast_slice(message))?)
    }

    fn receive(&mut self, from: usize, _: u32, message: &mut [u32]) -> Result<()> {
        Ok(self.0[from].receive(cast_slice_mut(message))?)
    }
}
