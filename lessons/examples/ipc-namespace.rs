//! An IPC namespace: keys and ids mean something inside of one only. Attached memory knows no such border.
//!
//! ```text
//! cargo run -p lessons --example ipc-namespace
//! ```
//!
//! predict: a child moves into a new IPC namespace. Can it still load from a segment that it inherited?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;

use common::proc::segments;
use common::sysv::{Key, Segment};
use common::{ReadWrite, Result, SharedU32};
use lessons::{On as _, answer, own_ipc_namespace};
use terminal::ended::in_child;

fn main() -> Result<()> {
    let segment = Segment::create(Key::Private, size_of::<SharedU32>(), 0o600)?;
    let shared = segment.attach::<SharedU32, ReadWrite>().map_err(|it| segment.abandon(it))?;
    segment.remove()?;
    shared.writer().store(7, Relaxed);
    eprintln!("parent: {}", namespace()?);

    in_child(|| {
        // unshare(2): what a container's runtime does before it starts a program there.
        if let Err(error) = own_ipc_namespace() {
            eprintln!("skipped: {error}");
            return Ok(());
        }
        eprintln!("child: {}", namespace()?);
        println!("the id, in the child: {}", answer(&segment.status()));
        let listed = segments().on("read", "/proc/sysvipc/shm")?.len();
        println!("segments in the child's namespace: {listed}");
        println!("load through the inherited attachment: {}", shared.load(Relaxed));

        // With a key that others use, too. Nobody removes this one: it goes with the namespace, and that
        // goes with its last process.
        Segment::create(Key::Number(1234), 4, 0o600)?;
        let listed = segments().on("read", "/proc/sysvipc/shm")?.len();
        println!("after the child has made one: {listed}");
        Ok(())
    })?;
    // The child had a mapping of its own, in whatever namespace.
    println!("the id, in the parent: nattch {}", segment.status()?.attached);
    Ok(())
}

/// Such as `ipc:[4026531839]`. Two processes are in one namespace if this is the same.
fn namespace() -> Result<String> {
    let link = std::fs::read_link("/proc/self/ns/ipc").on("readlink", "/proc/self/ns/ipc")?;
    Ok(link.display().to_string())
}
