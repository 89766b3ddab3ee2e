//! Where the owner of a memfd and its guests meet, and what they have agreed on.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::printable::shown;
use common::{Error, Result};
use nix::errno::Errno;
use nix::unistd::geteuid;
use terminal::{Stop, Terminal, say};

use crate::{On as _, refused};

/// What a half ends with: an error, or the signal that has ended it.
pub type Ended = std::result::Result<(), Stop>;

/// Where the count lies in the page, in bytes from its start.
pub const COUNT: usize = 0;
/// Where the length of the text lies, in bytes.
pub const LENGTH: usize = 4;
/// Where the text begins.
pub const TEXT: usize = 8;
/// Room for the text, in bytes.
pub const ROOM: usize = 64;
/// The words of a message, with count and length.
pub const WORDS: usize = (TEXT + ROOM) / size_of::<u32>();

/// The arguments of both halves: `[--FLAG] [SOCKET [LOOKS]]`.
#[derive(Debug)]
pub struct Args {
    /// Whether the flag is there.
    pub flag: bool,
    /// The path of the socket.
    pub path: PathBuf,
    /// How many looks, for the guest.
    pub looks: Option<u32>,
}

impl Args {
    /// The arguments of this process, of which `flag` may be one.
    ///
    /// # Errors
    ///
    /// Refused if there is another option or a word too many, and those of [`own_directory`].
    pub fn parse(flag: &str) -> std::result::Result<Self, Stop> {
        let refused = |what: &str| {
            let error = refused("main", &format!("{what:?}"), "it is no argument of this program");
            Err(Stop::because(error, format!("write [{flag}] [SOCKET [LOOKS]]")))
        };
        let (mut found, mut words) = (false, Vec::new());
        for word in std::env::args_os().skip(1) {
            match word.to_str() {
                Some(word) if word == flag => found = true,
                Some(word) if word.starts_with('-') => return refused(word),
                _ => words.push(word),
            }
        }
        let looks = match words.get(1).map(|it| it.to_string_lossy()) {
            None => None,
            Some(looks) => match looks.parse() {
                Ok(looks) => Some(looks),
                Err(_) => return refused(&looks),
            },
        };
        if let Some(word) = words.get(2) {
            return refused(&word.to_string_lossy());
        }
        let path = match words.first() {
            Some(path) => path.into(),
            None => own_directory()?.join("socket"),
        };
        Ok(Self { flag: found, path, looks })
    }
}

impl Args {
    /// How long the guest does nothing after each look: with a number of looks it does not wait.
    #[must_use]
    pub fn pause(&self) -> Duration {
        Duration::from_millis(if self.looks.is_some() { 0 } else { 200 })
    }
}

/// Runs a lesson that waits, so that Ctrl-C ends the wait and the lesson can clean up.
pub fn run(lesson: impl FnOnce(&mut Terminal) -> Ended) -> ExitCode {
    match Terminal::new() {
        Ok(mut terminal) => {
            let ended = lesson(&mut terminal);
            ExitCode::from(terminal.conclude(ended))
        }
        Err(errno) => {
            eprintln!("error: {}", Error::new("sigaction", "this process", errno));
            ExitCode::FAILURE
        }
    }
}

/// A directory that only this user can enter, in the directory for temporary files.
///
/// # Errors
///
/// Those of mkdir(2). Refused if somebody else has put something there, or others may enter.
pub fn own_directory() -> Result<PathBuf> {
    let path = std::env::temp_dir().join("memfd-lesson");
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made_or_failed => made_or_failed.on("mkdir", shown(&path))?,
    }
    // Not metadata, which follows a link that somebody has planted.
    let about = fs::symlink_metadata(&path).on("lstat", shown(&path))?;
    if about.is_dir() && about.uid() == geteuid().as_raw() && about.mode() & 0o077 == 0 {
        return Ok(path);
    }
    let why = "it is not this user's alone: name a socket as argument";
    Err(refused("bind", &shown(&path).to_string(), why))
}

/// A socket that listens at `path` and does not block: bind(2), listen(2). What a killed owner has left
/// there is removed, if it is a socket and nobody listens.
///
/// # Errors
///
/// `EADDRINUSE` if somebody listens there, or it is something else.
pub fn listen(path: &Path) -> Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_stale(path) => {
            fs::remove_file(path).on("unlink", shown(path))?;
            UnixListener::bind(path)
        }
        bound_or_failed => bound_or_failed,
    };
    let listener = listener.on("bind", shown(path))?;
    listener.set_nonblocking(true).on("fcntl", "O_NONBLOCK")?;
    Ok(listener)
}

fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    // A file that is no socket refuses too.
    let refused = |error: std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).is_err_and(refused)
}

/// Connects to the owner, for whom it waits up to 30 seconds: connect(2).
///
/// # Errors
///
/// Those of connect(2) after that time, and at once if it is not that nobody is there yet.
pub fn connect(path: &Path, terminal: &mut Terminal) -> std::result::Result<UnixStream, Stop> {
    for attempt in 0.. {
        match UnixStream::connect(path) {
            Err(error)
                if attempt < 300
                    && matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::ConnectionRefused
                    ) =>
            {
                if attempt == 0 {
                    let owner = "cargo run -p lessons --example memfd-owner";
                    say!(terminal, "no record there yet: in another terminal, {owner}");
                }
                terminal.pause(Duration::from_millis(100))?;
            }
            connected_or_failed => {
                let socket = connected_or_failed.on("connect", shown(path))?;
                socket.set_nonblocking(true).on("fcntl", "O_NONBLOCK")?;
                return Ok(socket);
            }
        }
    }
    unreachable!("it returns after 300 attempts")
}

/// Tries `receive` until what it waits for has come, for up to 5 seconds: a peer that sends nothing must not
/// hold us up for ever.
///
/// # Errors
///
/// Those of `receive`.
pub fn patiently<T>(
    terminal: &mut Terminal,
    receive: impl Fn() -> Result<T>,
) -> std::result::Result<T, Stop> {
    let start = Instant::now();
    loop {
        match receive() {
            Err(error)
                if error.errno() == Some(Errno::EAGAIN)
                    && start.elapsed() < Duration::from_secs(5) =>
            {
                terminal.pause(Duration::from_millis(10))?;
            }
            received_or_failed => return Ok(received_or_failed?),
        }
    }
}

/// Whether the other side still has the socket open, or has not read yet what it was sent.
#[must_use]
pub fn is_there(mut socket: &UnixStream) -> bool {
    match socket.read(&mut [0]) {
        Ok(length) => length > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}
