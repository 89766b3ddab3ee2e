//! A program on the whole screen of a terminal: the real program in a pseudo-terminal, and its screen as
//! a person sees it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;

use crate::DEADLINE;

/// A pseudo-terminal: what the person has, and what the program has.
#[derive(Debug)]
pub struct Pty {
    /// The person's end: keys go in, the picture comes out.
    pub person: File,
    /// The program's end.
    pub program: File,
    name: String,
}

impl Pty {
    /// A terminal of this size. Everything is close-on-exec: a copy in a child would keep it alive.
    ///
    /// # Panics
    ///
    /// If the machine has no pseudo-terminals.
    #[must_use]
    pub fn new(rows: u16, columns: u16) -> Self {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).expect("a pseudo-terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname_r(&master).expect("its name");
        let program = OpenOptions::new().read(true).write(true).open(&name).expect("its other end");
        let person = File::from(master.as_fd().try_clone_to_owned().expect("a descriptor"));
        let pty = Self { person, program, name };
        pty.resize(rows, columns);
        pty
    }

    /// Makes the window another size.
    ///
    /// # Panics
    ///
    /// Without stty(1).
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = format!("rows {rows} columns {columns}");
        let mut stty = Command::new("stty");
        stty.args(["-F", &self.name]).args(size.split(' '));
        assert!(stty.status().expect("stty of coreutils").success());
    }

    /// Starts a command that has the terminal as its own: without it, that of the person who runs the
    /// tests would be asked for its size.
    ///
    /// # Panics
    ///
    /// Without setsid(1).
    #[must_use]
    pub fn spawn(&self, command: &[&str]) -> Child {
        let stdio = || Stdio::from(self.program.try_clone().expect("a descriptor"));
        let mut setsid = Command::new("setsid");
        setsid.arg("--ctty").args(command).stdin(stdio()).stdout(stdio()).stderr(stdio());
        setsid.env("TERM", "xterm-256color").env("RUST_BACKTRACE", "0");
        setsid.spawn().expect("setsid of util-linux")
    }
}

/// A program in a terminal; dropping it kills the program.
pub struct OnScreen {
    child: Child,
    pty: Pty,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// How the terminal was set before.
    before: Termios,
}

impl std::fmt::Debug for OnScreen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.screen.screen().contents())
    }
}

impl OnScreen {
    /// Starts `command` in a window of this size.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn start(command: &[&str], rows: u16, columns: u16) -> Self {
        let pty = Pty::new(rows, columns);
        let before = tcgetattr(&pty.program).expect("a terminal");
        let child = pty.spawn(command);
        let mut display = pty.person.try_clone().expect("a descriptor");
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = display.read(&mut bytes) {
                if sender.send(bytes[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, pty, output, screen: vt100::Parser::new(rows, columns, 0), before }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Presses keys.
    ///
    /// # Panics
    ///
    /// If the terminal has gone.
    pub fn press(&mut self, keys: &str) {
        self.pty.person.write_all(keys.as_bytes()).expect("the terminal");
    }

    /// Presses a key and waits until the screen shows `text`.
    #[track_caller]
    pub fn play(&mut self, key: &str, text: &str) {
        self.press(key);
        self.wait(text);
    }

    /// Makes the window another size.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.screen.screen_mut().set_size(rows, columns);
        self.pty.resize(rows, columns);
    }

    /// What the screen shows, line by line.
    #[must_use]
    pub fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    /// What the screen shows, with the line ends as spaces, and without frames.
    #[must_use]
    pub fn text(&self) -> String {
        let shown = self.contents();
        // A sentence goes on in the next line of its window.
        let words = shown.split(['\n', '│', '┃', '║']).flat_map(str::split_whitespace);
        words.collect::<Vec<_>>().join(" ")
    }

    /// How often the program draws a cell in this style: whether anything is highlighted.
    #[must_use]
    pub fn highlighted(&self) -> usize {
        let screen = self.screen.screen();
        let (rows, columns) = screen.size();
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let cells = cells.filter_map(|(row, column)| screen.cell(row, column));
        cells.filter(|it| it.bgcolor() != vt100::Color::Default).count()
    }

    /// Waits until the screen shows `text`.
    #[track_caller]
    pub fn wait(&mut self, text: &str) {
        self.wait_until(text, |it| it.text().contains(text));
    }

    /// Waits until `there` is true of the screen.
    ///
    /// # Panics
    ///
    /// If it does not become true before the [`DEADLINE`].
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, there: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !there(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(why) => panic!("{why}: no {what:?} on\n{}", self.contents()),
            }
        }
    }

    /// Sends the program a signal.
    ///
    /// # Panics
    ///
    /// If it has been waited for.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it runs");
    }

    /// Waits until the program has ended.
    ///
    /// # Panics
    ///
    /// If it does not end before the [`DEADLINE`].
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end\n{}", self.text());
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The terminal must be as it was before, with `says` on it.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[track_caller]
    pub fn must_be_restored(&mut self, says: &str) {
        self.wait_until("the old screen", |it| {
            let screen = it.screen.screen();
            !screen.alternate_screen() && !screen.hide_cursor() && it.text().contains(says)
        });
        assert_eq!(tcgetattr(&self.pty.program).expect("a terminal"), self.before);
    }
}

impl Drop for OnScreen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program must end when its terminal goes although it ignores SIGHUP, as under nohup(1): then
/// nothing else says so. `shows` is part of its first picture.
///
/// # Panics
///
/// If it does not end before the [`DEADLINE`].
#[track_caller]
pub fn must_end_with_its_terminal(command: &str, shows: &str) {
    let pty = Pty::new(24, 80);
    let mut child = pty.spawn(&["sh", "-c", &format!("trap '' HUP; exec {command}")]);
    let Pty { mut person, program, .. } = pty;
    drop(program);
    let mut shown = String::new();
    while !shown.contains(shows) {
        let mut bytes = [0; 4096];
        let length = person.read(&mut bytes).expect("the first picture");
        shown += &String::from_utf8_lossy(&bytes[..length]);
    }
    drop(person);
    let deadline = Instant::now() + DEADLINE;
    while child.try_wait().expect("our child").is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("it does not end");
        }
        thread::sleep(Duration::from_millis(1));
    }
}
