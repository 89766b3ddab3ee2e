//! How many segments there may be and how many there are: IPC_INFO and SHM_INFO, as ipcs asks.
//!
//! ```text
//! cargo run -p lessons --example shm-limits
//! ```
//!
//! predict: a segment of seven pages is made, and three are touched. How many pages does SHM_INFO count?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;

use common::proc::page_size;
use common::sysv::{Key, Limits, Segment, Totals};
use common::{ReadWrite, Result};
use lessons::{answer, own_ipc_namespace};

fn main() -> Result<()> {
    // IPC_INFO: the limits. ENOSPC from shmget mostly means that SHMMNI segments were left behind.
    let limits = Limits::now()?;
    eprintln!("SHMMAX {} bytes, SHMMNI {}", limits.most_bytes, limits.most_segments);
    eprintln!("SHMALL {} pages", limits.most_pages);
    println!("SHMMIN {}", limits.fewest_bytes);
    println!("shmget, 0 bytes: {}", answer(&Segment::create(Key::Private, 0, 0o600)));
    let more = usize::try_from(limits.most_bytes).unwrap_or(usize::MAX).saturating_add(1);
    println!("shmget, SHMMAX + 1 bytes: {}", answer(&Segment::create(Key::Private, more, 0o600)));

    // Others have segments too, so count where nobody else is.
    if let Err(error) = own_ipc_namespace() {
        eprintln!("skipped: {error}: what follows counts everybody's segments");
    }
    show("at first")?;
    let segment = Segment::create(Key::Private, 7 * page_size(), 0o600)?;
    let shared = segment.attach_words::<ReadWrite>().map_err(|it| segment.abandon(it))?;
    segment.remove()?;
    show("seven pages")?;
    // A page comes with its first touch, here too.
    for page in 0..3 {
        shared.writer().field(|it| &it[page * page_size() / 4]).store(1, Relaxed);
    }
    show("three touched")?;
    shared.detach()?;
    show("detached")
}

fn show(when: &str) -> Result<()> {
    // SHM_INFO: totals of all segments of this IPC namespace. SHM_STAT, which ipcs once used to go through
    // them one by one, has the same numbers as /proc/sysvipc/shm.
    let Totals { segments, pages, resident, swapped } = Totals::now()?;
    println!("{when}: {segments} segments, {pages} pages, {resident} in memory");
    if swapped > 0 {
        eprintln!("{when}: {swapped} pages on the swap device");
    }
    Ok(())
}
