//! kill -9 at bad moments, and nobody sleeps for good beside a mutex that nobody owns.
//!
//! Two of the tests kill 300 processes each. `KILLS=10000 cargo test -p e2e --test mutex_kills`
//! kills more of them, in some five minutes.

use std::fs;
use std::process::ExitCode;
use std::thread::{sleep, yield_now};
use std::time::{Duration, Instant};

use common::Counters;
use common::ReadWrite;
use common::mapping::Mapping;
use common::sync::mutex::{Guard, Lock, Mutex};
use e2e::forking::{Test, run};
use nix::errno::Errno;
use terminal::process::{Child, start_child};
use terminal::{Stop, Terminal};

const TESTS: [(&str, Test); 4] = [
    ("a killed waiter takes its wake-up along, and nobody sleeps on", waiter_killed),
    ("processes are killed at random, and nobody sleeps on", anybody_killed),
    ("a mutex that nobody repairs is lost for all who wait", unrepaired),
    ("who waits long does not poll", waits_long),
];

fn main() -> ExitCode {
    run(&TESTS)
}

/// How many processes to kill.
fn kills() -> u32 {
    std::env::var("KILLS").map_or(300, |kills| kills.parse().expect("KILLS=NUMBER"))
}

/// Two processes wait. The owner unlocks, which wakes the first of them; locks again, before that
/// one can; and kills it. The wake-up is lost. The mutex was taken the second time without the mark
/// that somebody waits, so the second unlock wakes nobody.
fn waiter_killed(terminal: &mut Terminal) -> Result<(), Stop> {
    let (kills, mut lost) = (kills(), 0);
    let mut waiting = Vec::new();
    for _ in 0..kills {
        let mutex = Mutex::<Counters<2>>::anonymous()?;
        let lock_once = || lock_clean(&mutex).map(drop);
        let guard = lock_clean(&mutex)?;
        let first = fork_until_asleep(terminal, || {
            wake_up_slowly();
            lock_once()
        })?;
        let second = fork_until_asleep(terminal, lock_once)?;
        drop(guard);
        let guard = lock_clean(&mutex)?;
        // Dropping a child kills it, with SIGKILL, and waits until it is gone.
        drop(first);
        drop(guard);
        lost += u32::from(is_asleep(&second));
        // The others are killed while this one sleeps.
        waiting.push(second);
        if waiting.len() == 20 {
            wait_for_all(&mut waiting, terminal)?;
        }
    }
    println!("{kills} kills, {lost} wake-ups lost");
    wait_for_all(&mut waiting, terminal)
}

/// Has this process, when it is woken, not take the processor away from whoever has woken it:
/// sched_setscheduler(2) with `SCHED_BATCH`. So more of the kills come in time.
fn wake_up_slowly() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call only reads the parameters. 0 is this process.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
}

/// Three processes lock as fast as they can, and give way while they own the mutex. One of them is
/// killed at some moment. The other two go on and are told if it was the owner; and they can end.
fn anybody_killed(terminal: &mut Terminal) -> Result<(), Stop> {
    const STOP: usize = 0;
    const REPAIRS: usize = 1;
    let (kills, mut repairs) = (kills(), 0);
    for _ in 0..kills {
        let mutex = Mutex::<Counters<2>>::anonymous()?;
        let signs = Mapping::<Counters<2>, ReadWrite>::anonymous()?;
        let work = || {
            while signs.get(STOP) == 0 {
                let guard = match mutex.lock()? {
                    Lock::Clean(guard) => guard,
                    Lock::OwnerDied(broken) => {
                        signs.writer().add_one(REPAIRS);
                        broken.repair(|pair| pair.set(1, pair.get(0)))?
                    }
                };
                let pair = guard.writer();
                assert_eq!(pair.get(0), pair.get(1), "half stored, and nobody says so");
                pair.set(0, pair.get(0) + 1);
                yield_now();
                pair.set(1, pair.get(1) + 1);
            }
            Ok(())
        };
        let killed = start_child(terminal, |_| work())?;
        let mut left = vec![start_child(terminal, |_| work())?, start_child(terminal, |_| work())?];
        terminal.pause(Duration::from_micros(fastrand::u64(..1000)))?;
        drop(killed);
        signs.writer().set(STOP, 1);
        wait_for_all(&mut left, terminal)?;
        repairs += signs.get(REPAIRS);
    }
    println!("{kills} kills, {repairs} repairs");
    Ok(())
}

