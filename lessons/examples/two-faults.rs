//! SIGSEGV has two reasons: nothing is mapped there, or it is mapped and you may not.
//!
//! ```text
//! cargo run -p lessons --example two-faults
//! ```
//!
//! predict: which of the six accesses below is SEGV_MAPERR?

#![forbid(unsafe_code)]

use common::mapping::Region;
use common::proc::page_size;
use nix::sys::mman::{MapFlags as Map, ProtFlags as Prot};
use terminal::ended::in_child;

fn main() -> common::Result<()> {
    let page = page_size();
    let both = Prot::PROT_READ | Prot::PROT_WRITE;
    let map = || Region::map(3 * page, both, Map::MAP_SHARED | Map::MAP_ANONYMOUS, None);

    // mprotect: no rights at all for the middle page. A guard page like this one lies at the end of
    // every thread's stack, so that an overflow is a fault and not somebody else's data.
    let pages = map()?;
    pages.protect(page, page, Prot::PROT_NONE)?;
    show("store before the guard page", || store(&pages, page - 4))?;
    show("store to the guard page", || store(&pages, page))?;
    show("load from the guard page", || load(&pages, page))?;

    // mprotect: loads only. Other processes may still store, and this one sees it: the rights belong
    // to the mapping, not to the memory.
    pages.protect(page, page, Prot::PROT_READ)?;
    show("load from a PROT_READ page", || load(&pages, page))?;
    show("store to a PROT_READ page", || store(&pages, page))?;

    // munmap: nothing there. In C this is the use after free of shared memory.
    let gone = map()?;
    show("load after munmap", || gone.load_after_unmap(page).map(drop))
}

fn show(what: &str, access: impl FnOnce() -> common::Result<()>) -> common::Result<()> {
    println!("{what}: {}", in_child(access)?);
    Ok(())
}

fn store(pages: &Region, offset: usize) -> common::Result<()> {
    pages.store(offset, 1);
    Ok(())
}

fn load(pages: &Region, offset: usize) -> common::Result<()> {
    let _ = pages.load(offset);
    Ok(())
}
