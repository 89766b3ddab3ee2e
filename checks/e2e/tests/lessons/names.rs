//! Names and descriptors.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Instant;

use common::descriptor;
use common::mapping::Region;
use common::proc::page_size;
use common::sync::named_semaphore::NamedSemaphore;
use e2e::{DEADLINE, Outcome, Running, example};
use lessons::meeting::{COUNT, LENGTH, ROOM, TEXT};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags};
use nix::sys::signal::Signal;

use super::{peer, prints};

/// Removes the object, however the test ends.
struct PosixName(String);

impl Drop for PosixName {
    fn drop(&mut self) {
        let _ = nix::sys::mman::shm_unlink(self.0.as_str());
    }
}

fn posix(program: &str, name: &PosixName) -> Outcome {
    Running::start(example(program).arg(&name.0)).finish()
}

#[test]
fn posix_object_is_found_by_its_name_until_it_is_unlinked() {
    let name = PosixName(format!("/lessons-test-{}", std::process::id()));
    let missing = posix("posix-reader", &name).exited(1);
    assert!(missing.stderr.contains("shm_open, /lessons-test-"), "{missing:#?}");
    assert!(missing.stderr.contains("ENOENT"), "{missing:#?}");

    let writer = posix("posix-writer", &name).exited(0);
    let lines = [
        "shm_open: 0 bytes",
        "O_EXCL again: EEXIST",
        "/a/b: EINVAL",
        "store before ftruncate: SIGBUS, BUS_ADRERR",
        "stored 42",
    ];
    assert_eq!(writer.stdout.lines().collect::<Vec<_>>(), lines, "{writer:#?}");
    let again = posix("posix-writer", &name).exited(1);
    assert!(again.stderr.contains("EEXIST"), "{again:#?}");

    let reader = posix("posix-reader", &name).exited(0);
    let lines = [
        "PROT_WRITE of an O_RDONLY descriptor: EACCES",
        "ready 1, load 42",
        "shm_unlink, then shm_open: ENOENT",
        "names left: 0, load 42",
    ];
    assert_eq!(reader.stdout.lines().collect::<Vec<_>>(), lines, "{reader:#?}");
}

#[test]
fn posix_reader_refuses_an_object_without_a_size() {
    use nix::fcntl::OFlag;
    let name = PosixName(format!("/lessons-test-empty-{}", std::process::id()));
    let mode = nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR;
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
    let _object = nix::sys::mman::shm_open(name.0.as_str(), flags, mode).expect("a new object");
    let reader = posix("posix-reader", &name).exited(1);
    assert!(reader.stderr.contains("it is empty"), "{reader:#?}");
}

#[test]
fn sealed_memfd_refuses_all_but_the_old_mapping() {
    prints(
        "sealed-memfd",
        &[
            "F_SEAL_WRITE while mapped writable: EBUSY",
            "ftruncate to 0: EPERM",
            "ftruncate to 2 pages: EPERM",
            "pwrite: EPERM",
            "new writable mapping: EPERM",
            "mprotect of a read-only one: EACCES",
            "the owner's old mapping stores 2: load 2",
            "without MFD_ALLOW_SEALING: SealFlag(F_SEAL_SEAL)",
        ],
    );
}

#[test]
fn posix_object_is_the_same_to_a_c_program() {
    let (Some(mut writes), Some(mut reads)) = (peer("posix_write"), peer("posix_read")) else {
        return;
    };
    let name = PosixName(format!("/lessons-test-c-{}", std::process::id()));
    let written = Running::start(writes.arg(&name.0)).finish().exited(0);
    assert_eq!(written.stdout, "stored 42\n");
    let read = posix("posix-reader", &name).exited(0);
    assert!(read.stdout.contains("ready 1, load 42"), "{read:#?}");

    let _ = posix("posix-writer", &name).exited(0);
    let read = Running::start(reads.arg(&name.0)).finish().exited(0);
    assert_eq!(read.stdout, "ready 1, load 42\n");
    let gone = Running::start(&mut reads).finish().exited(1);
    assert!(gone.stderr.contains("shm_open: No such file"), "{gone:#?}");
}

