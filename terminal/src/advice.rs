//! What a person can do about an error, in one table: only here are the programs and their options
//! known.

use std::path::Path;

use common::printable::{Text, shown};
use common::{Error, Refusal};
use nix::errno::Errno;

/// How to start a program of this workspace, for a person to type.
#[must_use]
pub fn command(program: &str, arguments: &str) -> String {
    match arguments {
        "" => format!("cargo run -p {program}"),
        _ => format!("cargo run -p {program} -- {arguments}"),
    }
}

/// How a writer gets to the segment that has the key `key`.
#[must_use]
pub fn invite_writer(key: i32) -> String {
    let writer = match key {
        // The writer's default.
        1234 => command("shm-sysv-writer", ""),
        0 => return "the segment has no key, so only its creator can write to it".into(),
        key => command("shm-sysv-writer", &format!("--key 0x{key:x}")),
    };
    format!("in another terminal: {writer}")
}

/// How a writer gets to the file `path`.
#[must_use]
pub fn invite_file_writer(path: &Text) -> String {
    format!("in another terminal: {}", command("mmap-file-writer", &path.to_string()))
}

/// What to say before a SIGBUS ends a program: both ways out, because the writer refuses a file that
/// has been truncated.
#[must_use]
pub fn after_sigbus(path: &Path) -> String {
    let file = shown(path);
    let writer = command("mmap-file-writer", &format!("--force {file}"));
    format!(
        "error: SIGBUS, {file}: the page is not there: the file has been truncated, or its file system is full\n  \
         help: replace a file that others have mapped, never truncate it; now rm {file}, or {writer}\n",
    )
}

/// One sentence, without a full stop, that tells a person what to do about `error` now.
#[must_use]
pub fn on(error: &Error) -> String {
    match (error.refusal(), error.errno()) {
        (Some(refusal), _) => on_refusal(error, refusal),
        (None, Some(errno)) => on_errno(error, errno),
        (None, None) => String::new(),
    }
}

/// The bytes of the record, which the file writer can make of any file.
const RECORD: usize = size_of::<common::ConnStat>();

fn on_refusal(error: &Error, refusal: &Refusal) -> String {
    match refusal {
        Refusal::Size { wanted, .. } if error.call() == "open" && *wanted != RECORD => {
            "name another file".into()
        }
        Refusal::Size { .. } if error.call() == "open" => format!(
            "name another file; to give this one up, {}",
            command("mmap-file-writer", &format!("--force {}", error.object()))
        ),
        Refusal::Size { .. } => {
            "choose another --key; `ipcs -m -p` shows which process created it".into()
        }
        Refusal::Kind(_) => "name a regular file, or one that does not exist yet".into(),
        Refusal::DanglingLink { .. } => {
            "create the file that the link leads to, or remove the link".into()
        }
        Refusal::NoRoom => "choose another --address, such as 0x5000000".into(),
        Refusal::RoundsToZero => "choose a higher --address, such as 0x5000000".into(),
        Refusal::Header { .. } => {
            format!("name another file; if nobody needs this one, rm {}", error.object())
        }
        Refusal::Broken { .. } => {
            format!("end both sides, then rm {}: what was in it is lost", error.object())
        }
        _ if error.call() == "waitpid" => "what it wrote to stderr, if anything, says why".into(),
        _ if error.call() == "fork" => "fork before starting threads".into(),
        _ => format!("see the man page of {}", error.call()),
    }
}

