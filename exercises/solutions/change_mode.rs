//! The owner of a segment lets its group read it. From then on the segment belongs to root, and its
//! owner may not even look at it.
//!
//! Question: IPC_SET changes owner and mode. Why is there no such call for the size?
//!
//! Answer: because of those who have it attached. They were promised the size that they have mapped: if it
//! shrank, their next access would be a SIGBUS, as with a file that is truncated; if it grew, their mappings
//! would not. A file has ftruncate(2), and all the trouble that comes with it.

#![forbid(unsafe_code)]

use lab::{Permissions, ipc_set, ipc_stat};

const GROUP_READS: u32 = 0o040;

/// Lets the group read the segment `id`, and changes nothing else.
fn let_the_group_read(id: i32) -> nix::Result<()> {
    // Ask, change, set: IPC_SET takes all three over, and user 0 is root. Who changes the segment between the two
    // calls is overwritten: there is no call that changes one bit.
    let before = ipc_stat(id)?;
    ipc_set(id, Permissions { mode: before.mode | GROUP_READS, ..before })
}

fn main() {
    // There is no segment with a negative id.
    println!("shmctl, segment -1: {:?}", let_the_group_read(-1).expect_err("no segment"));
    println!("shmctl, segment -1: {:?}", ipc_stat(-1).expect_err("no segment"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::sysv::Segment;
    use lab::OwnKey;

    fn check(before: Permissions) {
        let own = OwnKey::new();
        let id = Segment::create(own.key(), 68, 0o600).expect("a segment").id();
        // Whoever has made a segment may give it away, and may still change it.
        ipc_set(id, before).expect("given away");

        let_the_group_read(id).expect("changed");

        let after = ipc_stat(id).expect("it is there");
        let expected = Permissions { mode: before.mode | GROUP_READS, ..before };
        assert!(after.uid == expected.uid, "it belonged to {}, now to {}", before.uid, after.uid);
        assert!(after.gid == expected.gid, "its group was {}, now {}", before.gid, after.gid);
        assert!(
            after.mode == expected.mode,
            "the mode was {:03o}, now it is {:03o}, and should be {:03o}",
            before.mode,
            after.mode,
            expected.mode
        );
    }

    #[test]
    fn its_owner_keeps_it() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        check(Permissions { uid: 54321, gid: 54322, mode: 0o600 });
    }

    #[test]
    fn what_the_others_may_do_stays_as_it_is() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        check(Permissions { uid: 54321, gid: 54322, mode: 0o602 });
        check(Permissions { uid: 54321, gid: 54322, mode: 0o420 });
    }

    #[test]
    fn a_group_that_may_read_still_may() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        check(Permissions { uid: 54321, gid: 54322, mode: 0o640 });
    }
}