/// Removes the name, however the test ends.
struct SemaphoreName(String);

impl Drop for SemaphoreName {
    fn drop(&mut self) {
        let _ = NamedSemaphore::unlink(&self.0);
    }
}

#[test]
fn named_semaphore_stays_taken_and_stays_there() {
    let name = SemaphoreName(format!("/lessons-test-{}", std::process::id()));
    let run = || Running::start(example("named-semaphore").arg(&name.0)).finish().exited(0);
    let first = run();
    let lines = ["made, count 1", "a child takes it: true", "the child: SIGKILL, count 0"];
    assert_eq!(first.stdout.lines().collect::<Vec<_>>(), lines, "{first:#?}");
    assert_eq!(NamedSemaphore::open(&name.0).expect("it is there").count(), Ok(0));
    let second = run();
    let lines = [
        "found, sem_trywait: false",
        "sem_unlink, then sem_open: ENOENT",
        "sem_post, without its name: count 1",
    ];
    assert_eq!(second.stdout.lines().collect::<Vec<_>>(), lines, "{second:#?}");

    let none = Running::start(example("named-semaphore").arg("/a/b")).finish().exited(1);
    assert!(none.stderr.contains("sem_open, /a/b: EINVAL"), "{none:#?}");
}

/// One half of the memfd pair, with a socket in `directory`.
fn half(name: &str, flag: Option<&str>, directory: &Path) -> Running {
    Running::start(example(name).args(flag).arg(directory.join("socket")))
}

#[test]
fn memfd_owner_and_guest_meet_in_either_order() {
    for guest_first in [false, true] {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("socket");
        let owner = || {
            let mut owner = half("memfd-owner", None, directory.path());
            owner.wait_stdout("count: 2");
            owner
        };
        let guest = || half("memfd-guest", None, directory.path());
        let (mut owner, mut guest) = if guest_first {
            let mut guest = guest();
            guest.wait_stderr("no record there yet");
            (owner(), guest)
        } else {
            let owner = owner();
            (owner, guest())
        };
        // The text is the count's or a newer one.
        let line = guest.wait_stdout("count: ");
        let (count, text) = line.split_once(", message ").expect("a count and a text");
        let count: u32 = count.trim_start_matches("count: ").parse().expect("a count");
        assert!(text.parse::<u32>().is_ok_and(|it| it >= count), "{line}");
        owner.wait_stderr(&format!("descriptor sent: to pid {}, uid ", guest.pid()));
        // A second guest, and a guest that goes: the owner goes on.
        let mut second = half("memfd-guest", None, directory.path());
        second.wait_stdout("count: ");
        second.signal(Signal::SIGINT);
        let _ = second.finish().ended_by(Signal::SIGINT);
        owner.wait_stdout("count: ");

        owner.signal(Signal::SIGINT);
        let ended = owner.finish().ended_by(Signal::SIGINT);
        assert!(ended.stderr.contains("F_SEAL_SHRINK"), "{ended:#?}");
        assert!(!socket.exists(), "Ctrl-C removes the socket");
        let guest = guest.finish().exited(0);
        assert!(guest.stderr.contains("the owner has gone"), "{guest:#?}");
    }
}

#[test]
fn memfd_owner_removes_a_socket_that_nobody_listens_at_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut killed = half("memfd-owner", None, directory.path());
    killed.wait_stderr("listening");
    let refused = half("memfd-owner", None, directory.path()).finish().exited(1);
    assert!(refused.stderr.contains("EADDRINUSE"), "{refused:#?}");
    killed.signal(Signal::SIGKILL);
    let _ = killed.finish().ended_by(Signal::SIGKILL);
    assert!(directory.path().join("socket").exists(), "kill -9 leaves it");
    half("memfd-owner", None, directory.path()).wait_stderr("listening");

    let path = directory.path().join("file");
    std::fs::write(&path, "precious").expect("a file");
    let refused = Running::start(example("memfd-owner").arg(&path)).finish().exited(1);
    assert!(refused.stderr.contains("EADDRINUSE"), "{refused:#?}");
    assert_eq!(std::fs::read(&path).expect("still there"), b"precious");
}

