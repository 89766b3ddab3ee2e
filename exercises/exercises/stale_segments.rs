//! A script removes all segments that nobody has attached. Every morning it removes the one of a
//! program that has just made it and not attached it yet, and some that it found in the wrong column.
//!
//! Question: why is `nattch` 0 alone not enough? And is it enough that the creator is dead?

#![forbid(unsafe_code)]

/// The ids of the segments that probably nobody needs any more: nobody has them attached, and the
/// process that made them is gone. `list` is what /proc/sysvipc/shm holds, see sysvipc(7).
fn stale(list: &str, lives: impl Fn(i32) -> bool) -> Vec<i32> {
    let mut lines = list.lines();
    let _names = lines.next().unwrap_or_default();
    let mut stale = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split(' ').collect();
        // TODO: columns are of any width, and kernels have added some: go by the names in the first line.
        let number = |column: usize| fields.get(column)?.parse::<i64>().ok();
        let (Some(id), Some(attached), Some(_creator)) = (number(1), number(6), number(4)) else {
            continue;
        };
        // TODO: ask `lives` about `cpid`.
        let _ = &lives;
        if attached == 0 {
            stale.extend(i32::try_from(id));
        }
    }
    stale
}

fn main() {
    let list = std::fs::read_to_string("/proc/sysvipc/shm").expect("/proc/sysvipc/shm");
    let lives = |pid| std::path::Path::new(&format!("/proc/{pid}")).exists();
    println!("Of {} segments, stale: {:?}", list.lines().count() - 1, stale(&list, lives));
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::sysv::{Key, Segment};
    use common::{ReadWrite, SharedI32};
    use lab::{Lab, Process};
    use std::sync::atomic::Ordering;

    const LIST: &str = "\
       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
      1234          1   600                    68   100   101      0  1000  1000  1000  1000          0          0 1700000000                     0                     0
      1235          2   600                    68   200     0      0  1000  1000  1000  1000          0          0 1700000000                     0                     0
-559038737      32771   666            5000000000   100   200      0     0     0     0     0 1700000001 1700000002 1700000000                  4096                     0
         0 2147483647  1600                  4096   100   200      2  1000  1000  1000  1000 1700000001          0 1700000000                  4096                     0
         0          7  3600                  4096   100   100      1  1001  1001  1000  1000 1700000001          0 1700000000                  4096                  4096
";

    /// Process 100 is gone, all others live.
    fn lives(pid: i32) -> bool {
        pid != 100
    }

    #[test]
    fn nobody_has_it_and_its_creator_is_gone() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let found = stale(LIST, lives);
        assert!(!found.contains(&2), "process 200 has made segment 2, and lives: {found:?}");
        for (id, attached) in [(2_147_483_647, 2), (7, 1)] {
            assert!(!found.contains(&id), "segment {id} is attached {attached} times: {found:?}");
        }
        assert!(found == [1, 32771], "segments 1 and 32771 are stale, and you find {found:?}");
    }

    #[test]
    fn columns_are_found_by_their_names() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let list = "nattch shmid new_in_linux_9 cpid\n0 5 1 100\n1 6 0 100\n0 7 100 200\n";
        let found = stale(list, lives);
        assert!(found == [5], "another order of columns: 5 is stale, and you find {found:?}");
        let found = stale("key shmid perms cpid\n0 5 600 100\n", lives);
        assert!(found.is_empty(), "no column says who has it attached, and you find {found:?}");
        assert!(stale("", lives).is_empty(), "nothing to read");
    }

    #[test]
    fn role() {
        let role = lab::role();
        if role.is_empty() {
            return;
        }
        let segment = Segment::create(Key::Private, 68, 0o600).expect("a segment");
        let attached = segment.attach::<SharedI32, ReadWrite>();
        let note = lab::attach::<SharedI32>();
        note.writer().store(segment.id(), Ordering::Relaxed);
        if role == "has detached" {
            drop(attached);
        }
        lab::stop_here();
    }

    /// Removes a segment in the end.
    struct Guard(Segment);

    impl Drop for Guard {
        fn drop(&mut self) {
            let _ = self.0.remove();
        }
    }

    fn start(how: &str) -> (Process, Guard) {
        let lab = Lab::<SharedI32>::new();
        let mut process = lab.start(how);
        process.until_stopped().expect("it has made a segment");
        let id = lab.shared.load(Ordering::Relaxed);
        (process, Guard(Segment::from_id(id).expect("a segment")))
    }

    #[test]
    fn on_this_machine() {
        let _dog = lab::watchdog(60, "a process does not stop where it should");
        let here = || std::fs::read_to_string("/proc/sysvipc/shm").expect("/proc/sysvipc/shm");
        let lives = |pid| std::path::Path::new(&format!("/proc/{pid}")).exists();
        for how in ["has attached", "has detached"] {
            let (mut process, segment) = start(how);
            let id = segment.0.id();
            let found = stale(&here(), lives);
            assert!(
                !found.contains(&id),
                "{id} is in use: its creator {how}, and lives: {found:?}"
            );
            process.kill();
            let found = stale(&here(), lives);
            assert!(
                found.contains(&id),
                "{id} is stale: its creator {how}, and is dead: {found:?}"
            );
        }
    }
}
