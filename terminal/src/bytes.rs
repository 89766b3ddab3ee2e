//! Bytes as they are, from stdin and to stdout, with the same care for signals as lines.

use std::io;

use common::Error;
use nix::libc::PIPE_BUF;
use nix::unistd;

use crate::person::Terminal;
use crate::signals;
use crate::stop::Stop;

impl Terminal {
    /// Waits until something is there on stdin, and reads what is there, but no more than fits into
    /// `bytes`: read(2). Returns how many bytes it was; 0 is the end.
    ///
    /// # Errors
    ///
    /// [`Stop::Signal`] as soon as a signal asks this process to end; the errors of read(2).
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Stop> {
        while !self.wait_for_input(std::time::Duration::MAX)? {}
        // Not by way of std's stdin, which reads ahead.
        Ok(unistd::read(io::stdin(), bytes).map_err(|it| Error::new("read", "stdin", it))?)
    }

    /// Writes `bytes` to stdout: write(2), of at most `PIPE_BUF` bytes at a time. A pipe that has room takes
    /// so many at once and as a whole.
    ///
    /// # Errors
    ///
    /// [`Stop::ClosedPipe`] if nobody reads stdout any more, [`Stop::Signal`] if it is time to end.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let mut left = bytes;
        while !left.is_empty() {
            let stdout = io::stdout();
            self.wait_writable(&stdout);
            signals::ending()?;
            match unistd::write(&stdout, &left[..left.len().min(PIPE_BUF)]) {
                Ok(written) => left = &left[written..],
                Err(nix::errno::Errno::EPIPE) => return Err(Stop::ClosedPipe),
                Err(errno) => return Err(Error::new("write", "stdout", errno).into()),
            }
        }
        Ok(())
    }
}
