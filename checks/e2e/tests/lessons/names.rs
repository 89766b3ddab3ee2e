//! Names and descriptors.

use super::prints;
use e2e::{Outcome, Running, example};

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
