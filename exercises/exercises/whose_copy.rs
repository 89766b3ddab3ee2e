//! A child stores 42 in four places. Somebody expected that the parent finds 42 everywhere.
//! Read `events`, and write down what the parent finds before you look at what the test says.
//!
//! Question: when exactly is a copy of a page made, and who makes it?

#![forbid(unsafe_code)]

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU32, Ordering};

use common::mapping::Region;
use common::proc::page_size;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags};

struct Found {
    variable: u32,
    anonymous: u32,
    shared: u32,
    own: u32,
    looked_at: u32,
    read: u32,
}

// TODO: what does the parent find, when the child has ended?
const PREDICTION: Found =
    Found { variable: 42, anonymous: 42, shared: 42, own: 42, looked_at: 42, read: 42 };

fn events() -> Found {
    // A file of one page, which holds 1.
    let file = File::from(memfd_create(c"file", MFdFlags::MFD_CLOEXEC).expect("a memfd"));
    file.set_len(page_size() as u64).expect("one page");
    file.write_all_at(&1_u32.to_ne_bytes(), 0).expect("written");

    // One variable, and four pages. Three of them map the file.
    let variable = AtomicU32::new(0);
    let anonymous = map(MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS, None);
    let shared = map(MapFlags::MAP_SHARED, Some(&file));
    let own = map(MapFlags::MAP_PRIVATE, Some(&file));
    let looked_at = map(MapFlags::MAP_PRIVATE, Some(&file));
    own.store(0, 2);
    assert_eq!(looked_at.load(0), 1);

    // fork(2). The child stores 42 in four of the five. The parent waits until it has ended.
    lab::child_stores(42, &[&variable], &[&anonymous, &shared, &own]);

    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, 0).expect("read");
    Found {
        variable: variable.load(Ordering::Relaxed),
        anonymous: anonymous.load(0),
        shared: shared.load(0),
        own: own.load(0),
        looked_at: looked_at.load(0),
        read: u32::from_ne_bytes(bytes),
    }
}

fn map(flags: MapFlags, file: Option<&File>) -> Region {
    let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    Region::map(page_size(), rights, flags, file.map(|it| (it, 0))).expect("a page")
}

/// Place by place: what was predicted, and what was found.
fn compare(found: &Found) -> [(&'static str, u32, u32); 6] {
    let it = &PREDICTION;
    [
        ("the variable", it.variable, found.variable),
        ("the anonymous page", it.anonymous, found.anonymous),
        ("the shared page of the file", it.shared, found.shared),
        ("the parent's own page", it.own, found.own),
        ("the page that was only looked at", it.looked_at, found.looked_at),
        ("the file, by read(2)", it.read, found.read),
    ]
}

fn main() {
    let places = compare(&events());
    let right = places.iter().filter(|(_, predicted, found)| predicted == found).count();
    println!("{right} of 6 predicted right. A page is copied by a store, not by fork(2).");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prediction_comes_true() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        for (place, predicted, found) in compare(&events()) {
            assert!(predicted == found, "{place}: it is not {predicted} that the parent finds");
        }
    }
}
