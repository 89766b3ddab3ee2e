//! After IPC_RMID no key leads to a segment, but its id still does, while anybody has it attached.
//!
//! ```text
//! cargo run -p lessons --example after-rmid
//! ```
//!
//! predict: the segment is removed. A child that has only its id wants to attach it. What does shmat say?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;

use common::sysv::{Key, Segment};
use common::{ReadOnly, ReadWrite, Result, SharedU32};
use lessons::answer;
use terminal::ended::in_child;

const SIZE: usize = size_of::<SharedU32>();

fn main() -> Result<()> {
    // With our process id in it, the key is no other run's.
    let key = Key::Number(0x6d00_0000 | std::process::id().cast_signed());
    let segment = Segment::create(key, SIZE, 0o600)?;
    let shared = segment.attach::<SharedU32, ReadWrite>().map_err(|it| segment.abandon(it))?;
    shared.writer().store(7, Relaxed);

    // IPC_RMID at once, not at the end: whatever happens from here on, even kill -9, nothing stays.
    segment.remove()?;
    let status = segment.status()?;
    println!("key {}, nattch {}", status.key, status.attached);
    println!("marked for destruction: {}", status.marked_for_destruction);
    println!("shmget by the key: {}", answer(&Segment::find(key)));

    // Linux only: other systems refuse a segment that is marked. There all must attach before.
    // The child has the mapping that it inherited, too: so nattch is 3.
    in_child(|| {
        let inherited = Segment::from_id(segment.id())?;
        let attached = inherited.attach::<SharedU32, ReadOnly>()?;
        println!("a child, by the id: loaded {}", attached.load(Relaxed));
        println!("a child, by the id: nattch {}", segment.status()?.attached);
        Ok(())
    })?;

    // The key is free, so a new segment may have it. Two processes with one key and two segments: this
    // happens to every program that removes and starts again.
    let second = Segment::create(key, SIZE, 0o600)?;
    println!("a second segment with the key, the same id: {}", second.id() == segment.id());
    second.remove()?;

    shared.detach()?;
    println!("after the last detach: {}", answer(&segment.status()));
    eprintln!("segments {} and {} are gone", segment.id(), second.id());
    Ok(())
}