#[test]
fn hostile_memfd_guest_can_do_no_harm() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut owner = half("memfd-owner", None, directory.path());
    owner.wait_stdout("count: 1");
    let mut command = example("memfd-guest");
    let guest =
        Running::start(command.arg("--hostile").arg(directory.path().join("socket")).arg("1"));
    let outcome = guest.finish().exited(0);
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let attacks = [
        "ftruncate to 0: EPERM",
        "ftruncate to 2 pages: EPERM",
        "pwrite: EPERM",
        "punch a hole: EPERM",
        "new writable mapping: EPERM",
        "mprotect of ours: EACCES",
        "MADV_REMOVE: EACCES",
        "F_ADD_SEALS: EPERM",
        "open again for writing: ok",
        "new writable mapping of that: EPERM",
    ];
    assert_eq!(lines[..10], attacks, "{outcome:#?}");
    assert!(lines[10].starts_with("count: "), "{outcome:#?}");
    owner.wait_stdout("count: ");
    owner.wait_stdout("count: ");
}

#[test]
fn memfd_guest_refuses_an_owner_without_a_seal() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut owner = half("memfd-owner", Some("--unsealed"), directory.path());
    owner.wait_stderr("seals: SealFlag(F_SEAL_SEAL)");
    let guest = half("memfd-guest", None, directory.path()).finish().exited(1);
    assert!(guest.stderr.contains("no F_SEAL_SHRINK"), "{guest:#?}");
    assert_eq!(guest.stdout, "");
    owner.wait_stdout("count: ");
}

/// A guest, and the socket that its owner has: this test.
fn guest_of_ours(directory: &Path, looks: &str) -> (Running, UnixStream) {
    let path = directory.join("socket");
    let listener = UnixListener::bind(&path).expect("bound");
    let guest = Running::start(example("memfd-guest").arg(&path).arg(looks));
    let (socket, _) = listener.accept().expect("the guest comes");
    std::fs::remove_file(path).expect("the name");
    (guest, socket)
}

fn memfd(flags: MFdFlags, size: u64, seals: SealFlag) -> File {
    let memory = memfd_create("test", flags | MFdFlags::MFD_CLOEXEC).expect("a memfd");
    let memory = File::from(memory);
    memory.set_len(size).expect("a size");
    fcntl(&memory, FcntlArg::F_ADD_SEALS(seals)).map_or_else(|_| assert!(seals.is_empty()), drop);
    memory
}

