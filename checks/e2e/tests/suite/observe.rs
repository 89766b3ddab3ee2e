//! What a test can see of the programs: their lines, and what the kernel says of their mappings.

use std::fs;
use std::process::Command;

use common::ConnStat;
use nix::unistd::Pid;

/// The counts on a reader's stdout, which must hold nothing else: each line `ip = IP, count: N`,
/// and no count below the one before it.
#[track_caller]
pub(crate) fn counts_seen(stdout: &str, ip: &str) -> Vec<i32> {
    let counts = counts_after(&format!("ip = {ip}, count: "), stdout);
    assert!(counts.is_sorted(), "counts went back: {counts:?}");
    counts
}

/// Like [`counts_seen`], for a reader that was there before the writer: a count comes with the text
/// that was stored before it, but what is beside the count of 0 may still be on its way.
#[track_caller]
pub(crate) fn counts_from_the_start(stdout: &str, ip: &str) -> Vec<i32> {
    let is_waiting = |line: &&str| line.starts_with("ip = ") && line.ends_with(", count: 0");
    let counted: Vec<_> = stdout.lines().skip_while(is_waiting).collect();
    counts_seen(&counted.join("\n"), ip)
}

/// The counts on a writer's stdout, which must hold nothing else: each line `count: N`.
#[track_caller]
pub(crate) fn counts_printed(stdout: &str) -> Vec<i32> {
    counts_after("count: ", stdout)
}

#[track_caller]
fn counts_after(prefix: &str, stdout: &str) -> Vec<i32> {
    let mut counts = Vec::new();
    for line in stdout.lines() {
        let count = line.strip_prefix(prefix).and_then(|it| it.parse().ok());
        counts.push(count.unwrap_or_else(|| panic!("not {prefix}N: {line:?} in\n{stdout}")));
    }
    counts
}

/// The lines of /proc/PID/maps that name `object`, each without all that differs from run to run:
/// only the rights, such as `r--s`.
pub(crate) fn rights(pid: Pid, object: &str) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process runs");
    let fields = maps.lines().filter(|line| line.ends_with(object));
    fields.filter_map(|line| Some(line.split_whitespace().nth(1)?.to_owned())).collect()
}

/// The record that a program of another language would find in `bytes`.
#[track_caller]
pub(crate) fn record(bytes: &[u8]) -> ConnStat {
    assert_eq!(bytes.len(), 68);
    bytemuck::pod_read_unaligned(bytes)
}

/// Runs `command` with its arguments in a shell that has set `umask` before.
pub(crate) fn with_umask(umask: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"umask "$0" && exec "$@""#, umask]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}
