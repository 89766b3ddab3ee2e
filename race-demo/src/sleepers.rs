//! Whether processes sleep in the kernel and are not woken: proc_pid_status(5).

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

/// How long nobody must have woken. Much longer than anything here sleeps of its own accord.
pub(crate) const SILENCE: Duration = Duration::from_secs(1);

/// Since when processes sleep, as far as we have looked.
#[derive(Default)]
pub(crate) struct Sleepers(HashMap<Pid, (u64, Instant)>);

impl Sleepers {
    /// Looks at the processes again: whether all have slept for [`SILENCE`] without waking once.
    ///
    /// A busy machine makes no difference: who is woken and waits for a processor is runnable, and
    /// does not sleep. Nor does who is stopped, as by Ctrl-Z.
    pub(crate) fn sleep_on(&mut self, pids: impl Iterator<Item = Pid>) -> bool {
        // Everybody is looked at, also when the first is awake.
        let awake = pids.filter(|pid| !self.sleeps_on(*pid)).count();
        awake == 0
    }

    fn sleeps_on(&mut self, pid: Pid) -> bool {
        let Some(times) = asleep(pid) else {
            self.0.remove(&pid);
            return false;
        };
        let (before, since) = *self.0.entry(pid).or_insert((times, Instant::now()));
        if before != times {
            // It has woken and gone to sleep again.
            self.0.insert(pid, (times, Instant::now()));
        }
        before == times && since.elapsed() >= SILENCE
    }
}

/// If the process sleeps: how many times it has given up the processor, this time included.
fn asleep(pid: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name| status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()));
    // S is a sleep that a signal ends, such as that in futex(2), semop(2) or fcntl(2).
    field("State:")?.starts_with('S').then_some(())?;
    field("voluntary_ctxt_switches:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;

    use super::*;

    #[test]
    fn who_sleeps_does_so_for_as_long_as_the_silence_before_it_counts() {
        const PATIENCE: Duration = Duration::from_secs(60);
        let mut child = Command::new("sleep").arg("3600").spawn().expect("sleep of coreutils");
        let pid = Pid::from_raw(child.id().cast_signed());
        let (mut sleepers, start) = (Sleepers::default(), Instant::now());
        while !sleepers.sleep_on([pid].into_iter()) && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(10));
        }
        let silent = start.elapsed();
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert!((SILENCE..PATIENCE).contains(&silent), "{silent:?}");
    }
}
