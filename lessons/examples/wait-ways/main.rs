//! Parent and child take turns, by eight ways of telling the other side. How long does a round take?
//!
//! ```text
//! cargo run -p lessons --example wait-ways
//! ```
//!
//! predict: a futex is a word in shared memory. How many times faster than a pipe is it?

#![forbid(unsafe_code)]

mod ways;

use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use common::Result;
use common::mapping::Region;
use common::proc::page_size;
use lessons::{On as _, own_ipc_namespace, scratch_file};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::mman::{MapFlags, ProtFlags};
use nix::sys::resource::{UsageWho, getrusage};
use terminal::process::{Fork, fork};
use ways::{Side, Turn};

const ROUNDS: usize = 2000;
/// A busy machine gets as far as this.
const LONGEST: Duration = Duration::from_millis(500);

fn main() -> Result<()> {
    // The message queue outlives its processes, unless it is in a namespace that goes with them.
    let _ = own_ipc_namespace();
    println!("way             median us       99% us  sleeps a round");
    measure("spin", &ways::Spin::new()?)?;
    measure("futex", &ways::Futex::new()?)?;
    measure("condvar", &ways::CondVar::new()?)?;
    measure("sem_t", &ways::Semaphores::new()?)?;
    measure("eventfd", &ways::EventFds::new()?)?;
    measure("pipe", &ways::Pipes::new()?)?;
    measure("socket", &ways::Sockets::new()?)?;
    let queue = ways::Queue::new()?;
    let measured = measure("System V queue", &queue);
    queue.remove().and(measured)?;
    inotify()
}

/// A round: the parent gives the turn away, and waits until it has it again.
fn measure(name: &str, way: &impl Turn) -> Result<()> {
    let child = match fork()? {
        Fork::Parent(child) => child,
        Fork::Child => {
            // For ever: the parent ends it, since a child that is dropped is killed.
            while way.take(Side::Child).and_then(|()| way.give(Side::Parent)).is_ok() {}
            std::process::exit(1)
        }
    };
    let mut rounds = Vec::with_capacity(ROUNDS);
    let (start, sleeps_before) = (Instant::now(), sleeps()?);
    while rounds.len() < ROUNDS && start.elapsed() < LONGEST {
        let round = Instant::now();
        way.give(Side::Child)?;
        way.take(Side::Parent)?;
        rounds.push(round.elapsed());
    }
    let slept = f64::from(sleeps()? - sleeps_before) / rounds.len() as f64;
    drop(child);
    rounds.sort();
    let us = |part: usize| rounds[(rounds.len() - 1) * part / 100].as_secs_f64() * 1e6;
    println!("{name:<14} {:>10.2} {:>12.2} {slept:>15.2}", us(50), us(99));
    Ok(())
}

/// How often this process has gone to sleep: getrusage(2) `ru_nvcsw`, voluntary context switches.
fn sleeps() -> Result<i32> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).on("getrusage", "this process")?;
    Ok(i32::try_from(usage.voluntary_context_switches()).unwrap_or(i32::MAX))
}

/// A ninth way that does not work: a store is no system call, so the kernel has nothing to tell.
fn inotify() -> Result<()> {
    let file = scratch_file()?;
    file.set_len(page_size() as u64).on("ftruncate", "the file")?;
    let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let pages = Region::map(page_size(), rights, MapFlags::MAP_SHARED, Some((&file, 0)))?;
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK).on("inotify_init1", "the file")?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let watched = inotify.add_watch(path.as_str(), AddWatchFlags::IN_MODIFY);
    watched.on("inotify_add_watch", path)?;
    pages.store(0, 1);
    println!("inotify, after a store: {}", events(&inotify));
    file.write_all_at(&[2], 0).on("pwrite", "the file")?;
    println!("inotify, after pwrite: {}", events(&inotify));
    Ok(())
}

fn events(inotify: &Inotify) -> String {
    // EAGAIN: there is none.
    inotify.read_events().map_or_else(|it| format!("{it:?}"), |it| format!("{} event", it.len()))
}
