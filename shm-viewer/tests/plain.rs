//! The picture as plain text, and the overview.

use std::fs;
use std::process::Command;

use common::ReadWrite;
use common::proc::maps;
use common::sysv::Segment;
use e2e::{Outcome, Running, TestKey, may_see_frames, run, skip, start};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::geteuid;

const VIEWER: &str = env!("CARGO_BIN_EXE_shm-viewer");

fn viewer(args: &[&str]) -> Outcome {
    Running::start(Command::new(VIEWER).args(args)).finish()
}

#[test]
fn without_a_terminal_it_prints_the_picture_and_changes_nothing() {
    let key = TestKey::new();
    let mut writer = start("shm-sysv-writer", ["-k", &key.arg(), "-i", "20ms", "-n", "100000000"]);
    writer.wait_stdout("count: ");
    let segment = key.segment().expect("the writer's");
    let before = segment.status().expect("status");
    let shown = viewer(&["--key", &key.arg()]).exited(0).stdout;
    let pid = writer.pid();
    let all = maps(pid).expect("it runs");
    let line = all.iter().find(|it| it.shmid() == Some(segment.id())).expect("attached");
    let (start, end) = (line.addresses.start, line.addresses.end);
    for part in [
        format!("segment {}, key {} ", segment.id(), key.arg()),
        "nattch 2, one of them this viewer\n".into(),
        format!("shm_cpid {pid} (shm-sysv-writer), shm_lpid {pid} (shm-sysv-writer)\n"),
        format!("writer, creator, pid {pid}, shm-sysv-writer\n  {start:x}-{end:x} rw-s\n"),
        "  ====> loads and stores\n".into(),
        "ip    0004  31 32 37 2e 30 2e 30 2e 31 00".into(),
    ] {
        assert!(shown.contains(&part), "no {part:?} in\n{shown}");
    }
    let proof = match may_see_frames() {
        true => "in 2 page tables: it is one page",
        false => "frame hidden: needs CAP_SYS_ADMIN",
    };
    assert!(shown.contains(proof), "no {proof:?} in\n{shown}");
    assert!(!shown.contains('\x1b'), "{shown:?}");
    let after = segment.status().expect("status");
    assert_eq!(
        (before.attached, before.mode, before.size),
        (after.attached, after.mode, after.size)
    );
}

#[test]
fn what_is_not_there_is_not_made() {
    let key = TestKey::new();
    let none = viewer(&["--key", &key.arg(), "--once"]).exited(1);
    assert!(none.stderr.starts_with("error: shmget, key"), "{none:?}");
    assert!(none.stderr.contains("start a writer"), "{none:?}");
    assert!(Segment::find(key.key()).is_err(), "it makes no segment");
    let none = viewer(&["--file", "/nowhere/at/all"]).exited(1);
    assert!(none.stderr.starts_with("error: open, /nowhere/at/all: ENOENT"), "{none:?}");
    let private = viewer(&["--key", "private"]).exited(1);
    assert!(private.stderr.contains("--id SHMID"), "{private:?}");
    assert!(viewer(&["--interval", "1ms"]).exited(2).stderr.contains("at least 10ms"));
}

#[test]
fn the_overview_knows_what_nobody_needs() {
    // A segment whose creator has gone, one of a process that is there, an object, a memfd.
    let gone = Running::start(
        e2e::program("shm-sysv-writer").args(["-k", "private", "-n", "1", "-i", "0s"]),
    );
    let created = gone.created();
    let gone = gone.finish().exited(0);
    let stale = created.segments()[0];
    let key = TestKey::new();
    let segment = Segment::create(key.key(), 68, 0o600).expect("a segment");
    let _attached = segment.attach::<common::SharedConnStat, ReadWrite>().expect("attached");
    let object = format!("/dev/shm/viewer test {}", std::process::id());
    fs::write(&object, b"left").expect("/dev/shm");
    let memfd = memfd_create("viewer", MFdFlags::MFD_ALLOW_SEALING).expect("a memfd");
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    fcntl(&memfd, FcntlArg::F_ADD_SEALS(seals)).expect("sealed");

    let shown = viewer(&["--list"]).exited(0).stdout;
    let again = fs::remove_file(&object);
    let us = std::process::id();
    for part in [
        format!("made by {} (gone", gone.pid),
        format!("nobody, and its creator is gone: ipcrm -m {} removes it\n", stale.id),
        format!("  {:<6} 0x", segment.id()),
        format!("{us} plain-"),
        format!("  {object}: 4 bytes"),
        format!("rm '{object}' removes it\n"),
        "  /memfd:viewer: 0 bytes".into(),
        "; sealed: shrink grow\n".into(),
        "has it open: descriptor ".into(),
    ] {
        assert!(shown.contains(&part), "no {part:?} in\n{shown}");
    }
    again.expect("ours");
    // Others may make and remove segments at any time.
    let sums: Vec<_> = shown.lines().filter(|it| it.contains(" segments, ")).collect();
    let numbers = |line: &str| {
        line.split(": ")
            .nth(1)
            .and_then(|it| it.split(" in memory").next())
            .map(str::trim)
            .map(str::to_owned)
    };
    assert_eq!(sums.len(), 2, "{shown}");
    if sums[1].ends_with(": the same") {
        assert_eq!(numbers(sums[0]), numbers(sums[1]), "{shown}");
    }
    let _ = run("shm-sysv-reader", ["--id", &stale.id.to_string(), "-n", "1"]).exited(0);
}

