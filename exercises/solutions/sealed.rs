//! A stranger gives us memory. It is large enough, we map it and read. The stranger makes it shorter
//! after our look at its size, and we die of SIGBUS.
//!
//! Question: F_SEAL_SEAL keeps others from adding seals. Why need we not ask for that one?
//!
//! Answer: because seals are only ever added. Once F_SEAL_SHRINK is there, nobody can take it away; what
//! else may be added later does not hurt a guest who only reads. (A guest who wants to store must see to it
//! that there is no F_SEAL_WRITE, and that none can come.) The contents may still change at any time:
//! F_SEAL_WRITE and copies are for that.

#![forbid(unsafe_code)]

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use common::mapping::{Mapping, RecordFile};
use common::{ReadOnly, SharedText};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};

/// One page of text.
type Page = SharedText<1024>;

/// Maps `memory`, if nobody can ever take it away from us.
fn accept(memory: &OwnedFd) -> Result<Mapping<Page, ReadOnly>, String> {
    // The seal first: from then on the size may only grow, so what is looked at below stays true.
    if !seals(memory).contains(SealFlag::F_SEAL_SHRINK) {
        return Err("whoever has it can make it shorter at any moment".into());
    }
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let file = RecordFile::open(Path::new(&path), size_of::<Page>());
    file.and_then(|it| it.map()).map_err(|error| error.to_string())
}

/// What nobody can do to `memory` any more: fcntl(2), `F_GET_SEALS`. Nothing, if it is no memfd.
fn seals(memory: &OwnedFd) -> SealFlag {
    fcntl(memory, FcntlArg::F_GET_SEALS).map_or(SealFlag::empty(), SealFlag::from_bits_truncate)
}

fn main() {
    let (file, _) = nix::unistd::pipe().expect("a pipe");
    println!("A pipe has these seals: {:?}. {}.", seals(&file), accept(&file).expect_err("a pipe"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Process, Reached};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use nix::sys::signal::Signal;
    use nix::unistd::ftruncate;

    /// With what status the guest exits if it refuses what it is given.
    const REFUSED: i32 = 7;

    #[test]
    fn role() {
        if lab::role() == "guest" {
            let Ok(page) = accept(&lab::given()) else { std::process::exit(REFUSED) };
            lab::stop_here();
            assert!(page.load().is_empty(), "all zeros");
        }
        if lab::role() == "guest in steps" {
            let (memory, mut page) = (lab::given(), None);
            lab::one_step_at_a_time(|| page = accept(&memory).ok());
            page.inspect(|it| assert!(it.load().is_empty(), "all zeros"));
        }
    }

    fn memory(flags: MFdFlags, length: i64) -> OwnedFd {
        let memory = memfd_create(c"page", flags | MFdFlags::MFD_CLOEXEC).expect("a memfd");
        ftruncate(&memory, length).expect("its length");
        memory
    }

    fn seal(memory: &OwnedFd, seals: SealFlag) {
        fcntl(memory, FcntlArg::F_ADD_SEALS(seals)).expect("sealed");
    }

    /// Gives `memory` to a guest, makes it shorter between its look and its load, and says how it ended.
    fn guest_ends(memory: &OwnedFd) -> Ended {
        let given = memory.try_clone().expect("a descriptor");
        let mut guest = Process::start_with("guest", &[], given);
        if guest.until_stopped().is_ok() {
            // EPERM if it is sealed.
            let _ = ftruncate(memory, 0);
            guest.go_on();
        }
        guest.end()
    }

    #[test]
    fn memory_that_cannot_become_shorter_is_accepted() {
        let _dog = lab::watchdog(60, "the guest does not end");
        for more in [SealFlag::empty(), SealFlag::F_SEAL_GROW, SealFlag::F_SEAL_SEAL] {
            let memory = memory(MFdFlags::MFD_ALLOW_SEALING, 4096);
            seal(&memory, SealFlag::F_SEAL_SHRINK | more);
            let ended = guest_ends(&memory);
            assert!(
                ended != Ended::Exited(REFUSED),
                "sealed with {:?}, and refused",
                seals(&memory)
            );
            assert!(ended == Ended::Exited(0), "sealed with {:?}: {ended}", seals(&memory));
        }
    }

    #[test]
    fn memory_that_can_be_cut_off_is_refused() {
        let _dog = lab::watchdog(60, "the guest does not end");
        for (what, flags, sealed) in [
            ("no seal", MFdFlags::MFD_ALLOW_SEALING, SealFlag::empty()),
            ("a memfd that cannot be sealed", MFdFlags::empty(), SealFlag::empty()),
            ("F_SEAL_GROW", MFdFlags::MFD_ALLOW_SEALING, SealFlag::F_SEAL_GROW),
            ("F_SEAL_WRITE", MFdFlags::MFD_ALLOW_SEALING, SealFlag::F_SEAL_WRITE),
        ] {
            let memory = memory(flags, 4096);
            if !sealed.is_empty() {
                seal(&memory, sealed);
            }
            let ended = guest_ends(&memory);
            let killed = ended == Ended::Killed(Signal::SIGBUS);
            assert!(!killed, "{what}: accepted, then truncated, and the guest: {ended}");
            assert!(ended == Ended::Exited(REFUSED), "{what} should be refused, but {ended}");
        }
    }

    /// After one instruction of `accept` the stranger makes it shorter, and only then seals it; and again, after
    /// 500 instructions more; and so on, up to its end.
    #[test]
    fn it_may_become_shorter_just_before_it_is_sealed() {
        let _dog = lab::watchdog(240, "the guest does not end");
        for instruction in (1..).step_by(500) {
            let memory = memory(MFdFlags::MFD_ALLOW_SEALING, 4096);
            let given = memory.try_clone().expect("a descriptor");
            let mut guest = Process::start_with("guest in steps", &[], given);
            let reached = guest.steps(instruction).expect("the guest is on its way");
            ftruncate(&memory, 0).expect("shorter");
            seal(&memory, SealFlag::F_SEAL_SHRINK);
            if reached == Reached::End {
                // It had no seal all the time.
                assert!(guest.end() == Ended::Exited(0), "it was not sealed, and is accepted");
                break;
            }
            guest.run_on(libc::SYS_pause).expect("the guest goes on");
            let ended = guest.end();
            assert!(
                ended == Ended::Exited(0),
                "it was truncated and then sealed, after instruction {instruction} of `accept`, and the guest: {ended}"
            );
        }
    }

    #[test]
    fn memory_that_is_too_short_is_refused() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let memory = memory(MFdFlags::MFD_ALLOW_SEALING, 100);
        seal(&memory, SealFlag::F_SEAL_SHRINK);
        assert!(accept(&memory).is_err(), "100 bytes are no page of text");
    }
}
