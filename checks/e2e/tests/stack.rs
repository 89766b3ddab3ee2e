//! The stack grows down. Nothing that safe code maps may come to be what it grows into.
//!
//! Each test fills the address space of a child, so that a region ends close below the stack.

use std::ptr;

use common::mapping::Region;
use common::proc::{maps, page_size};
use common::{Error, Refusal, Result};
use e2e::forking::{Test, run};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags};
use terminal::ended::{Ended, in_child};
use terminal::{Stop, Terminal};

const TESTS: [(&str, Test); 3] = [
    ("pages that the stack has come to touch are not opened", protect),
    ("a region does not grow up to the stack", resize),
    ("a load right below the stack is refused", load_after_unmap),
];

fn main() -> std::process::ExitCode {
    run(&TESTS)
}

const NONE: ProtFlags = ProtFlags::PROT_NONE;
const BOTH: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

fn protect(_: &mut Terminal) -> std::result::Result<(), Stop> {
    for distance in [0, 8 * page_size()] {
        refused(|region| {
            touch(end_of(&region) + distance);
            region.protect(0, region.size(), BOTH)
        })?;
    }
    Ok(())
}

fn resize(_: &mut Terminal) -> std::result::Result<(), Stop> {
    let ended = in_child(|| {
        let (_others, mut region) = all_up_to_the_stack();
        region.protect(0, region.size(), BOTH)?;
        // The only place where it could grow to that size.
        let room = start_of_stack() - end_of(&region);
        let grown = region.resize(region.size() + room).expect_err("no room");
        assert_eq!(grown.errno(), Some(Errno::ENOMEM));
        region.store(0, 1);
        Ok(())
    })?;
    assert_eq!(ended, Ended::Exited(0));
    Ok(())
}

fn load_after_unmap(_: &mut Terminal) -> std::result::Result<(), Stop> {
    refused(|region| {
        let last = region.size() - 4;
        region.load_after_unmap(last).map(drop)
    })
}

/// Does `work` in a child, with a region that ends close below the stack, and expects it to be refused.
fn refused(work: impl FnOnce(Region) -> Result<()>) -> std::result::Result<(), Stop> {
    let ended = in_child(|| {
        // What keeps the rest of the address space, and the region.
        let (_others, region) = all_up_to_the_stack();
        match work(region) {
            Err(error) if error.refusal().is_some() => Ok(()),
            other => {
                let refusal = Refusal::Other(format!("it should be refused: {other:?}"));
                Err(Error::refused("the call", "below the stack", refusal))
            }
        }
    })?;
    assert_eq!(ended, Ended::Exited(0));
    Ok(())
}

/// Regions everywhere, the largest gaps first; and apart from them, the one that ends right below the stack.
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

/// Has the stack grow until its last page lies right above `end`.
#[inline(never)]
fn touch(end: usize) -> u64 {
    let local = std::hint::black_box([7_u64; 16]);
    if ptr::from_ref(&local).addr() < end + 3000 {
        return local[0];
    }
    // Not the last thing that it does, or else it would need no stack.
    touch(end).wrapping_add(std::hint::black_box(local[3]))
}