#[test]
fn memfd_guest_maps_only_what_nobody_can_cut_off() {
    let directory = tempfile::tempdir().expect("a directory");
    let sealing = MFdFlags::MFD_ALLOW_SEALING;
    let page = page_size() as u64;
    let regular = tempfile::tempfile().expect("a file");
    regular.set_len(page).expect("a page");
    let mut cases = vec![
        (memfd(sealing, page, SealFlag::empty()), "no F_SEAL_SHRINK"),
        (memfd(sealing, page, SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL), "no F_SEAL_SHRINK"),
        (memfd(sealing, page - 1, SealFlag::F_SEAL_SHRINK), "too small"),
        (memfd(sealing, 0, SealFlag::F_SEAL_SHRINK), "too small"),
        (regular, "EINVAL"),
        (File::open("/dev/null").expect("a device"), "EINVAL"),
        (File::open("/").expect("a directory"), "EINVAL"),
    ];
    match memfd_create("huge", MFdFlags::MFD_HUGETLB | sealing | MFdFlags::MFD_CLOEXEC) {
        Ok(huge) => {
            let huge = File::from(huge);
            huge.set_len(1 << 30).expect("a size");
            let shrink = FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK);
            fcntl(&huge, shrink).expect("sealed");
            cases.push((huge, "of huge pages"));
        }
        Err(errno) => e2e::skip(&format!("a memfd of huge pages: {errno}")),
    }
    for (file, why) in cases {
        let (guest, socket) = guest_of_ours(directory.path(), "1");
        descriptor::send(&socket, &file).expect("sent");
        let guest = guest.finish().exited(1);
        assert!(guest.stderr.contains(why), "{why}: {guest:#?}");
        assert_eq!(guest.stdout, "");
    }
    let (guest, mut socket) = guest_of_ours(directory.path(), "1");
    socket.write_all(&[0]).expect("a byte");
    assert!(guest.finish().exited(1).stderr.contains("without a descriptor"));
    let (guest, socket) = guest_of_ours(directory.path(), "1");
    drop(socket);
    assert!(guest.finish().exited(1).stderr.contains("closed the connection"));
    let (guest, _silent) = guest_of_ours(directory.path(), "1");
    assert!(guest.finish().exited(1).stderr.contains("EAGAIN"), "it does not wait for ever");
}

#[test]
fn hostile_memfd_owner_can_do_no_harm() {
    let directory = tempfile::tempdir().expect("a directory");
    let seals = SealFlag::F_SEAL_SHRINK;
    let memory = memfd(MFdFlags::MFD_ALLOW_SEALING, page_size() as u64, seals);
    let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let pages = Region::map(page_size(), rights, MapFlags::MAP_SHARED, Some((&memory, 0)));
    let pages = pages.expect("mapped");
    // Behind the text, for whoever reads too far.
    (TEXT + ROOM..page_size()).step_by(4).for_each(|it| pages.store(it, 0x5858_5858));
    let longest = u32::try_from(ROOM).expect("a small number");
    pages.store(LENGTH, longest + 1);

    let (mut guest, mut socket) = guest_of_ours(directory.path(), "10000");
    descriptor::send(&socket, &memory).expect("sent");
    assert_eq!(guest.wait_stdout(""), "refused: a text of 65 bytes");
    socket.set_nonblocking(true).expect("it does not block");
    let mut random = fastrand::Rng::with_seed(1);
    let start = Instant::now();
    // Until the guest has looked so often, and has closed its end.
    while matches!(socket.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock) {
        assert!(start.elapsed() < DEADLINE);
        for _ in 0..100 {
            let length = match random.u8(0..4) {
                0 => random.u32(..),
                1 => longest + random.u32(0..3),
                _ => random.u32(0..=longest),
            };
            pages.store(LENGTH, length);
            // No X, so that one on stdout has come from behind the text.
            let bytes: [u8; 4] = std::array::from_fn(|_| match random.u8(..) {
                b'X' => b'x',
                other => other,
            });
            let word = u32::from_ne_bytes(bytes);
            pages.store(TEXT + 4 * random.usize(0..ROOM / 4), word);
            pages.store(COUNT, random.u32(..));
        }
    }
    let outcome = guest.finish().exited(0);
    let (counts, refusals): (Vec<_>, Vec<_>) =
        outcome.stdout.lines().partition(|it| it.starts_with("count: "));
    assert_eq!(counts.len() + refusals.len(), 10_000);
    let refused = |line: &&str| {
        let length =
            line.strip_prefix("refused: a text of ").and_then(|it| it.strip_suffix(" bytes"));
        length.and_then(|it| it.parse().ok()).is_some_and(|it: u32| it > longest)
    };
    assert!(refusals.iter().all(refused), "{:?}", refusals.iter().find(|it| !refused(it)));
    // Nothing that a terminal would obey, and nothing from behind the text.
    let bad = |line: &&&str| line.contains(|it: char| it.is_control() || it == 'X');
    assert_eq!(counts.iter().find(bad), None);
    eprintln!("{} texts, {} refusals", counts.len(), refusals.len());
}
