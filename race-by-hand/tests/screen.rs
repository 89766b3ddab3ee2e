//! The game on a terminal: the real program in a pseudo-terminal, its screen as a person sees it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;

/// Long, because a busy machine is not an error.
const DEADLINE: Duration = Duration::from_secs(60);

/// A pseudo-terminal: what the person has, and what the program has.
struct Pty {
    person: File,
    program: File,
    name: String,
}

impl Pty {
    /// Everything close-on-exec: a copy in a child would keep the terminal alive.
    fn new() -> Self {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).expect("a pseudo-terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname_r(&master).expect("its name");
        let program = OpenOptions::new().read(true).write(true).open(&name).expect("its other end");
        let person = File::from(master.as_fd().try_clone_to_owned().expect("a descriptor"));
        let pty = Self { person, program, name };
        // The smallest window in which the game plays.
        pty.resize(22, 80);
        pty
    }

    fn resize(&self, rows: u16, columns: u16) {
        let size = format!("rows {rows} columns {columns}");
        let mut stty = Command::new("stty");
        stty.args(["-F", &self.name]).args(size.split(' '));
        assert!(stty.status().expect("stty of coreutils").success());
    }

    /// Starts a command that has the terminal as its own: without it, that of the person who runs the
    /// tests would be asked for its size.
    fn spawn(&self, command: &[&str]) -> Child {
        let stdio = || Stdio::from(self.program.try_clone().expect("a descriptor"));
        let mut setsid = Command::new("setsid");
        setsid.arg("--ctty").args(command).stdin(stdio()).stdout(stdio()).stderr(stdio());
        setsid.env("TERM", "xterm-256color").env("RUST_BACKTRACE", "0");
        setsid.spawn().expect("setsid of util-linux")
    }
}

/// A program in a terminal; dropping it kills the program.
struct Game {
    child: Child,
    pty: Pty,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// How the terminal was set before.
    before: Termios,
}

impl Game {
    fn start(args: &[&str]) -> Self {
        let pty = Pty::new();
        let before = tcgetattr(&pty.program).expect("a terminal");
        let child = pty.spawn(&[&[env!("CARGO_BIN_EXE_race-by-hand")], args].concat());
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
        Self { child, pty, output, screen: vt100::Parser::new(22, 80, 0), before }
    }

    fn press(&mut self, keys: &str) {
        self.pty.person.write_all(keys.as_bytes()).expect("the terminal");
    }

    /// Presses a key and waits until the screen shows `text`.
    #[track_caller]
    fn play(&mut self, key: &str, text: &str) {
        self.press(key);
        self.wait(text);
    }

    /// What the screen shows, with the line ends as spaces.
    fn text(&self) -> String {
        let shown = self.screen.screen().contents();
        // A sentence goes on in the next line of its window.
        let words = shown.split(['\n', '│']).flat_map(str::split_whitespace);
        words.collect::<Vec<_>>().join(" ")
    }

    /// Waits until the screen shows `text`.
    #[track_caller]
    fn wait(&mut self, text: &str) {
        self.wait_until(text, |game| game.text().contains(text));
    }

    #[track_caller]
    fn wait_until(&mut self, what: &str, there: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !there(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(why) => panic!("{why}: no {what:?} on\n{}", self.screen.screen().contents()),
            }
        }
    }

    /// The two processes, by the pids on the screen.
    fn processes(&self) -> [Pid; 2] {
        let text = self.text();
        let mut pids =
            text.split("pid ").skip(1).filter_map(|it| it.split(',').next()?.parse().ok());
        [(); 2].map(|()| Pid::from_raw(pids.next().expect("a pid on the screen")))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it runs");
    }

    /// Waits until the program has ended. The two processes must be gone, and the terminal must be as it
    /// was, with `says` on it, unless the program could not help it.
    #[track_caller]
    fn finish(mut self, restores: bool, says: &str) -> ExitStatus {
        let processes = self.processes();
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end\n{}", self.text());
            thread::sleep(Duration::from_millis(1));
        };
        for pid in processes {
            while is_alive(pid) {
                assert!(Instant::now() < deadline, "process {pid} is left");
                thread::sleep(Duration::from_millis(1));
            }
        }
        if restores {
            self.wait_until("the old screen", |game| {
                let screen = game.screen.screen();
                !screen.alternate_screen() && !screen.hide_cursor() && game.text().contains(says)
            });
            assert_eq!(tcgetattr(&self.pty.program).expect("a terminal"), self.before);
        }
        status
    }
}

