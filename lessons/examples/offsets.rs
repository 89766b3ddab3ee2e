//! A list in shared memory that is attached at two addresses: its links are offsets, and checked.
//!
//! ```text
//! cargo run -p lessons --example offsets
//! ```
//!
//! predict: the last link is overwritten with 0, 8, 42, 4092, and with u32::MAX. What does each do?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use common::links::{BadLink, at, walk};
use common::sysv::{Key, Segment};
use common::{ReadOnly, ReadWrite, Result, SharedU32, Writer};

common::shared_record! {
    /// C's `struct node { unsigned value; unsigned next; };`, and not `struct node *next`.
    struct Node {
        value: SharedU32,
        /// Where the next one lies, in bytes from the start of the segment; 0 for none.
        next: SharedU32,
    }
}

/// Where the nodes lie, in the order of the list. The first word of the segment leads to the first one.
const NODES: [u32; 3] = [80, 8, 4088];

fn main() -> Result<()> {
    // shmat, twice: two addresses, as in two processes. IPC_RMID: it goes with the last detach.
    let segment = Segment::create(Key::Private, 4096, 0o600)?;
    let (here, there) = (segment.attach_words::<ReadWrite>()?, segment.attach_words::<ReadOnly>()?);
    segment.remove()?;
    for (index, link) in NODES.into_iter().enumerate() {
        let node = node(here.writer(), link);
        node.field(|it| &it.value).store(10 * link, Relaxed);
        node.field(|it| &it.next).store(NODES.get(index + 1).copied().unwrap_or(0), Relaxed);
    }
    // Last, in release order: who finds the first node finds them all. Pairs with `values`.
    here.writer().field(|it| &it[0]).store(NODES[0], Release);
    eprintln!("the segment: at {:?} and at {:?}", here.address(), there.address());
    println!("here: {:?}, there: {:?}", values(&here), values(&there));

    // What a peer may store there. A pointer would be a SIGSEGV, or somebody else's memory.
    for link in [0, 8, 42, 4092, u32::MAX] {
        node(here.writer(), NODES[2]).field(|it| &it.next).store(link, Relaxed);
        println!("a link to {link}: {:?}", values(&there));
    }
    Ok(())
}

fn values(words: &[SharedU32]) -> std::result::Result<Vec<u32>, BadLink> {
    let list = walk(words, words[0].load(Acquire), |node: &Node| node.next.load(Relaxed));
    list.map(|node| node.map(|it| it.value.load(Relaxed))).collect()
}

fn node(words: Writer<'_, [SharedU32]>, link: u32) -> Writer<'_, Node> {
    words.field(|it| at(it, link).expect("a link of our own"))
}
