//! A list in shared memory. The process that has built it can follow it. Another one, where the segment is
//! attached at another address, is killed by SIGSEGV.
//!
//! Question: is it enough that a link leads to somewhere within the list?

use std::ptr;
use std::sync::atomic::Ordering::Relaxed;

use common::{SharedU32, Writer, shared_record};

shared_record! {
    pub struct Node {
        value: SharedU32,
        /// What leads to the next node: 64 bits in two words. 0 at the end.
        next: [SharedU32; 2],
    }
}

shared_record! {
    pub struct List {
        nodes: [Node; 3],
    }
}

/// What is stored to lead to `node`.
fn link(list: &List, node: &Node) -> u64 {
    // TODO: an address means nothing in another process. How far is the node from the list's start?
    let _ = list;
    ptr::from_ref(node).expose_provenance() as u64
}

/// Where `link` leads in this process; `None` if it leads to no node of the list.
fn follow(list: &List, link: u64) -> Option<&Node> {
    // TODO: undo what `link` does. And who has stored this number? Don't trust it.
    let _ = list;
    let node = ptr::with_exposed_provenance::<Node>(usize::try_from(link).ok()?);
    // SAFETY: is it?
    unsafe { node.as_ref() }
}

/// Stores the list: each node leads to the one behind it.
fn build(list: Writer<'_, List>) {
    for index in 0..3 {
        let next = list.nodes.get(index + 1).map_or(0, |next| link(&list, next));
        list.field(|it| &it.nodes[index].value).store(10 * index as u32, Relaxed);
        set_next(list, index, next);
    }
}

fn set_next(list: Writer<'_, List>, index: usize, link: u64) {
    list.field(|it| &it.nodes[index].next[0]).store(link as u32, Relaxed);
    list.field(|it| &it.nodes[index].next[1]).store((link >> 32) as u32, Relaxed);
}

/// The values of all nodes, beginning with the first. It stops after four, if the list is a circle.
fn values(list: &List) -> Vec<u32> {
    let mut values = Vec::new();
    let mut node = Some(&list.nodes[0]);
    while let Some(this) = node.filter(|_| values.len() < 4) {
        values.push(this.value.load(Relaxed));
        let [low, high] = this.next.each_ref().map(|it| u64::from(it.load(Relaxed)));
        let link = high << 32 | low;
        node = if link == 0 { None } else { follow(list, link) };
    }
    values
}

fn main() {
    let lab = lab::Lab::<List>::new();
    build(lab.shared.writer());
    let link = link(&lab.shared, &lab.shared.nodes[2]);
    println!("What leads to the last node is {link:#x}; the values are {:?}.", values(&lab.shared));
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab};

    #[test]
    fn role() {
        match lab::role().as_str() {
            "moved" => {
                // Attached twice: the second one is somewhere else, and the first is gone.
                let (home, away) = (lab::attach::<List>(), lab::attach::<List>());
                build(home.writer());
                assert_eq!(values(&home), [0, 10, 20], "where it was built");
                home.detach().expect("detached");
                assert_eq!(values(&away), [0, 10, 20], "at another address");
            }
            "deceived" => {
                let list = lab::attach::<List>();
                let link: u64 = lab::argument("LINK").parse().expect("a number");
                build(list.writer());
                set_next(list.writer(), 0, link);
                assert_eq!(values(&list), [0], "the link leads to no node");
            }
            "in a circle" => {
                let list = lab::attach::<List>();
                build(list.writer());
                set_next(list.writer(), 2, link(&list, &list.nodes[1]));
                assert_eq!(values(&list), [0, 10, 20, 10]);
            }
            _ => {}
        }
    }

    #[test]
    fn it_can_be_followed_at_another_address() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let ended = Lab::<List>::new().start("moved").end();
        assert!(ended == Ended::Exited(0), "who has attached it elsewhere follows it: {ended}");
    }

    /// What a hostile process may store there. A node has 12 bytes, and there are three.
    #[test]
    fn a_link_to_no_node_leads_nowhere() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        for link in [4, 13, 36, 4096, 1 << 32, 1 << 47, (1 << 32) + 12, u64::MAX - 11, u64::MAX] {
            let lab = Lab::<List>::new();
            let ended = lab.start_with_argument("deceived", "LINK", &link.to_string()).end();
            assert!(ended == Ended::Exited(0), "who follows a link {link:#x}: {ended}");
        }
        let ended = Lab::<List>::new().start("in a circle").end();
        assert!(ended == Ended::Exited(0), "who follows a circle: {ended}");
    }
}