impl Drop for Game {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the process runs; one that has ended and that nobody has waited for does not.
fn is_alive(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat")));
    stat.is_ok_and(|it| !it.contains(") Z "))
}

#[test]
fn a_count_is_lost_by_six_keys() {
    let mut game = Game::start(&["lost-update"]);
    game.wait("Press 1 to let process 1 do that line");
    game.play("1", "Process 1: load count: 0.");
    game.play("2", "Process 2: load count: 0.");
    game.play("1", "next, line 11: store count: 1");
    game.play("2", "Process 2: compute 1.");
    game.play("1", "process 1 stored, was 0");
    game.play("2", "The goal is reached");
    game.wait("process 2 stored, was 1");
    game.wait("Schedule so far: 121212");
    // A step back, another way: no count is lost any more, but the first one has been.
    game.play("u", "Schedule so far: 12121 1");
    game.play("r", "Nothing yet");
    game.play("c", "lost-update: one atomic add");
    game.play("1", "add 1 to count (was 0)");
    game.play("2", "Over, and nothing has gone wrong");
    game.press("q");
    assert!(game.finish(true, "").success());
}

#[test]
fn a_process_that_waits_cannot_be_stepped() {
    let mut game = Game::start(&["spin-lock", "--cure"]);
    game.play("1", "Process 1: swap locked: 1 (was 0).");
    game.play("2", "waits while locked is 1");
    game.play("2", "Not now");
    game.wait("Schedule so far: 12 1");
    // The arrows do the same as the digits.
    for text in ["load count: 0", "store count: 1", "store locked: 0"] {
        game.play("\x1b[D", text);
    }
    game.play("\x1b[C", "wait is over");
    game.press("q");
    assert!(game.finish(true, "").success());
}

#[test]
fn each_wrong_scenario_is_won_and_its_cure_is_not() {
    let mut game = Game::start(&["lost-update"]);
    for name in [
        "lost-update",
        "limit",
        "torn",
        "publish",
        "first-comer",
        "spin-lock",
        "dead-writer",
        "aba",
    ] {
        game.wait(&format!("{name}: "));
        game.play("s", "plays the shortest");
        game.wait("any other key closes this");
        // The whole story is on the screen, also in the smallest window.
        game.play("p", "The goal is reached");
        game.wait("n the next race.");
        game.press("c");
        game.play("s", ", none ");
        game.wait("any key closes this");
        game.play("?", "Nothing yet");
        // The explanation fits as well.
        game.play("?", "Any key closes this.");
        game.play(" ", "Nothing yet");
        game.press("n");
        if name == "torn" {
            game.wait("seqlock: seqlock");
            game.press("n");
        }
    }
    game.wait("peterson: ");
    game.play("s", ", none loses a count");
    game.play(" ", "Nothing yet");
    game.press("q");
    assert!(game.finish(true, "").success());
}

#[test]
fn without_a_name_there_is_a_list_to_choose_from() {
    let mut game = Game::start(&[]);
    game.wait("What do you play?");
    game.play("\x1b[B", "> limit");
    game.play("\r", "limit: test, then add");
    game.play("m", "> limit");
    game.play("\r", "limit: test, then add");
    game.press("q");
    assert!(game.finish(true, "").success());
}

#[test]
fn a_window_may_change_its_size() {
    let mut game = Game::start(&["peterson"]);
    game.wait("Nothing yet");
    for (columns, rows, text) in [
        (40, 10, "This window is too small: 40x10"),
        (200, 50, "sequentially consistent"),
        (80, 22, "the shared page: whole accesses"),
    ] {
        game.screen.screen_mut().set_size(rows, columns);
        game.pty.resize(rows, columns);
        game.wait(text);
    }
    game.press("q");
    assert!(game.finish(true, "").success());
}

#[test]
fn a_signal_or_ctrl_c_leaves_the_terminal_as_it_was() {
    for (signal, says) in [
        (Signal::SIGTERM, "stopped by SIGTERM"),
        (Signal::SIGHUP, "stopped by SIGHUP"),
        (Signal::SIGINT, "stopped by SIGINT"),
    ] {
        let mut game = Game::start(&["torn"]);
        game.play("1", "Schedule so far: 1");
        match signal {
            // A person's Ctrl-C is a key here.
            Signal::SIGINT => game.press("\x03"),
            _ => game.signal(signal),
        }
        let status = game.finish(true, says);
        let number = signal as i32;
        assert!(status.code() == Some(128 + number) || status.signal() == Some(number), "{status}");
    }
}

#[test]
fn a_search_can_be_ended_by_a_signal() {
    let mut game = Game::start(&["seqlock"]);
    game.play("s", "schedules so far");
    game.signal(Signal::SIGTERM);
    game.finish(true, "stopped by SIGTERM");
}

/// With SIGHUP ignored, as under nohup(1), nothing else says that the terminal has gone.
#[test]
fn the_game_ends_with_its_terminal() {
    let pty = Pty::new();
    let script = concat!("trap '' HUP; exec ", env!("CARGO_BIN_EXE_race-by-hand"), " torn");
    let mut child = pty.spawn(&["sh", "-c", script]);
    let Pty { mut person, program, .. } = pty;
    drop(program);
    let mut shown = String::new();
    while !shown.contains("Nothing") {
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

#[test]
fn the_processes_end_with_a_killed_scheduler() {
    let mut game = Game::start(&["lost-update"]);
    game.play("1", "Schedule so far: 1");
    game.signal(Signal::SIGKILL);
    assert_eq!(game.finish(false, "").signal(), Some(9));
}

/// The pids on the screen are those of real processes.
#[test]
fn a_writer_may_be_killed_from_another_terminal() {
    let mut game = Game::start(&["dead-writer"]);
    game.play("1", "Process 1: swap locked: 1 (was 0).");
    game.wait("next, line 19: store words[0]: 1");
    kill(game.processes()[0], Signal::SIGKILL).expect("the writer runs");
    game.wait("killed before line 19");
    game.play("2", "The reader waits for ever");
    game.wait("Schedule so far: 1k2");
    game.press("q");
    assert!(game.finish(true, "").success());
}
