//! What is under the key or the name is not what the program needs: nothing is done to it.

use common::sysv::Segment;
use common::{ReadOnly, ReadWrite, SharedText};
use e2e::{Running, TestKey, run};
use nix::sys::signal::Signal;

use crate::wrong::How::Steps;
use crate::wrong::{ENDED_BY_TEST, Folder, Seen, Within, after, inside, rows, sh};

const FOREIGN: &str = "a file of another size is never written, truncated or removed";

rows! {
    segment_of_another_size_under_the_writers_key {
        how: Steps(|| Some(on_foreign_segment("shm-sysv-writer", "--key"))),
        program: "shm-sysv-writer",
        says: "error: shmget, segment N: it has 4096 bytes and 68 are wanted: left as it is\n  help: choose another --key; `ipcs -m -p` shows which process created it",
        cause: "another program uses the same key",
    }
    segment_is_there_already {
        how: after("shm-sysv-writer --key 5678 -n 0", "shm-sysv-writer --key 5678 --exclusive"),
        says: "error: shmget, key 5678 (0x0000162e): EEXIST (File exists)\n  help: drop --exclusive to use the segment that is there, or choose another --key",
    }
    segment_of_another_user_to_the_writer {
        how: inside(Within::Nobody, "shm-sysv-writer --key 5678 -n 0", "sudo -u nobody shm-sysv-writer --key 5678"),
        says: "error: shmctl(IPC_STAT), segment N: EACCES (Permission denied)\n  help: the segment is another user's: `ipcs -m` shows whose; choose another --key",
        cause: "somebody else uses the same key",
    }
    segment_of_another_user_cannot_be_removed {
        listed: false,
        how: inside(Within::Nobody, "shm-sysv-writer --key 5678 -n 0 --mode 0644", "sudo -u nobody shm-sysv-reader --key 5678 -n 1 -i 0s"),
        says: "error: shmctl(IPC_RMID), segment N: EPERM (Operation not permitted)\n  help: only the segment's owner may remove it: `ipcs -m` shows who that is; --keep leaves it alone",
        // The time of the last attachment.
        changes: true,
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
        says: "segment N has been removed: no new program finds it by its key",
        cause: "a reader removed it, as it does without `--keep`; the writer counts on where nobody sees it",
        cure: "start the writer again: it makes a new segment",
    }
    file_is_empty {
        how: after("touch f", "mmap-file-writer f"),
        says: "error: open, f: it is empty and 68 bytes are wanted: left as it is\n  help: name another file; to give this one up, cargo run -p mmap-file-writer -- --force f",
        cause: "made by `touch`, or by a C writer that is between open(2) and ftruncate(2)",
    }
    file_is_too_long {
        how: after("seq 1000 > f", "mmap-file-writer f --join"),
        says: "error: open, f: it has 3893 bytes and 68 are wanted: left as it is\n  help: name another file; to give this one up, cargo run -p mmap-file-writer -- --force f",
        cause: FOREIGN,
    }
    directory_to_the_writer {
        listed: false,
        how: after("mkdir d", "mmap-file-writer d"),
        says: "error: open, d: it is a directory, left as it is\n  help: name a regular file, or one that does not exist yet",
    }
    link_that_leads_nowhere_to_the_writer {
        listed: false,
        how: after("ln -s gone l", "mmap-file-writer l"),
        says: "error: open, l: it is a symbolic link to gone: No such file or directory\n  help: create the file that the link leads to, or remove the link",
    }
    file_may_not_be_written {
        how: inside(Within::Nobody, "mmap-file-writer f -n 0", "sudo -u nobody mmap-file-writer f"),
        says: "error: open, f: EACCES (Permission denied)\n  help: the permissions of the file or its directory forbid it: name one of your own",
        cause: "the mode 0644 lets other users read it, not write to it",
    }
    directory_is_missing {
        how: sh("mmap-file-reader nowhere/f"),
        says: "error: open, nowhere/f: ENOENT (No such file or directory)\n  help: its directory does not exist: make it, or check the spelling",
        cause: "no writer could make the file",
    }
    file_is_missing {
        listed: false,
        how: sh("mmap-file-reader f --wait 0s"),
        says: "error: open, f: ENOENT (No such file or directory)\n  help: it does not exist: start the file writer first, or check the spelling",
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
        says: "munmap: unmapped; f has been removed: only who has it mapped still sees it",
        cause: "`rm`; a mapped file stays until it is unmapped, but nobody finds it",
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
