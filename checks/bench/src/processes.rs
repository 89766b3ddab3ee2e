//! Two or more processes, each on a processor of its own, and what they have found out.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::time::{Duration, Instant};

use common::{Counters, Error, ReadWrite, Refusal, mapping::Mapping};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use terminal::process::start_child;
use terminal::{Stop, Terminal};

use crate::way::Result;

/// The processors that the processes run on.
#[derive(Debug, Clone)]
pub struct Processors {
    /// The one that asks, or writes, and the others.
    pub chosen: Vec<usize>,
    /// Why no process can be bound to one of them, if so.
    pub unpinned: Option<String>,
}

impl Processors {
    /// Two processors or more that this process may run on. The second is another core than the first,
    /// and not its other thread, if there is one.
    ///
    /// # Errors
    ///
    /// Refused with a single processor: what is measured here needs two that run at once.
    pub fn find() -> std::result::Result<Self, Stop> {
        let me = Pid::from_raw(0);
        let allowed = sched_getaffinity(me)
            .map_err(|errno| Error::new("sched_getaffinity", "this process", errno))?;
        let mut chosen: Vec<_> =
            (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).collect();
        if chosen.len() < 2 {
            let refusal = Refusal::Other("it may run on a single processor".into());
            let error = Error::refused("sched_getaffinity", "this process", refusal);
            return Err(Stop::because(
                error,
                "run it on a machine with two cores: one core cannot hand over to itself",
            ));
        }
        let siblings = format!("/sys/devices/system/cpu/cpu{}/topology/core_cpus_list", chosen[0]);
        let siblings = listed(&std::fs::read_to_string(siblings).unwrap_or_default());
        if let Some(other) = chosen.iter().position(|cpu| !siblings.contains(cpu)) {
            chosen.swap(1, other.max(1));
        }
        let unpinned = pin(chosen[0]).err().map(|errno| format!("sched_setaffinity: {errno}"));
        let _ = sched_setaffinity(me, &allowed);
        Ok(Self { chosen, unpinned })
    }

    fn of(&self, who: usize) -> usize {
        // Process 0 has the first to itself; the others share the rest.
        if who == 0 { self.chosen[0] } else { self.chosen[1 + (who - 1) % (self.chosen.len() - 1)] }
    }
}

/// The numbers in a list such as `0,4` or `0-1`.
fn listed(list: &str) -> Vec<usize> {
    let mut numbers = Vec::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse()) {
            numbers.extend(first..=last);
        }
    }
    numbers
}

fn pin(cpu: usize) -> nix::Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &only)
}

/// What the processes of one measurement tell each other beside what is measured.
pub struct Control(Mapping<Counters<4>, ReadWrite>);

const ARRIVED: usize = 0;
const LAST: usize = 1;
const BATCH: usize = 2;

impl Control {
    /// Waits until `all` have come here.
    pub fn meet(&self, all: u64) {
        self.0.writer().add_one(ARRIVED);
        while self.0.get(ARRIVED) < all {
            std::thread::yield_now();
        }
    }

    /// Says that `number` is the last one.
    pub fn end_with(&self, number: u64) {
        self.0.writer().set(LAST, number);
    }

    /// The last one, once that is known; 0 before.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.0.get(LAST)
    }

    /// How many messages are sent before the next answer.
    #[must_use]
    pub fn batch(&self) -> u64 {
        self.0.get(BATCH)
    }

    /// Says how many messages are sent before the next answer.
    pub fn set_batch(&self, batch: u64) {
        self.0.writer().set(BATCH, batch);
    }
}

/// How long a measurement may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `work` in as many processes as asked for. Each gets its number, and returns numbers.
///
/// They are forks of this process, which has a single thread and has not called any of the crates that
/// are measured.
///
/// # Errors
///
/// What went wrong in any of them; and a signal that asks this process to end.
pub fn run(
    terminal: &mut Terminal,
    (name, all): (&str, usize),
    processors: &Processors,
    mut work: impl FnMut(usize, &Control) -> Result<Vec<u64>>,
) -> std::result::Result<Vec<Vec<u64>>, Stop> {
    let failed = |reason: String| Error::refused("measure", name, Refusal::Other(reason));
    let control = Control(Mapping::anonymous()?);
    let (mut children, mut files) = (Vec::new(), Vec::new());
    for who in 0..all {
        let file = memfd_create("result", MFdFlags::MFD_CLOEXEC)
            .map_err(|errno| Error::new("memfd_create", "the result", errno))?;
        let mut file = File::from(file);
        let child = start_child(terminal, |_| {
            // So that nobody is left behind if this program is killed.
            let _ = set_pdeathsig(Signal::SIGKILL);
            // Said once at the start, if it can't be.
            let _ = pin(processors.of(who));
            let found = work(who, &control).map_err(|error| failed(error.to_string()))?;
            file.write_all(bytemuck::cast_slice(&found))
                .map_err(|error| failed(error.to_string()))?;
            Ok(())
        })?;
        children.push(child);
        files.push(file);
    }
    let start = Instant::now();
    loop {
        let mut running = false;
        for child in &mut children {
            running |= child.is_running()?;
        }
        if !running {
            break;
        }
        if start.elapsed() > PATIENCE {
            return Err(failed(format!("not done after {} s", PATIENCE.as_secs())).into());
        }
        // Each look takes the processor from one of them for a moment, so there are few.
        terminal.pause(Duration::from_millis(10))?;
    }
    let read = |mut file: File| {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect())
    };
    let found = files.into_iter().map(read).collect::<std::io::Result<_>>();
    Ok(found.map_err(|error| failed(error.to_string()))?)
}
