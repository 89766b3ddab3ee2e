//! Our ring in a mapped file, used without its sleep: who waits looks again and again.

use bytemuck::{cast_slice, cast_slice_mut};
use common::ring::{self, Received, Receiver, Sender, WORDS};
use tempfile::TempDir;

use crate::way::{Result, Way};

/// A ring for each direction. Each process claims its ends after the fork, as two programs would.
pub struct Ring {
    directory: TempDir,
    ends: Option<(Sender<WORDS>, Receiver<WORDS>)>,
    bytes: Vec<u8>,
    /// Bytes that were received and not yet released.
    received: usize,
}

/// A receiver that has more to receive gives places back in quarters of the ring. One that has nothing more
/// gives all of them back, before it waits.
const QUARTER: usize = WORDS;

impl Way for Ring {
    fn new(_: usize) -> Result<Self> {
        let memory = std::path::Path::new("/dev/shm");
        let directory =
            if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
        Ok(Self { directory, ends: None, bytes: Vec::new(), received: 0 })
    }

    fn open(&mut self, out: usize) -> Result<()> {
        let file = |direction: usize| {
            let path = self.directory.path().join(direction.to_string());
            ring::open_or_create::<WORDS>(&path, 0o600, false)
        };
        self.ends = Some((Sender::claim(file(out)?)?, Receiver::claim(file(1 - out)?)?));
        Ok(())
    }

    fn send(&mut self, _: usize, message: &[u32]) -> Result<()> {
        let sender = &mut self.ends.as_mut().ok_or("not open")?.0;
        while !sender.send(cast_slice(message))? {}
        Ok(())
    }

    fn receive(&mut self, _: usize, _: u32, message: &mut [u32]) -> Result<()> {
        let receiver = &mut self.ends.as_mut().ok_or("not open")?.1;
        while !matches!(receiver.receive(&mut self.bytes)?, Received::Message) {
            if self.received > 0 {
                receiver.release();
                self.received = 0;
            }
        }
        self.received += self.bytes.len();
        if self.received >= QUARTER {
            receiver.release();
            self.received = 0;
        }
        let into: &mut [u8] = cast_slice_mut(message);
        if self.bytes.len() != into.len() {
            return Err(format!("{} of {} bytes", self.bytes.len(), into.len()).into());
        }
        into.copy_from_slice(&self.bytes);
        Ok(())
    }

    fn close(&mut self) {
        self.ends = None;
    }
}
