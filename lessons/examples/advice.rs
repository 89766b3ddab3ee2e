//! madvise: some advice is a hint, some throws data away, and it depends on the mapping whose.
//!
//! ```text
//! cargo run -p lessons --example advice
//! ```
//!
//! predict: after MADV_DONTNEED, is your store still there in a private page? In a shared one?

#![forbid(unsafe_code)]

use common::Result;
use common::mapping::Region;
use common::proc::page_size;
use lessons::{On as _, answer, scratch_file};
use nix::sys::mman::{MapFlags as Map, MmapAdvise, ProtFlags as Prot};

fn main() -> Result<()> {
    let page = page_size();
    let file = scratch_file()?;
    file.set_len(page as u64).on("ftruncate", "the file")?;
    let both = Prot::PROT_READ | Prot::PROT_WRITE;
    let map = |flags, file| Region::map(page, both, flags, file);
    let private = map(Map::MAP_PRIVATE, Some((&file, 0)))?;
    let shared = map(Map::MAP_SHARED, Some((&file, 0)))?;
    let anonymous = map(Map::MAP_SHARED | Map::MAP_ANONYMOUS, None)?;
    shared.store(0, 1);
    private.store(0, 5);
    anonymous.store(0, 5);

    // MADV_DONTNEED: this process lets go of its pages. A private copy is lost, because nobody else
    // has it. Allocators give memory back like this.
    private.advise(0, page, MmapAdvise::MADV_DONTNEED)?;
    println!("private, stored 5, MADV_DONTNEED: load {}, the file's", private.load(0));
    anonymous.advise(0, page, MmapAdvise::MADV_DONTNEED)?;
    println!("shared, stored 5, MADV_DONTNEED: load {}", anonymous.load(0));

    // MADV_REMOVE: a hole in the object itself. Everybody who shares it loads zeros.
    anonymous.advise(0, page, MmapAdvise::MADV_REMOVE)?;
    println!("shared, MADV_REMOVE: load {}", anonymous.load(0));
    println!("private, MADV_REMOVE: {}", answer(&private.advise(0, page, MmapAdvise::MADV_REMOVE)));

    // Two kinds of huge pages. MADV_HUGEPAGE is a hint: the kernel may use them, or not.
    // MAP_HUGETLB takes them from a reserve, /proc/sys/vm/nr_hugepages, which is empty by default.
    let hint = anonymous.advise(0, page, MmapAdvise::MADV_HUGEPAGE);
    eprintln!("MADV_HUGEPAGE: {}", answer(&hint));
    let flags = Map::MAP_SHARED | Map::MAP_ANONYMOUS | Map::MAP_HUGETLB;
    eprintln!("mmap with MAP_HUGETLB: {}", answer(&Region::map(page, both, flags, None)));

    // Flags are hints too, with MAP_SHARED: mmap ignores what it does not know. With MAP_SHARED_VALIDATE
    // it has to say no. MAP_SYNC, for memory that keeps its contents without power, needs that.
    let unknown = Map::from_bits_retain(1 << 23);
    for (name, sharing) in
        [("MAP_SHARED", Map::MAP_SHARED), ("MAP_SHARED_VALIDATE", Map::MAP_SHARED_VALIDATE)]
    {
        let mapped = map(sharing | unknown, Some((&file, 0)));
        println!("{name}, an unknown flag: {}", answer(&mapped));
    }
    Ok(())
}
