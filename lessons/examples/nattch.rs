//! nattch counts mappings: not processes, and not threads.
//!
//! ```text
//! cargo run -p lessons --example nattch
//! ```
//!
//! predict: one process attaches a segment twice, and then forks. What is nattch?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;

use common::sysv::{Key, Segment};
use common::{ReadWrite, Result, SharedU32};
use terminal::ended::in_child;

fn main() -> Result<()> {
    let segment = Segment::create(Key::Private, size_of::<SharedU32>(), 0o600)?;
    // shmat, twice: two addresses, one memory. A library and its program may both do this.
    let first = segment.attach::<SharedU32, ReadWrite>().map_err(|it| segment.abandon(it))?;
    // Marked at once: it goes with the last detach, however this process ends. See after-rmid.
    segment.remove()?;
    show(&segment, "attached once")?;
    let second = segment.attach::<SharedU32, ReadWrite>()?;
    show(&segment, "attached twice")?;
    first.writer().store(7, Relaxed);
    println!("stored 7 in the first, loaded from the second: {}", second.load(Relaxed));
    eprintln!("addresses: {:p} and {:p}", first.address(), second.address());

    // fork: the child has a copy of the address space, so of both mappings.
    in_child(|| show(&segment, "in a forked child"))?;
    show(&segment, "the child has ended")?;

    // vfork: the child runs in our address space until exec or exit. posix_spawn(3), which starts most
    // programs today, does the same.
    println!("in a child as of vfork: nattch {}", segment.attached_after_vfork()?);

    // A thread shares the address space too.
    std::thread::scope(|scope| {
        scope.spawn(|| show(&segment, "in a second thread")).join().expect("it does not panic")
    })?;

    first.detach()?;
    show(&segment, "detached once")?;
    second.detach()?;
    println!("detached twice: {}", lessons::answer(&segment.status()));
    Ok(())
}

fn show(segment: &Segment, when: &str) -> Result<()> {
    println!("{when}: nattch {}", segment.status()?.attached);
    Ok(())
}
