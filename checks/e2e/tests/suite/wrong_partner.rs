//! What is under the key or the name is not what the program needs: nothing is done to it.

use std::os::unix::net::UnixListener;

use common::sysv::Segment;
use common::{ReadOnly, ReadWrite, SharedText};
use e2e::{Running, TestKey, run, skip};
use nix::sys::signal::Signal;

use crate::wrong::How::Steps;
use crate::wrong::{ENDED_BY_TEST, Folder, Seen, Within, after, inside, rows, sh};

const FOREIGN: &str = "a file of another size is never written, cut off or removed";
const ANOTHER: &str =
    "nothing is opened that is no regular file, for opening a FIFO or a device has effects";

rows! {
    segment_of_another_size_under_the_writers_key {
        how: Steps(|| Some(on_foreign_segment("shm-sysv-writer", "--key"))),
        program: "shm-sysv-writer",
        says: "error: shmget, segment N: it has 4096 bytes and the record has 68: not a record, left as it is\n  help: choose another --key; `ipcs -m -p` shows which process created it",
        cause: "a neighbour's program, or one of another lesson, uses the same key",
    }
    segment_of_another_size_under_the_readers_key {
        how: Steps(|| Some(on_foreign_segment("shm-sysv-reader", "--key"))),
        program: "shm-sysv-reader",
        says: "error: shmget, segment N: it has 4096 bytes and the record has 68: not a record, left as it is\n  help: choose another --key; `ipcs -m -p` shows which process created it",
        cause: "the same key; the reader does not remove the segment either",
    }
    segment_of_another_size_with_the_id {
        how: Steps(|| Some(on_foreign_segment("shm-sysv-reader", "--id"))),
        program: "shm-sysv-reader",
        says: "error: shmget, segment N: it has 4096 bytes and the record has 68: not a record, left as it is\n  help: choose another --key; `ipcs -m -p` shows which process created it",
        cause: "`--id` names a segment that is no record",
    }
    segment_is_there_already {
        how: after("shm-sysv-writer --key 5678 -n 0", "shm-sysv-writer --key 5678 --exclusive"),
        says: "error: shmget, key 5678 (0x0000162e): EEXIST (File exists)\n  help: drop --exclusive to use the segment that is there, or choose another --key",
    }
    segment_of_another_user_to_the_writer {
        how: inside(Within::Nobody, "shm-sysv-writer --key 5678 -n 0", "sudo -u nobody shm-sysv-writer --key 5678"),
        says: "error: shmctl(IPC_STAT), segment N: EACCES (Permission denied)\n  help: the segment is another user's: `ipcs -m` shows whose; choose another --key",
        cause: "somebody on this server uses the same key",
    }
    segment_of_another_user_to_the_reader {
        how: inside(Within::Nobody, "shm-sysv-writer --key 5678 -n 0", "sudo -u nobody shm-sysv-reader --key 5678"),
        says: "error: shmctl(IPC_STAT), segment N: EACCES (Permission denied)\n  help: the segment is another user's: `ipcs -m` shows whose; choose another --key",
        cause: "the mode 0600 lets nobody else look at it",
        cure: "its owner can start the writer with `--mode 0644`",
    }
    segment_of_another_user_may_be_read_only {
        how: inside(Within::Nobody, "shm-sysv-writer --key 5678 -n 0 --mode 0644", "sudo -u nobody shm-sysv-writer --key 5678"),
        says: "error: shmat, segment N: EACCES (Permission denied)\n  help: the segment's mode is 0644 and you may not write to it: `ipcs -m` shows whose it is; choose another --key",
        cause: "the mode lets other users read it, not write to it",
    }
    segment_of_another_user_cannot_be_removed {
        how: inside(Within::Nobody, "shm-sysv-writer --key 5678 -n 0 --mode 0644", "sudo -u nobody shm-sysv-reader --key 5678 -n 1 -i 0s"),
        says: "error: shmctl(IPC_RMID), segment N: EPERM (Operation not permitted)\n  help: only the segment's owner may remove it: `ipcs -m` shows who that is; --keep leaves it alone",
        cause: "reading it went well; removing it is not what a mode can allow",
        // The time of the last attachment.
        changes: true,
    }
    segment_removed_under_the_reader {
        how: Steps(|| {
            let (key, folder) = (TestKey::new(), Folder::new());
            let segment = Segment::create(key.key(), 68, 0o600).expect("a segment");
            let mut reader = folder.program("shm-sysv-reader");
            let mut reader = Running::start(reader.args(["-k", &key.arg(), "-i", "1h"]));
            reader.wait_stdout("count: 0");
            segment.remove().expect("removed");
            assert_eq!(segment.status().expect("attached, so still there").attached, 1);
            reader.signal(Signal::SIGTERM);
            let outcome = reader.finish();
            segment.status().expect_err("the last detach destroys it");
            Some(outcome.into())
        }),
        status: ENDED_BY_TEST,
        program: "shm-sysv-reader",
        says: "segment N is gone: it was removed meanwhile",
        cause: "somebody called `ipcrm`, or another reader ended; the memory stays until the last detach, so the reader goes on with what nobody else can find",
        cure: "start writer and reader again: they make a new segment",
    }
    segment_removed_under_the_writer {
        how: Steps(|| {
            let (key, folder) = (TestKey::new(), Folder::new());
            let mut writer = Running::start(folder.program("shm-sysv-writer").args(["-k", &key.arg(), "-n", "4000000000", "-i", "1ms"]));
            writer.wait_stdout("count: 3");
            let segment = key.segment().expect("the writer's segment");
            segment.remove().expect("removed");
            let seen: u32 = writer.wait_stdout("count: ").replace("count: ", "").parse().expect("a number");
            writer.wait_stdout(&format!("count: {}", seen + 10));
            writer.signal(Signal::SIGTERM);
            let outcome = writer.finish();
            segment.status().expect_err("the last detach destroys it");
            Some(outcome.into())
        }),
        status: ENDED_BY_TEST,
        program: "shm-sysv-writer",
        says: "segment N is gone: it was removed meanwhile",
        cause: "a reader ended and removed it, as it does without `--keep`; the writer went on counting where nobody sees it",
        cure: "start the writer again: it makes a new segment",
    }
    file_is_empty {
        how: after("touch f", "mmap-file-writer f"),
        says: "error: open, f: it is empty and the record has 68: not a record, left as it is\n  help: name another file; to give this one up, call the file writer with --force",
        cause: "made by `touch`, or by a C writer that is between open(2) and ftruncate(2)",
    }
    file_stays_empty_under_the_reader {
        how: after("touch f", "mmap-file-reader f --wait 0s"),
        says: "error: open, f: it is empty and the record has 68: not a record, left as it is\n  help: name another file; to give this one up, call the file writer with --force",
        cause: "no writer has filled it within `--wait`",
    }
    file_is_too_short {
        how: after("printf diary > f", "mmap-file-writer f"),
        says: "error: open, f: it has 5 bytes and the record has 68: not a record, left as it is\n  help: name another file; to give this one up, call the file writer with --force",
        cause: FOREIGN,
    }
    file_is_too_short_to_read {
        how: after("printf diary > f", "mmap-file-reader f"),
        says: "error: open, f: it has 5 bytes and the record has 68: not a record, left as it is\n  help: name another file; to give this one up, call the file writer with --force",
        cause: FOREIGN,
    }
    file_is_too_long {
        how: after("seq 1000 > f", "mmap-file-writer f --join"),
        says: "error: open, f: it has 3893 bytes and the record has 68: not a record, left as it is\n  help: name another file; to give this one up, call the file writer with --force",
        cause: FOREIGN,
    }
    file_is_too_long_to_read {
        how: after("seq 1000 > f", "mmap-file-reader f"),
        says: "error: open, f: it has 3893 bytes and the record has 68: not a record, left as it is\n  help: name another file; to give this one up, call the file writer with --force",
        cause: FOREIGN,
    }
    file_is_given_up_on_purpose {
        how: after("seq 1000 > f", "mmap-file-writer f --force -n 1 -i 0s"), status: 0, changes: true,
        symptom: "the old contents of a file are gone",
        says: "open: f, 68 bytes, mode 0644, found",
        cause: "`--force` makes a record of any regular file", cure: "nothing is wrong: this is what it is for",
    }
    directory_to_the_writer {
        how: after("mkdir d", "mmap-file-writer d"),
        says: "error: open, d: it is a directory, left as it is\n  help: name a regular file, or one that does not exist yet",
        cause: "mmap(2) maps no directories",
    }
    directory_to_the_reader {
        how: after("mkdir d", "mmap-file-reader d"),
        says: "error: open, d: it is a directory, left as it is\n  help: name a regular file, or one that does not exist yet",
        cause: "the reader does not wait for it to become a file",
    }
    directory_taken_by_force {
        how: after("mkdir d", "mmap-file-writer d --force"),
        says: "error: open, d: it is a directory, left as it is\n  help: name a regular file, or one that does not exist yet",
        cause: "`--force` gives up the contents of a file, and nothing else",
    }
    fifo_to_the_writer {
        how: after("mkfifo p", "mmap-file-writer p"),
        says: "error: open, p: it is a FIFO, left as it is\n  help: name a regular file, or one that does not exist yet",
        cause: ANOTHER,
    }
    fifo_to_the_reader {
        how: after("mkfifo p", "mmap-file-reader p"),
        says: "error: open, p: it is a FIFO, left as it is\n  help: name a regular file, or one that does not exist yet",
        cause: "C's open(2) hangs here until somebody opens the other end",
    }
    socket_to_the_writer {
        how: Steps(|| {
            let folder = Folder::new();
            let _socket = UnixListener::bind(folder.path("s")).expect("a socket");
            Some(Running::start(folder.program("mmap-file-writer").arg("s")).finish().into())
        }),
        program: "mmap-file-writer",
        says: "error: open, s: it is a socket, left as it is\n  help: name a regular file, or one that does not exist yet",
        cause: ANOTHER,
    }
    device_to_the_writer {
        how: sh("mmap-file-writer /dev/null --force"),
        says: "error: open, /dev/null: it is a device, left as it is\n  help: name a regular file, or one that does not exist yet",
        cause: ANOTHER,
    }
    device_to_the_reader {
        how: sh("mmap-file-reader /dev/zero"),
        says: "error: open, /dev/zero: it is a device, left as it is\n  help: name a regular file, or one that does not exist yet",
        cause: ANOTHER,
    }
    link_that_leads_nowhere_to_the_writer {
        how: after("ln -s gone l", "mmap-file-writer l"),
        says: "error: open, l: it is a symbolic link to gone: No such file or directory\n  help: create the file that the link leads to, or remove the link",
        cause: "creating a file through a link would put it where a stranger wants it",
    }
    link_that_leads_nowhere_to_the_reader {
        how: after("ln -s gone l", "mmap-file-reader l"),
        says: "error: open, l: it is a symbolic link to gone: No such file or directory\n  help: create the file that the link leads to, or remove the link",
        cause: "no writer would create it, so the reader does not wait",
    }
    link_with_a_hostile_name {
        how: after("ln -s \"$(printf '\\033[2J')\" l", "mmap-file-writer l"),
        says: "error: open, l: it is a symbolic link to \\u{1b}[2J: No such file or directory\n  help: create the file that the link leads to, or remove the link",
        cause: "whoever made the link wants your terminal to clear its screen; it is told the name in harmless letters",
    }
    links_in_a_circle {
        how: after("ln -s l l", "mmap-file-reader l"),
        says: "error: open, l: it is a symbolic link to l: Too many levels of symbolic links\n  help: create the file that the link leads to, or remove the link",
        cause: "the link leads to itself",
    }
    link_to_a_record {
        how: after("mmap-file-writer f -n 2 -i 0s 2> log; ln -s f l", "mmap-file-reader l -n 1 -i 0s"), status: 0,
        symptom: "the reader shows a record, although the name is a symbolic link",
        says: "ip = 127.0.0.1, count: 2",
        cause: "a link that leads somewhere is followed", cure: "nothing is wrong",
    }
    file_may_not_be_written {
        how: inside(Within::Nobody, "mmap-file-writer f -n 0", "sudo -u nobody mmap-file-writer f"),
        says: "error: open, f: EACCES (Permission denied)\n  help: the permissions of the file or its folder forbid it: name one of your own",
        cause: "the mode 0644 lets other users read it, not write to it",
    }
    file_may_not_be_read {
        how: inside(Within::Nobody, "mmap-file-writer f -n 0 --mode 0600", "sudo -u nobody mmap-file-reader f"),
        says: "error: open, f: EACCES (Permission denied)\n  help: the permissions of the file or its folder forbid it: name one of your own",
        cause: "the mode 0600 lets nobody else read it",
    }
    file_may_be_followed_without_end {
        how: inside(Within::Nobody, "mmap-file-writer f -n 1 -i 0s", "sudo -u nobody mmap-file-reader f --follow -n 1"), status: 0,
        says: "cannot tell when the writer goes: fcntl(F_SETLEASE), f: EACCES (Permission denied)\n  help: only the owner of a file on a local file system may ask who writes to it",
        cause: "the kernel tells only the owner of a file whether somebody may write to it",
        cure: "Ctrl-C when you have seen enough",
    }
    folder_may_not_be_written {
        how: inside(Within::Nobody, "", "sudo -u nobody mmap-file-writer f"),
        says: "error: open, .: EACCES (Permission denied)\n  help: the permissions of the file or its folder forbid it: name one of your own",
        cause: "a new file is a change to its folder",
    }
    folder_is_missing_to_the_writer {
        how: sh("mmap-file-writer nowhere/f"),
        says: "error: open, nowhere: ENOENT (No such file or directory)\n  help: the folder does not exist: make it, or check the spelling",
        cause: "the writer makes files, not folders",
    }
    folder_is_missing_to_the_reader {
        how: sh("mmap-file-reader nowhere/f"),
        says: "error: open, nowhere/f: ENOENT (No such file or directory)\n  help: it does not exist: start the file writer first, or check the spelling",
        cause: "no writer could make the file, so the reader does not wait",
    }
    folder_is_a_file {
        how: after("touch f", "mmap-file-reader f/g"),
        says: "error: open, f/g: ENOTDIR (Not a directory)\n  help: a part of the path is a file where a folder is needed: check the spelling",
        cause: "often a forgotten `rm`",
    }
    name_ends_in_a_slash {
        how: sh("mmap-file-writer f/"),
        says: "error: linkat, f/: ENOENT (No such file or directory)\n  help: name a file, without a slash at the end, in a folder that stays; /proc must be mounted",
        cause: "only folders have such names",
    }
    name_is_too_long {
        how: sh("mmap-file-writer $(printf '%0256d' 0)"),
        says: concat!("error: open, ",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000000",
            ": ENAMETOOLONG (File name too long)\n  help: the name is too long: 255 bytes a part, 4095 in all"),
        cause: "file systems end at 255 bytes",
    }
    file_is_missing {
        how: sh("mmap-file-reader f --wait 0s"),
        says: "error: open, f: ENOENT (No such file or directory)\n  help: it does not exist: start the file writer first, or check the spelling",
        cause: "no writer has made it within `--wait`",
    }
    file_system_without_unnamed_files {
        how: Steps(|| {
            if !nix::unistd::geteuid().is_root() {
                skip("/proc, which has no unnamed files, is root's: run the tests as root");
                return None;
            }
            Some(run("mmap-file-writer", ["/proc/f"]).into())
        }),
        program: "mmap-file-writer",
        says: "error: open, /proc: EOPNOTSUPP (Operation not supported)\n  help: this file system cannot make unnamed files: name a file on another one, such as /dev/shm",
        cause: "`/proc/f` is such a name. A new file is filled before it gets its name, so that no reader finds half a record (`O_TMPFILE`); some network file systems cannot do that",
    }
    file_system_is_read_only_to_a_new_file {
        how: inside(Within::Mounts, "mkdir m; mount -t tmpfs -o ro tmpfs m", "mmap-file-writer m/f"),
        says: "error: open, m: EROFS (Read-only file system)\n  help: the file system is read-only: name a file on another one",
        cause: "`m` is on a CD, in a snapshot, or on a disk after an error",
    }
    file_system_is_read_only_to_an_old_file {
        how: inside(Within::Mounts, "mkdir m; mount -t tmpfs tmpfs m; mmap-file-writer m/f -n 0; mount -o remount,bind,ro m", "mmap-file-writer m/f"),
        says: "error: open, m/f: EROFS (Read-only file system)\n  help: the file system is read-only: name a file on another one",
        cause: "the file is there, but its file system allows reading only; the reader still works",
    }
    file_removed_under_the_writer {
        how: Steps(|| {
            let folder = Folder::new();
            let mut writer = Running::start(folder.program("mmap-file-writer").args(["f", "-i", "1h"]));
            writer.wait_stdout("count: 1");
            std::fs::remove_file(folder.path("f")).expect("removed");
            writer.signal(Signal::SIGTERM);
            Some(writer.finish().into())
        }),
        status: ENDED_BY_TEST,
        program: "mmap-file-writer",
        says: "munmap: unmapped; f is gone meanwhile",
        cause: "somebody called `rm`; a mapped file stays until it is unmapped, but nobody finds it",
        cure: "start the writer again: it makes a new file; then the reader",
    }
}

/// Runs `program` on a segment that is not a record, and finds it as it was.
fn on_foreign_segment(program: &str, option: &str) -> Seen {
    type Text = SharedText<1024>;
    let key = TestKey::new();
    let segment = Segment::create(key.key(), Text::CAPACITY, 0o600).expect("a segment");
    let attached = segment.attach::<Text, ReadWrite>().expect("attached");
    attached.writer().store(&"a neighbour's work ".repeat(200));
    let before = attached.load();
    attached.detach().expect("detached");
    let status = segment.status().expect("status");
    let name = if option == "--id" { segment.id().to_string() } else { key.arg() };
    let outcome = run(program, [option, &name]);
    // Neither attached nor removed: IPC_STAT names us as the last to do either.
    assert_eq!(segment.status().expect("still there"), status);
    assert_eq!(segment.attach::<Text, ReadOnly>().expect("attached").load(), before);
    outcome.into()
}