fn on_errno(error: &Error, errno: Errno) -> String {
    let advice = match (error.call(), errno) {
        ("ftok", _) => {
            "name a file that exists and that you may look up; both programs must name the same one"
        }
        ("semget", Errno::EEXIST) => "the key has a set already: choose another one",
        ("semget", Errno::ENOSPC) => {
            "the system's limit is reached: `ipcs -s -l` shows it; `ipcrm -s SEMID` removes a set of yours that nobody needs"
        }
        ("semop" | "semctl(IPC_STAT)" | "semctl(IPC_RMID)", Errno::EINVAL | Errno::EIDRM) => {
            "the set has been removed: `ipcs -s` lists those that exist"
        }
        ("shmget", Errno::EEXIST) => {
            "drop --exclusive to use the segment that is there, or choose another --key"
        }
        ("shmget", Errno::ENOENT) => {
            "no segment has this key: start a writer, or look at the keys that `ipcs -m` lists"
        }
        ("shmget", Errno::ENOSPC) => {
            "the system's limit is reached: `ipcs -m -l` shows it, `ipcs -m` the segments; `ipcrm -m SHMID` removes one of yours that nobody needs"
        }
        ("shmget", Errno::ENOMEM) => "the machine has no memory left for it: end a program",
        ("shmctl(IPC_STAT)", Errno::EACCES) => {
            "the segment is another user's: `ipcs -m` shows whose; choose another --key"
        }
        ("shmctl(IPC_STAT)", Errno::EINVAL | Errno::EIDRM) => {
            "no segment has this id, or it has been removed: `ipcs -m` lists those that exist"
        }
        ("shmctl(IPC_RMID)", _) => {
            "only the segment's owner may remove it: `ipcs -m` shows who that is; --keep leaves it alone"
        }
        ("shmat", Errno::EACCES) => {
            "the segment's mode does not let you: `ipcs -m` shows whose it is; choose another --key"
        }
        ("shmat", Errno::EINVAL | Errno::EIDRM) => "the segment is gone: start again",
        ("open", Errno::ENOENT) if !parent_exists(error.object()) => {
            "its directory does not exist: make it, or check the spelling"
        }
        ("open", Errno::ENOENT) => {
            "it does not exist: start the file writer first, or check the spelling"
        }
        ("linkat", Errno::ENOENT) => {
            "name a file, without a slash at the end, in a directory that stays; /proc must be mounted"
        }
        ("linkat", Errno::EPERM) => {
            "this file system has no hard links: name a file on another one, such as /dev/shm"
        }
        ("fcntl(F_SETLEASE)", _) => {
            "only the owner of a file on a local file system may ask who writes to it"
        }
        ("bind", Errno::EADDRINUSE) => {
            "somebody listens there, or it is no socket: end the other program, or name another path"
        }
        ("fcntl(F_OFD_SETLK)", Errno::EAGAIN | Errno::EACCES) => {
            "another process is this side of the ring: end it, or name another file"
        }
        ("fork", _) => "the limit of processes is reached: `ulimit -u` shows it",
        ("write", _) if error.object() == "stdout" => "see where the output goes to",
        (_, Errno::EACCES | Errno::EPERM) => {
            "the permissions of the file or its directory forbid it: name one of your own"
        }
        (_, Errno::EROFS) => "the file system is read-only: name a file on another one",
        (_, Errno::ENOSPC | Errno::EDQUOT) => {
            "the file system is full: free some room, or name a file on another one"
        }
        (_, Errno::EFBIG) => "the limit of file sizes is too low: `ulimit -f` shows it",
        ("mmap", Errno::ENODEV) => {
            "this file system cannot map files: name a file on another one, such as /dev/shm"
        }
        ("mmap" | "shmat", Errno::ENOMEM) => {
            "this process has no address space left: `ulimit -v` shows its limit"
        }
        (_, Errno::ENOTDIR) => {
            "a part of the path is a file where a directory is needed: check the spelling"
        }
        (_, Errno::ENAMETOOLONG) => "the name is too long: 255 bytes a part, 4095 in all",
        (_, Errno::ELOOP) => "the symbolic links go round in a circle: name the file itself",
        ("open", Errno::EAGAIN) => {
            "another process holds a lease on the file: `cat /proc/locks` shows which; try again"
        }
        (_, Errno::ETXTBSY) => "the file is a program that runs: name another one",
        (call, _) => {
            let page = call.split('(').next().unwrap_or(call);
            return format!("see the man page of {page}");
        }
    };
    advice.into()
}

fn parent_exists(path: &str) -> bool {
    match Path::new(path).parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.is_dir(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_more_than_its_man_page() {
        let broken = Refusal::Broken { field: "put", found: 5 };
        for refusal in [Refusal::NoRoom, Refusal::RoundsToZero, Refusal::Kind("FIFO"), broken] {
            let advice = on(&Error::refused("shmat", "segment 5", refusal.clone()));
            assert!(!advice.contains("man page"), "{refusal}: {advice}");
        }
        let other = |call| on(&Error::refused(call, "child 5", Refusal::Other(String::new())));
        assert!(other("waitpid").contains("stderr"));
        assert!(other("fork").contains("threads"));
        assert_eq!(other("shmget"), "see the man page of shmget");
    }

    #[test]
    fn a_writer_is_started_with_the_key_of_the_segment() {
        let writer = "in another terminal: cargo run -p shm-sysv-writer";
        assert_eq!(invite_writer(1234), writer);
        assert_eq!(invite_writer(-1), format!("{writer} -- --key 0xffffffff"));
        assert!(!invite_writer(0).contains("cargo"));
    }
}
