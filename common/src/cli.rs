//! The plumbing that every program needs and that teaches nothing about memory: arguments, data on
//! stdout, narration on stderr, pauses that Ctrl-C ends, and exit statuses.
//!
//! | exit status | meaning |
//! | --- | --- |
//! | 0 | done, or the reader of our stdout has had enough |
//! | 1 | a call failed; the message says which, why, and what to do |
//! | 2 | the arguments make no sense |
//! | 128 + n | ended by signal n (SIGINT 130, SIGTERM 143, SIGHUP 129), after the usual clean-up |

use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction};
use nix::sys::time::TimeSpec;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::conn_stat::SharedConnStat;
use crate::error::{Error, errno_of};
use crate::process::waitpid_failed;
use crate::sysv::Key;

/// Parses the arguments, runs `program`, and turns its end into an exit status.
pub fn run<Args: clap::Parser>(
    program: impl FnOnce(&Args, &mut Terminal) -> Result<(), Stop>,
) -> ExitCode {
    let args = parse::<Args>();
    let mut terminal = match Terminal::new() {
        Ok(terminal) => terminal,
        Err(errno) => {
            let error = Error::new("sigaction", "this process", errno, "see sigaction(2)");
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = program(&args, &mut terminal);
    ExitCode::from(terminal.conclude(ended))
}

fn parse<Args: clap::Parser>() -> Args {
    // The word after an option is its value, also in `-i -1s`: "invalid value '-1s'" helps more
    // than "unexpected argument '-1'".
    let command = Args::command().mut_args(|arg| match arg.get_action().takes_values() {
        true if !arg.is_positional() => arg.allow_hyphen_values(true),
        _ => arg,
    });
    let parsed = command.try_get_matches().and_then(|matches| Args::from_arg_matches(&matches));
    parsed.unwrap_or_else(|error| error.exit())
}

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

/// Why a program ends before it is done. The clean-up is the same for all.
#[derive(Debug)]
pub enum Stop {
    /// A call failed.
    Error(Error),
    /// SIGINT, SIGTERM or SIGHUP has arrived.
    Signal(Signal),
    /// Nobody reads our stdout any more, as after `| head -1`.
    ClosedPipe,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// The signal that has asked this process to end, or 0.
static ENDING: AtomicU32 = AtomicU32::new(0);

extern "C" fn note_signal(signal: i32) {
    // An atomic store, which is all that a handler may safely do. SIGCHLD is caught only to
    // interrupt a wait.
    if signal != Signal::SIGCHLD as i32 {
        ENDING.store(signal.cast_unsigned(), Ordering::Relaxed);
    }
}

/// What takes a terminal back to the start of the line and clears it.
const CLEAR_LINE: &str = "\r\x1b[K";

/// The signals that end a wait.
const AWAITED: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD];

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
    /// Catches the signals that end a program, for the rest of this process: sigaction(2). [`run`]
    /// does this for a program; there is one terminal a process.
    ///
    /// # Errors
    ///
    /// None that sigaction(2) gives for these signals.
    pub fn new() -> nix::Result<Self> {
        let handler = SigHandler::Handler(note_signal);
        let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
        let mut blocked = SigSet::empty();
        for signal in AWAITED {
            // SAFETY: the handler makes a single store to an atomic, which is async-signal-safe.
            let before = unsafe { sigaction(signal, &action) }?;
            if matches!(before.handler(), SigHandler::SigIgn) && signal != Signal::SIGCHLD {
                // Whoever started us wants it ignored, as nohup does with SIGHUP.
                // SAFETY: this puts back what was in force a moment ago.
                unsafe { sigaction(signal, &before) }?;
            }
            blocked.add(signal);
        }
        // Blocked for good: a write beyond `ulimit -f` then fails with EFBIG instead of killing us.
        blocked.add(Signal::SIGXFSZ);
        let mut while_waiting = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        for signal in AWAITED {
            while_waiting.remove(signal);
        }
        while_waiting.add(Signal::SIGXFSZ);
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

    /// Tells the person why the program ends early, if it does, and returns the exit status.
    pub fn conclude(&mut self, ended: Result<(), Stop>) -> u8 {
        match ended {
            Ok(()) | Err(Stop::ClosedPipe) => 0,
            Err(Stop::Signal(signal)) => {
                self.say(format_args!("stopped by {signal}"));
                // A signal's number fits: there are 64 of them.
                128 + u8::try_from(signal as i32).unwrap_or(0)
            }
            Err(Stop::Error(error)) => {
                self.say(format_args!("error: {error}"));
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
        ending()?;
        stdout.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdout.flush()).map_err(
            |error| match error.kind() {
                io::ErrorKind::BrokenPipe => Stop::ClosedPipe,
                _ => {
                    let help = "see where the output goes to";
                    Error::new("write", "stdout", errno_of(&error), help).into()
                }
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
            ending()?;
            if woken != Err(Errno::EINTR) {
                return Ok(());
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
        // futex(2) cannot unblock signals as ppoll does. So they are let through a little earlier,
        // and one that comes before the process sleeps changes a word that it waits for too.
        let blocked = self.while_waiting.thread_swap_mask(SigmaskHow::SIG_SETMASK);
        shared.wait_unless(seen, &ENDING, patience);
        if let Ok(blocked) = blocked {
            let _ = blocked.thread_set_mask();
        }
        ending()
    }

    /// Waits until the child `pid` has ended, and returns how: waitpid(2).
    ///
    /// # Errors
    ///
    /// [`Stop::Signal`] as soon as a signal asks this process to end; the errors of waitpid(2).
    pub fn wait_for(&mut self, pid: Pid) -> Result<WaitStatus, Stop> {
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
                Err(errno) => return Err(waitpid_failed(pid, errno).into()),
            }
            ending()?;
        }
    }

    /// Whether `output` can take a line without blocking; waits for it unless it is time to end.
    fn wait_writable(&self, output: &impl AsFd) -> bool {
        let mut polled = [PollFd::new(output.as_fd(), PollFlags::POLLOUT)];
        loop {
            match self.poll(&mut polled, None) {
                Err(Errno::EINTR) => {}
                ready => return ready != Ok(0),
            }
        }
    }

    fn poll(&self, fds: &mut [PollFd<'_>], patience: Option<Duration>) -> nix::Result<i32> {
        // Longer than any process lives, and far from what the kernel's clock can't hold.
        const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        // A signal that has arrived during an earlier wait must not be slept over.
        let ending = ENDING.load(Ordering::Relaxed) != 0;
        let patience = if ending { Some(Duration::ZERO) } else { patience };
        let patience = patience.map(|it| TimeSpec::from_duration(it.min(LONGEST)));
        ppoll(fds, patience, Some(self.while_waiting))
    }
}

fn ending() -> Result<(), Stop> {
    match ENDING.load(Ordering::Relaxed) {
        0 => Ok(()),
        signal => {
            Err(Stop::Signal(Signal::try_from(signal.cast_signed()).unwrap_or(Signal::SIGTERM)))
        }
    }
}

/// Which key both programs of a System V pair use.
#[derive(Debug, Clone, clap::Args)]
pub struct KeyArgs {
    /// Key that names the segment: decimal, 0x and hexadecimal, or `private` (writer only)
    #[arg(short, long, default_value = "1234", conflicts_with = "ftok")]
    key: Key,

    /// Derive the key from this file's device and inode number, as ftok(3) does
    #[arg(long, value_name = "PATH")]
    ftok: Option<PathBuf>,

    /// Project id for --ftok: the same file gives another key for each [1 to 255]
    #[arg(long, value_name = "N", default_value_t = 1, requires = "ftok")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    proj_id: u8,
}

impl KeyArgs {
    /// The key, from ftok(3) if the arguments name a file.
    ///
    /// # Errors
    ///
    /// Those of [`Key::ftok`].
    pub fn key(&self) -> Result<Key, Error> {
        match &self.ftok {
            Some(path) => Key::ftok(path, self.proj_id),
            None => Ok(self.key),
        }
    }

    /// The key, for a program that looks for what another one has made.
    ///
    /// # Errors
    ///
    /// Those of [`Key::ftok`]; refused for `private`, by which nothing can be found.
    pub fn key_to_find(&self) -> Result<Key, Error> {
        match self.key()? {
            Key::Private => Err(Error::refused(
                "shmget",
                Key::Private,
                "a private segment has no key to find it by",
                "read it by its shmid, which the writer prints: --id SHMID",
            )),
            key => Ok(key),
        }
    }
}

/// How a reader looks at the record.
#[derive(Debug, Clone, clap::Args)]
pub struct LookArgs {
    /// How many times to look [default: 10, with --follow until the writer has gone]
    #[arg(short = 'n', long)]
    ticks: Option<u32>,

    /// Pause after each look, such as 1s, 10ms or 0s
    #[arg(short, long, default_value = "1s", value_parser = duration)]
    pub interval: Duration,

    /// Show each change as it happens, and sleep in between
    #[arg(short, long)]
    pub follow: bool,
}

impl LookArgs {
    /// How many times to look.
    #[must_use]
    pub fn ticks(&self) -> u32 {
        self.ticks.unwrap_or(if self.follow { u32::MAX } else { 10 })
    }
}

/// Tells the person who runs a reader how a writer gets to the segment that has the key `key`.
#[must_use]
pub fn invite_writer(key: i32) -> String {
    const COMMAND: &str = "in another terminal: cargo run -p shm-sysv-writer";
    match key {
        // The writer's default.
        1234 => COMMAND.into(),
        libc::IPC_PRIVATE => "the segment has no key, so only its creator can write to it".into(),
        key => format!("{COMMAND} -- --key 0x{key:x}"),
    }
}

/// Permission bits as an argument: octal, such as `0600`.
#[derive(Debug, Clone, Copy)]
pub struct Mode(pub u32);

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let octal = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
        match u32::from_str_radix(digits, 8) {
            Ok(mode @ 0..=0o777) if octal => Ok(Self(mode)),
            _ => Err("a mode is octal, from 0 to 0777, such as 0600".into()),
        }
    }
}

impl Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// Reads a duration such as `1s`, `10ms`, `1m 30s` or `0s`; for clap's `value_parser`.
///
/// # Errors
///
/// What is wrong with it, and an example.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 1s, 10ms or 0s"))
}

/// A duration as a person writes it, such as `1s` or `1s 500ms`.
#[must_use]
pub fn human(duration: Duration) -> impl Display {
    humantime::format_duration(duration)
}
