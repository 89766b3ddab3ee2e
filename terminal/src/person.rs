//! Data on stdout, narration on stderr, and pauses that Ctrl-C ends.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::error::errno_of;
use common::{Error, SharedConnStat};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::time::TimeSpec;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::stop::Stop;
use crate::{advice, signals};

/// Narrates on stderr: [`Terminal::say`] with the arguments of `format!`.
#[macro_export]
macro_rules! say {
    ($terminal:expr, $($line:tt)+) => { $terminal.say(format_args!($($line)+)) };
}

/// Prints data on stdout: [`Terminal::print`] with the arguments of `format!`.
#[macro_export]
macro_rules! data {
    ($terminal:expr, $($line:tt)+) => { $terminal.print(format_args!($($line)+)) };
}

/// What takes a terminal back to the start of the line and clears it.
const CLEAR_LINE: &str = "\r\x1b[K";

/// The person's terminal: data for stdout, narration for stderr, and signals.
///
/// The signals that end a program are blocked except while it waits here, and each of these waits
/// lets them through: ppoll(2), and futex_waitv(2) with the signal's note as second word. So a signal
/// can neither slip in between a test and a wait, nor leave shared memory half updated, nor be missed
/// while a full pipe holds up the output.
#[derive(Debug)]
pub struct Terminal {
    while_waiting: SigSet,
    /// When anything was last shown.
    last_line: Instant,
    /// Whether the last line is one of [`Terminal::progress`], without its end.
    unfinished: bool,
}

impl Terminal {
    /// Catches the signals that end a program, for the rest of this process: sigaction(2).
    /// [`run`](crate::run) does this for a program; there is one terminal a process.
    ///
    /// # Errors
    ///
    /// None that sigaction(2) gives for these signals.
    pub fn new() -> nix::Result<Self> {
        let while_waiting = signals::catch()?;
        Ok(Self { while_waiting, last_line: Instant::now(), unfinished: false })
    }

    /// Narrates: a line on stderr, for the person who watches.
    pub fn say(&mut self, line: impl Display) {
        self.end_progress();
        self.write_stderr(format_args!("{line}\n"));
    }

    /// Says on stderr how far it is. On a screen it is one line that stands until the next line of
    /// output, and shows the latest; elsewhere it is a line where there was none for a while.
    pub fn progress(&mut self, line: impl Display) {
        let screen = io::stderr().is_terminal();
        let pause = Duration::from_millis(if screen { 100 } else { 5000 });
        let soon = self.last_line.elapsed() < pause;
        if screen && !(self.unfinished && soon) {
            self.write_stderr(format_args!("{CLEAR_LINE}{line}"));
            self.unfinished = true;
            self.last_line = Instant::now();
        } else if !soon {
            self.say(line);
        }
    }

    /// Before any other line of output.
    fn end_progress(&mut self) {
        if std::mem::take(&mut self.unfinished) {
            self.write_stderr(format_args!("{CLEAR_LINE}"));
        }
        self.last_line = Instant::now();
    }

    fn write_stderr(&mut self, text: fmt::Arguments<'_>) {
        let mut stderr = io::stderr();
        // A person who no longer listens is no reason to stop.
        if self.wait_writable(&stderr) {
            let _ = stderr.write_all(text.to_string().as_bytes());
        }
    }

    /// Tells the person why the program ends early, if it does, and returns the exit status. Does not
    /// return if a signal has asked this process to end: then that ends it now.
    pub fn conclude(&mut self, ended: Result<(), Stop>) -> u8 {
        match ended {
            Ok(()) | Err(Stop::ClosedPipe) => 0,
            Err(Stop::Signal(signal)) => {
                self.say(format_args!("stopped by {signal}"));
                signals::end_by(signal);
                1
            }
            Err(Stop::Error(error, help)) => {
                let help = help.unwrap_or_else(|| advice::on(&error));
                self.say(format_args!("error: {error}\n  help: {help}"));
                1
            }
        }
    }

