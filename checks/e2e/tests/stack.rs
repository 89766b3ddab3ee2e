//! The stack grows down. Nothing that safe code maps may come to be what it grows into.
//!
//! Each test fills the address space of a child, so that a region ends close below the stack.

use common::mapping::Region;
use common::proc::{maps, page_size};
use e2e::forking::{Test, run};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags};
use terminal::ended::{Ended, in_child};
use terminal::{Stop, Terminal};

const TESTS: [(&str, Test); 3] = [
    ("no region comes to lie where the stack may grow", map),
    ("a region does not grow to there", resize),
    ("a load there, nothing mapped, is no growth of the stack", load_after_unmap),
];

fn main() -> std::process::ExitCode {
    run(&TESTS)
}

const NONE: ProtFlags = ProtFlags::PROT_NONE;
const BOTH: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

/// What the stack may need, by the limits that are common: 8 MiB.
const STACK: usize = 8 << 20;

fn map(_: &mut Terminal) -> Result<(), Stop> {
    let ended = in_child(|| {
        let (others, highest) = all_up_to_the_stack();
        let lines = maps("self").expect("/proc");
        let stack = start_of_stack();
        assert!(stack - end_of(&highest) > STACK, "{lines:#?}");
        // The stack keeps its gap to pages that may be read.
        let below = lines.iter().filter(|it| it.addresses.end <= stack);
        let guard = below.max_by_key(|it| it.addresses.end).expect("guard pages");
        assert!(guard.rights.starts_with("r-") && guard.addresses.start >= end_of(&highest));
        assert!(stack - guard.addresses.end > STACK, "{lines:#?}");
        drop(others);
        Ok(())
    })?;
    assert_eq!(ended, Ended::Exited(0));
    Ok(())
}

fn resize(_: &mut Terminal) -> Result<(), Stop> {
    let ended = in_child(|| {
        let (_others, mut region) = all_up_to_the_stack();
        region.protect(0, region.size(), BOTH)?;
        // There is room in one place, above the guard pages.
        let grown = region.resize(region.size() + page_size()).expect_err("no room");
        assert_eq!(grown.errno(), Some(Errno::ENOMEM));
        region.store(0, 1);
        Ok(())
    })?;
    assert_eq!(ended, Ended::Exited(0));
    Ok(())
}

fn load_after_unmap(_: &mut Terminal) -> Result<(), Stop> {
    let ended = in_child(|| {
        let (_others, region) = all_up_to_the_stack();
        let last = region.size() - 4;
        region.load_after_unmap(last).map(drop)
    })?;
    assert_eq!(ended.to_string(), "SIGSEGV, SEGV_MAPERR");
    Ok(())
}

/// Regions wherever there is room, the largest gaps first; and apart from them, the highest below the stack.
fn all_up_to_the_stack() -> (Vec<Region>, Region) {
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS | MapFlags::MAP_NORESERVE;
    let mut regions = Vec::with_capacity(100_000);
    let mut size = 1 << (usize::BITS.min(47) - 1);
    while size >= 1 << 16 {
        match Region::map(size, NONE, flags, None) {
            Ok(region) => regions.push(region),
            Err(_) => size /= 2,
        }
    }
    let stack = start_of_stack();
    let below = (0..regions.len()).filter(|it| end_of(&regions[*it]) <= stack);
    let last = below.max_by_key(|it| end_of(&regions[*it])).expect("room below the stack");
    let region = regions.swap_remove(last);
    (regions, region)
}

fn end_of(region: &Region) -> usize {
    region.address().addr().get() + region.size()
}

fn start_of_stack() -> usize {
    let lines = maps("self").expect("/proc");
    lines.iter().find(|it| it.name == "[stack]").expect("a stack").addresses.start
}
