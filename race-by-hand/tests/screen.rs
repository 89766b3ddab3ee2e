//! The game on a terminal: the real program in a pseudo-terminal, its screen as a person sees it.

use std::ops::{Deref, DerefMut};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use e2e::DEADLINE;
use e2e::screen::{OnScreen, must_end_with_its_terminal};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The game in the smallest window in which it plays.
struct Game(OnScreen);

impl Game {
    fn start(args: &[&str]) -> Self {
        Self(OnScreen::start(&[&[env!("CARGO_BIN_EXE_race-by-hand")], args].concat(), 22, 80))
    }

    /// The two processes, by the pids on the screen.
    fn processes(&self) -> [Pid; 2] {
        let text = self.text();
        let mut pids =
            text.split("pid ").skip(1).filter_map(|it| it.split(',').next()?.parse().ok());
        [(); 2].map(|()| Pid::from_raw(pids.next().expect("a pid on the screen")))
    }

    /// Waits until the program has ended. The two processes must be gone, and the terminal must be as it
    /// was, with `says` on it, unless the program could not help it.
    #[track_caller]
    fn finish(mut self, restores: bool, says: &str) -> ExitStatus {
        let processes = self.processes();
        let status = self.ended();
        let deadline = Instant::now() + DEADLINE;
        for pid in processes {
            while is_alive(pid) {
                assert!(Instant::now() < deadline, "process {pid} is left");
                thread::sleep(Duration::from_millis(1));
            }
        }
        if restores {
            self.must_be_restored(says);
        }
        status
    }
}

impl Deref for Game {
    type Target = OnScreen;

    fn deref(&self) -> &OnScreen {
        &self.0
    }
}

impl DerefMut for Game {
    fn deref_mut(&mut self) -> &mut OnScreen {
        &mut self.0
    }
}

/// Whether the process runs; one that has ended and that nobody has waited for does not.
fn is_alive(pid: Pid) -> bool {
    common::proc::stat(pid).is_ok_and(|it| it.state != 'Z')
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
        game.resize(rows, columns);
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

#[test]
fn the_game_ends_with_its_terminal() {
    must_end_with_its_terminal(concat!(env!("CARGO_BIN_EXE_race-by-hand"), " torn"), "Nothing");
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
