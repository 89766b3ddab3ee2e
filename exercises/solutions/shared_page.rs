//! A parent maps a page and forks. The child stores 42 in the page.
//! The parent waits until the child has ended, looks, and finds 0.
//!
//! Question: why does the parent wait with waitpid(2), and not for a second?
//!
//! Answer: that the child has ended is proof that all its stores are there. A second proves nothing: on a busy
//! machine, the child may not even have started by then.

#![forbid(unsafe_code)]

use common::mapping::Region;
use common::proc::page_size;
use nix::sys::mman::{MapFlags, ProtFlags};

/// A new page, all zeros, shared with the children that are forked from now on.
fn page() -> Region {
    let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;

    // MAP_SHARED: a store goes to the page that all who have it mapped see. fork(2) copies the mapping,
    // not the page. With MAP_PRIVATE, whoever stores first gets a copy of the page for itself.
    let flags = MapFlags::MAP_SHARED | MapFlags::MAP_ANONYMOUS;

    // mmap(2): pages without a file. They are all zeros.
    Region::map(page_size(), rights, flags, None).expect("a page")
}

fn main() {
    let page = page();
    lab::child_stores(42, &[], &[&page]);
    println!("After the child has stored 42, the parent finds {}.", page.load(0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_finds_what_the_child_has_stored() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let page = page();
        assert_eq!(page.load(0), 0, "the first word of a new page");

        // fork(2), a store of 42 in the child, waitpid(2) in the parent.
        lab::child_stores(42, &[], &[&page]);

        let found = page.load(0);
        assert!(found == 42, "the child has stored 42, and the parent finds {found}");
    }
}