/// Runs the viewer by another program, which makes its surroundings; root alone may.
fn surrounded(by: &[&str], args: &[&str]) -> Option<Outcome> {
    let tried = Command::new(by[0]).args(&by[1..]).arg("true").status();
    if !geteuid().is_root() || !tried.is_ok_and(|it| it.success()) {
        skip(&format!("{by:?}: not allowed here"));
        return None;
    }
    Some(Running::start(Command::new(by[0]).args(&by[1..]).arg(VIEWER).args(args)).finish())
}

#[test]
fn what_may_not_be_seen_is_said() {
    let key = TestKey::new();
    let segment = Segment::create(key.key(), 68, 0o644).expect("a segment");
    let attached = segment.attach::<common::SharedConnStat, ReadWrite>().expect("attached");
    assert_eq!(attached.writer().increment(), 1);
    let args = ["--once", "--id", &segment.id().to_string()];
    let says = |outcome: Option<Outcome>, parts: &[&str]| {
        let Some(outcome) = outcome else { return };
        let shown = outcome.exited(0).stdout;
        for part in parts {
            assert!(shown.contains(part), "no {part:?} in\n{shown}");
        }
    };
    // Another user.
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    if Command::new(nobody[0])
        .args(&nobody[1..])
        .args([VIEWER, "--version"])
        .output()
        .is_ok_and(|it| it.status.success())
    {
        says(
            surrounded(&nobody, &args),
            &[
                "nattch 2, one of them this viewer; 1 not seen (",
                "may not be looked at",
                "frame hidden: needs CAP_SYS_ADMIN",
            ],
        );
        says(
            surrounded(&nobody, &["--list"]),
            &["1 attachments of processes that we do not see", "could not be looked at"],
        );
    } else {
        skip("another user: may not run the viewer here");
    }
    // Another PID namespace: no pid that the kernel has noted means anything there.
    says(
        surrounded(&["unshare", "--pid", "--fork", "--mount-proc"], &args),
        &["shm_cpid 0 (in another PID namespace)", "nattch 2, one of them this viewer; 1 not seen"],
    );
    // No /proc.
    let none = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /proc; exec \"$0\" \"$@\""];
    says(
        surrounded(&none, &args),
        &["nattch 2, one of them this viewer; /proc, which says whose they are: ENOENT"],
    );
    says(
        surrounded(&none, &["--list"]),
        &["/proc/sysvipc/shm cannot be read: ENOENT", "/proc, which says who has what: ENOENT"],
    );
    // Another IPC namespace.
    says(surrounded(&["unshare", "--ipc"], &["--list"]), &[": 0 of at most ", "\n  none\n"]);
}

#[test]
fn a_segment_that_may_not_be_read_is_an_error_with_advice() {
    let key = TestKey::new();
    let segment = Segment::create(key.key(), 68, 0o600).expect("a segment");
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    if let Some(outcome) = surrounded(&nobody, &["--once", "--id", &segment.id().to_string()])
        && outcome.status.code() != Some(126)
    {
        let outcome = outcome.exited(1);
        assert!(
            outcome
                .stderr
                .contains("EACCES (Permission denied)\n  help: the segment is another user's"),
            "{outcome:?}"
        );
    }
}
