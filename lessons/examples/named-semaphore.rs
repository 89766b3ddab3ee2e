//! sem_open: a semaphore with a name is a file, and nobody gives back what a dead process has taken.
//!
//! ```text
//! cargo run -p lessons --example named-semaphore
//! cargo run -p lessons --example named-semaphore
//! ```
//!
//! predict: a child takes the semaphore and is killed. What is the count? And in the second run?

#![forbid(unsafe_code)]

use common::Result;
use common::sync::named_semaphore::NamedSemaphore;
use lessons::{On as _, answer};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;
use terminal::ended::in_child;

const NAME: &str = "/lessons-semaphore";

fn main() -> Result<()> {
    // A name of one's own as first argument, for tests and for two students on one machine.
    let name = std::env::args().nth(1).unwrap_or_else(|| NAME.into());

    // sem_open with O_CREAT | O_EXCL: whoever makes it sets the count, and nobody else.
    match NamedSemaphore::create(&name, 0o600, 1) {
        Ok(semaphore) => first_run(&name, &semaphore),
        Err(error) if error.errno() == Some(Errno::EEXIST) => second_run(&name),
        Err(error) => Err(error),
    }
}

fn first_run(name: &str, semaphore: &NamedSemaphore) -> Result<()> {
    println!("made, count {}", semaphore.count()?);
    // Where the C library keeps it is its own affair. With glibc it is this file.
    let path = format!("/dev/shm/sem.{}", name.trim_start_matches('/'));
    let size = std::fs::metadata(&path).map_or(0, |it| it.len());
    eprintln!("{path}: {size} bytes");

    // SIGKILL: no clean-up. System V's SEM_UNDO would give it back; here nobody knows who took it.
    let ended = in_child(|| {
        println!("a child takes it: {}", semaphore.try_take()?);
        kill(getpid(), Signal::SIGKILL).on("kill", "this child")
    })?;
    println!("the child: {ended}, count {}", semaphore.count()?);
    eprintln!("this process ends too; the name stays: run it again");
    Ok(())
}

fn second_run(name: &str) -> Result<()> {
    let semaphore = NamedSemaphore::open(name)?;
    println!("found, sem_trywait: {}", semaphore.try_take()?);
    // sem_unlink: for the one who makes new ones. The old one lives on for those who have it open.
    NamedSemaphore::unlink(name)?;
    println!("sem_unlink, then sem_open: {}", answer(&NamedSemaphore::open(name)));
    semaphore.give()?;
    println!("sem_post, without its name: count {}", semaphore.count()?);
    Ok(())
}