    /// Prints data: a line on stdout, for whatever reads it, at once.
    ///
    /// # Errors
    ///
    /// [`Stop::ClosedPipe`] if nobody reads stdout any more, [`Stop::Signal`] if it is time to end.
    pub fn print(&mut self, line: impl Display) -> Result<(), Stop> {
        self.end_progress();
        let mut stdout = io::stdout();
        self.wait_writable(&stdout);
        signals::ending()?;
        stdout.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdout.flush()).map_err(
            |error| match error.kind() {
                io::ErrorKind::BrokenPipe => Stop::ClosedPipe,
                _ => Error::new("write", "stdout", errno_of(&error)).into(),
            },
        )
    }

    /// Prints data as [`Terminal::print`] does, but also when it is time to end: what makes the data
    /// whole, if stdout takes it without waiting.
    pub fn print_last(&mut self, line: impl Display) {
        self.end_progress();
        let mut stdout = io::stdout();
        if self.wait_writable(&stdout) {
            let _ = stdout.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdout.flush());
        }
    }

    /// Does nothing for `interval`.
    ///
    /// # Errors
    ///
    /// [`Stop::Signal`] as soon as a signal asks this process to end.
    pub fn pause(&mut self, interval: Duration) -> Result<(), Stop> {
        let start = Instant::now();
        loop {
            let left = interval.saturating_sub(start.elapsed());
            let woken = self.poll(&mut [], Some(left));
            signals::ending()?;
            if woken != Err(Errno::EINTR) {
                return Ok(());
            }
        }
    }

    /// Waits for Enter, or for the end of stdin.
    ///
    /// # Errors
    ///
    /// [`Stop::Signal`] as soon as a signal asks this process to end; the errors of read(2).
    pub fn wait_for_enter(&mut self) -> Result<(), Stop> {
        self.say("   Enter goes on; look at ipcs -m and /proc/PID/maps meanwhile");
        while !self.wait_for_input(Duration::MAX)? {}
        let read = io::stdin().read_line(&mut String::new());
        read.map_err(|error| Error::new("read", "stdin", errno_of(&error)))?;
        Ok(())
    }

    /// Waits until there is something to read on stdin, or its end, but for no longer than `patience`.
    /// Returns whether there is.
    ///
    /// # Errors
    ///
    /// [`Stop::Signal`] as soon as a signal asks this process to end.
    pub fn wait_for_input(&mut self, patience: Duration) -> Result<bool, Stop> {
        let start = Instant::now();
        let stdin = io::stdin();
        let mut polled = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        loop {
            let left = patience.saturating_sub(start.elapsed());
            let ready = self.poll(&mut polled, Some(left));
            signals::ending()?;
            if ready != Err(Errno::EINTR) {
                return Ok(ready != Ok(0));
            }
        }
    }

    /// Waits until `there` is true, but for no longer than `patience`.
    ///
    /// # Errors
    ///
    /// [`Stop::Signal`] as soon as a signal asks this process to end.
    pub fn wait_until(&mut self, patience: Duration, there: impl Fn() -> bool) -> Result<(), Stop> {
        let start = Instant::now();
        while !there() && start.elapsed() < patience {
            self.pause(Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// Sleeps while the count of `shared` is `seen`, for at most `patience`; it may return early.
    ///
    /// # Errors
    ///
    /// [`Stop::Signal`] as soon as a signal asks this process to end.
    pub fn wait_for_change(
        &mut self,
        shared: &SharedConnStat,
        seen: i32,
        patience: Duration,
    ) -> Result<(), Stop> {
        self.asleep(|flag| shared.wait_unless(seen, flag, patience))
    }

    /// Has `sleep` sleep in futex_waitv(2) while the word that it is given is 0.
    ///
    /// # Errors
    ///
    /// [`Stop::Signal`] as soon as a signal asks this process to end.
    pub fn asleep(&mut self, sleep: impl FnOnce(&AtomicU32)) -> Result<(), Stop> {
        // futex(2) cannot unblock signals as ppoll does. So they are let through a little earlier,
        // and one that comes before the process sleeps changes a word that it waits for too.
        let blocked = self.while_waiting.thread_swap_mask(SigmaskHow::SIG_SETMASK);
        sleep(&signals::ENDING);
        if let Ok(blocked) = blocked {
            let _ = blocked.thread_set_mask();
        }
        signals::ending()
    }

    /// Waits until the child `pid` has ended, and returns how: waitpid(2).
    ///
    /// # Errors
    ///
    /// [`Stop::Signal`] as soon as a signal asks this process to end; the errors of waitpid(2).
    pub(crate) fn wait_for(&mut self, pid: Pid) -> Result<WaitStatus, Stop> {
        loop {
            match waitpid(pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                // SIGCHLD is blocked here, so the one that announces the end interrupts the poll.
                Ok(WaitStatus::StillAlive) => drop(self.poll(&mut [], None)),
                Ok(WaitStatus::Stopped(_, by)) => {
                    self.say(format_args!(
                        "child {pid} is stopped by {by}: kill -CONT {pid} lets it go on"
                    ));
                }
                Ok(ended) => return Ok(ended),
                Err(errno) => {
                    let child = format_args!("child {pid}");
                    return Err(Error::new("waitpid", child, errno).into());
                }
            }
            signals::ending()?;
        }
    }

    /// Whether `output` can take a line without blocking; waits for it unless it is time to end.
    pub(crate) fn wait_writable(&self, output: &impl AsFd) -> bool {
        let mut polled = [PollFd::new(output.as_fd(), PollFlags::POLLOUT)];
        loop {
            match self.poll(&mut polled, None) {
                Err(Errno::EINTR) => {}
                ready => return ready != Ok(0),
            }
        }
    }

    fn poll(&self, fds: &mut [PollFd<'_>], patience: Option<Duration>) -> nix::Result<i32> {
        // Longer than any process lives, and not more than the seconds of a 32-bit machine can hold.
        const LONGEST: Duration = Duration::from_secs(50 * 365 * 24 * 60 * 60);
        // A signal that has arrived during an earlier wait must not be slept over.
        let ending = signals::ENDING.load(Ordering::Relaxed) != 0;
        let patience = if ending { Some(Duration::ZERO) } else { patience };
        let patience = patience.map(|it| TimeSpec::from_duration(it.min(LONGEST)));
        ppoll(fds, patience, Some(self.while_waiting))
    }
}

#[cfg(test)]
mod tests {
    use common::ReadWrite;
    use common::mapping::Mapping;
    use nix::sys::signal::Signal;

    use super::*;

    #[test]
    fn signals_are_blocked_again_after_a_wait() {
        let mut terminal = Terminal::new().expect("signals");
        let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous().expect("pages");
        let blocked = SigSet::thread_get_mask().expect("the mask");
        assert!(blocked.contains(Signal::SIGINT));
        terminal.wait_for_change(&shared, 0, Duration::from_millis(1)).expect("no signal");
        assert_eq!(SigSet::thread_get_mask().expect("the mask"), blocked);
    }
}
