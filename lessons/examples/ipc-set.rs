//! IPC_SET changes who may attach. It changes nothing for those who have attached.
//!
//! ```text
//! cargo run -p lessons --example ipc-set
//! ```
//!
//! predict: a segment's mode becomes 0400 while this process has it attached for stores. Can it still store?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;

use common::sysv::{Key, Segment};
use common::{ReadOnly, ReadWrite, Result, SharedU32};
use lessons::answer;
use nix::unistd::geteuid;

fn main() -> Result<()> {
    let segment = Segment::create(Key::Private, size_of::<SharedU32>(), 0o600)?;
    let result = change(&segment);
    // Whatever happened: nobody else can find a private segment.
    segment.remove()?;
    result
}

fn change(segment: &Segment) -> Result<()> {
    let before = segment.status()?;
    let shared = segment.attach::<SharedU32, ReadWrite>()?;

    // IPC_STAT, then IPC_SET: it sets owner and group along with the mode. A zeroed struct with the mode
    // alone would give the segment to user 0. For the size there is no such call.
    segment.set_mode(0o400)?;
    let after = segment.status()?;
    println!("mode {:04o}, then {:04o}", before.mode, after.mode);
    println!(
        "owner and size as before: {}",
        (before.owner, before.size) == (after.owner, after.size)
    );

    // As for a file: rights are looked at when it is opened, here at shmat.
    shared.writer().store(7, Relaxed);
    println!("a store through the old attachment: {}", shared.load(Relaxed));

    // Root may do anything, where it has the capability CAP_IPC_OWNER.
    let who = if geteuid().is_root() { "root" } else { "a user" };
    let read_write = segment.attach::<SharedU32, ReadWrite>().map(drop);
    println!("shmat for stores, as {who}: {}", answer(&read_write));
    println!(
        "shmat with SHM_RDONLY: {}",
        answer(&segment.attach::<SharedU32, ReadOnly>().map(drop))
    );
    eprintln!("owner: user {}, made by process {}", after.owner, after.creator);
    Ok(())
}
