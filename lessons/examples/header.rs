//! Who comes first makes the memory, who comes second uses it: a header says whether it may.
//!
//! Partner: itself, in any number of terminals, or checks/e2e/peers/header.c.
//!
//! ```text
//! cargo run -p lessons --example header
//! cargo run -p lessons --example header -- -v 3
//! cargo run -p lessons --example header
//! ```
//!
//! predict: the second one is of version 3, the others of 2. What does the third one find?

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use common::header::{Header, Kind, Unfit};
use common::sysv::{Key, Segment};
use common::{Error, ReadWrite, Refusal, Result, SharedU32};

const MAGIC: u32 = u32::from_le_bytes(*b"LESN");
const SIZE: u32 = 16;

common::shared_record! {
    struct Board {
        header: Header,
        visits: SharedU32,
    }
}

fn main() -> Result<()> {
    let [key, version] = lessons::options([("-k", 4242), ("-v", 2)])?;
    // shmget, IPC_CREAT | IPC_EXCL: one of all who come has made it, and knows it.
    let segment = Segment::open_or_create(Key::Number(key), SIZE as usize, 0o600)?;
    let board = segment.attach::<Board, ReadWrite>()?;
    let (kind, start) = (Kind { magic: MAGIC, version: version.cast_unsigned() }, Instant::now());
    if segment.created() {
        eprintln!("{segment}; its header: {:?}", board.header.check(kind, segment.size()));
        // Everything else first. Then the header, whose magic number comes last of all.
        board.writer().field(|it| &it.visits).store(0, Relaxed);
        board.writer().field(|it| &it.header).publish(kind, SIZE);
    }
    if board.header.check(kind, segment.size()) == Err(Unfit::NotReady) {
        eprintln!("not ready: waiting for its creator");
    }
    // Its creator may not be there yet, or be dead. IPC_STAT knows the size; the header only says it.
    while let Err(unfit) = board.header.check(kind, segment.size()) {
        if unfit != Unfit::NotReady || start.elapsed() > Duration::from_secs(3) {
            return Err(Error::refused("header", segment, Refusal::Other(unfit.to_string())));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let visit = board.writer().field(|it| &it.visits).fetch_add(1, Relaxed) + 1;
    println!("version {version}, {SIZE} bytes: visit {visit}");
    if visit == 2 {
        println!("removed: {}", segment.remove()?);
    }
    Ok(())
}