/// Four processes wait, and the owner is killed. The next one is told so and does not repair. Then
/// all others must hear that the mutex is lost, and not only the one that waits behind it.
fn unrepaired(terminal: &mut Terminal) -> Result<(), Stop> {
    const DIED: usize = 0;
    const LOST: usize = 1;
    let mutex = Mutex::<Counters<2>>::anonymous()?;
    let told = Mapping::<Counters<2>, ReadWrite>::anonymous()?;
    let owner = fork_until_asleep(terminal, || {
        let _guard = lock_clean(&mutex)?;
        sleep(Duration::from_secs(3600));
        Ok(())
    })?;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(fork_until_asleep(terminal, || {
            match mutex.lock() {
                Ok(Lock::Clean(_)) => panic!("the owner died, and nobody says so"),
                Ok(Lock::OwnerDied(_)) => told.writer().add_one(DIED),
                Err(error) if error.errno() == Some(Errno::ENOTRECOVERABLE) => {
                    told.writer().add_one(LOST);
                }
                Err(error) => return Err(error.into()),
            }
            Ok(())
        })?);
    }
    drop(owner);
    wait_for_all(&mut waiting, terminal)?;
    assert_eq!((told.get(DIED), told.get(LOST)), (1, 3));
    Ok(())
}

fn waits_long(terminal: &mut Terminal) -> Result<(), Stop> {
    let mutex = Mutex::<Counters<2>>::anonymous()?;
    let guard = lock_clean(&mutex)?;
    let waiter = fork_until_asleep(terminal, || lock_clean(&mutex).map(drop))?;
    terminal.pause(Duration::from_millis(500))?;
    // In hundredths of a second: user time and system time.
    let used: u32 = stat(&waiter)[11..13].iter().map(|time| time.parse().unwrap_or(0)).sum();
    assert!(used <= 5, "half a second of waiting, {used}0 ms of it busy");
    drop(guard);
    wait_for_all(&mut vec![waiter], terminal)
}

fn lock_clean(mutex: &Mutex<Counters<2>>) -> Result<Guard<'_, Counters<2>>, Stop> {
    match mutex.lock()? {
        Lock::Clean(guard) => Ok(guard),
        Lock::OwnerDied(_) => panic!("no owner has died"),
    }
}

/// Whoever still sleeps after this time is taken to sleep for good. It is no measure of speed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until all of `children`, whose mutex nobody owns for long, have ended well.
fn wait_for_all(children: &mut Vec<Child>, terminal: &mut Terminal) -> Result<(), Stop> {
    let deadline = Instant::now() + PATIENCE;
    for mut child in children.drain(..) {
        while child.is_running()? {
            if Instant::now() > deadline {
                let sleeps = if is_asleep(&child) { "sleeps" } else { "runs" };
                panic!("nobody owns the mutex, and process {} still {sleeps}", child.pid());
            }
            terminal.pause(Duration::from_millis(1))?;
        }
    }
    Ok(())
}

/// Forks a child that runs `program`, and returns when it sleeps in there.
fn fork_until_asleep(
    terminal: &mut Terminal,
    program: impl FnOnce() -> Result<(), Stop>,
) -> Result<Child, Stop> {
    let child = start_child(terminal, |_| program())?;
    let deadline = Instant::now() + PATIENCE;
    while !is_asleep(&child) {
        assert!(Instant::now() < deadline, "process {} does not sleep", child.pid());
        terminal.pause(Duration::from_micros(100))?;
    }
    Ok(child)
}

/// Whether `child` sleeps until something happens, rather than run or wait for a processor.
fn is_asleep(child: &Child) -> bool {
    stat(child)[0] == "S"
}

/// What the kernel tells of `child`, from its state on: proc_pid_stat(5).
fn stat(child: &Child) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.pid())).expect("a child of ours");
    // The state follows the name, which stands in parentheses.
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    fields.split(' ').map(String::from).collect()
}
