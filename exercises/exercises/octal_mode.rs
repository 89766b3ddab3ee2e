//! A segment that its owner may read and write, and nobody else. Its owner cannot attach it,
//! and `ipcs -m` prints the mode 130.
//!
//! Question: what else does C's `shmget(key, size, 0666)` do if somebody forgets the leading 0? IPC_CREAT is 01000.

#![forbid(unsafe_code)]

use common::Result;
use common::sysv::{Key, Segment};

/// Makes a segment for one record.
fn make() -> Result<Segment> {
    // TODO: the last number is the mode. In which base is it written, and in which one is it meant?
    Segment::create(Key::Private, 68, 600)
}

/// The mode as the kernel knows it: /proc/sysvipc/shm.
fn mode_of(segment: &Segment) -> Option<u32> {
    let listed = common::proc::segments().ok()?;
    Some(listed.iter().find(|it| it.id == segment.id())?.mode)
}

fn main() {
    let segment = make().expect("a segment");
    let mode = mode_of(&segment).unwrap_or(0);
    segment.remove().expect("removed");
    println!("ipcs -m would print the mode {mode:03o}.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_may_read_and_write_and_nobody_else() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let segment = make().expect("a segment");
        let mode = mode_of(&segment);
        segment.remove().expect("removed");

        let mode = mode.expect("it is listed in /proc/sysvipc/shm");
        let why = if mode == 0o130 { " (600 and 0600 are decimal in Rust)" } else { "" };
        let [owner, group, others] = [mode >> 6 & 0o7, mode >> 3 & 0o7, mode & 0o7];
        assert!(
            owner == 0o6,
            "mode {mode:03o}: the owner needs 6, read and write, and has {owner}{why}"
        );
        assert!(group == 0, "mode {mode:03o}: the group has {group}, and should have nothing");
        assert!(others == 0, "mode {mode:03o}: the others have {others}, and should have nothing");
    }
}
