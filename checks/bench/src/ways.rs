//! The ways: a file for each family, and the list of them all.

pub mod crates;
pub mod kernel;
pub mod locked;
pub mod plain;
pub mod ring;
pub mod sleeping;
pub mod spinning;

use terminal::{Stop, Terminal};

use crate::handover::{Measured, payload, record, throughput};
use crate::way::RECORD;

/// A measurement of one way.
pub type Measure = fn(&mut Terminal, &Measured<'_>) -> Result<Vec<u64>, Stop>;

/// One way to hand over a message, and what can be measured of it.
pub struct Listed {
    /// As in rows.txt, on the page and in the pictures.
    pub name: &'static str,
    /// How the one who waits for the message waits.
    pub waits: &'static str,
    /// How often the payload is copied between the one who makes it and the one who reads it.
    pub copies: u8,
    /// The record, one way.
    pub record: Option<Measure>,
    /// A payload of so many words, one way; by their number, because some need it as a constant.
    pub payload: Option<fn(usize) -> Option<Measure>>,
    /// Payloads one after the other.
    pub throughput: Option<fn(usize) -> Option<Measure>>,
}

macro_rules! ways {
    ($( $name:literal, $waits:literal, $copies:literal, $way:ty, $payload:expr, $throughput:expr; )+) => {
        &[ $( Listed {
            name: $name,
            waits: $waits,
            copies: $copies,
            record: Some(record::<$way>),
            payload: $payload,
            throughput: $throughput,
        }, )+ ]
    };
}

macro_rules! up_to {
    ($most:expr, $measure:expr) => {
        Some(|words| (words * 4 <= $most).then_some($measure as Measure))
    };
}

const ANY: usize = usize::MAX;

/// All ways, in the order of the page.
pub const WAYS: &[Listed] = ways![
    "cache line", "spins", 0, spinning::CacheLine, None, None;
    "seqlock", "spins", 2, spinning::Seq<RECORD>, Some(seqlock), None;
    "two slots", "spins", 2, spinning::Two<RECORD>, None, None;
    "POSIX semaphore", "spins", 2, locked::Posix, None, None;
    "robust mutex", "spins", 2, locked::Robust, None, None;
    "System V semaphore", "spins", 2, locked::SystemV, None, None;
    "plain copies", "spins", 2, plain::Copies, up_to!(ANY, payload::<plain::Copies>), None;
    "plain, in place", "spins", 0, plain::InPlace, up_to!(ANY, payload::<plain::InPlace>), None;
    "ring", "spins", 2, ring::Ring,
        up_to!(16_384, payload::<ring::Ring>), up_to!(16_384, throughput::<ring::Ring>);
    "iceoryx2", "spins", 0, crates::Iceoryx2,
        up_to!(ANY, payload::<crates::Iceoryx2>), up_to!(ANY, throughput::<crates::Iceoryx2>);
    "mmap-sync", "spins", 2, crates::MmapSync, up_to!(ANY, payload::<crates::MmapSync>), None;
    "bare futex", "sleeps", 0, sleeping::BareFutex, None, None;
    "seqlock and futex", "sleeps", 2, sleeping::SeqFutex, None, None;
    "--follow", "sleeps", 2, sleeping::Follow, None, None;
    "seqlock and eventfd", "sleeps", 2, sleeping::SeqEventFd, None, None;
    "pipe", "sleeps", 2, kernel::Pipe,
        up_to!(ANY, payload::<kernel::Pipe>), up_to!(ANY, throughput::<kernel::Pipe>);
    "Unix stream", "sleeps", 2, kernel::Unix,
        up_to!(ANY, payload::<kernel::Unix>), up_to!(ANY, throughput::<kernel::Unix>);
    "Unix datagram", "sleeps", 2, kernel::Datagram,
        up_to!(65536, payload::<kernel::Datagram>), up_to!(65536, throughput::<kernel::Datagram>);
    "TCP loopback", "sleeps", 2, kernel::Tcp,
        up_to!(ANY, payload::<kernel::Tcp>), up_to!(ANY, throughput::<kernel::Tcp>);
    "POSIX message queue", "sleeps", 2, kernel::PosixQueue,
        up_to!(4096, payload::<kernel::PosixQueue>), up_to!(4096, throughput::<kernel::PosixQueue>);
    "System V message queue", "sleeps", 2, kernel::SystemVQueue,
        up_to!(4096, payload::<kernel::SystemVQueue>), up_to!(4096, throughput::<kernel::SystemVQueue>);
    "ipc-channel", "sleeps", 2, crates::IpcChannel,
        up_to!(ANY, payload::<crates::IpcChannel>), up_to!(ANY, throughput::<crates::IpcChannel>);
];

/// The payloads, in words: 64 bytes to 1 MiB.
pub const SIZES: [usize; 8] = [16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144];

fn seqlock(words: usize) -> Option<Measure> {
    Some(match words {
        16 => payload::<spinning::Seq<16>>,
        64 => payload::<spinning::Seq<64>>,
        256 => payload::<spinning::Seq<256>>,
        1024 => payload::<spinning::Seq<1024>>,
        4096 => payload::<spinning::Seq<4096>>,
        16_384 => payload::<spinning::Seq<16_384>>,
        65_536 => payload::<spinning::Seq<65_536>>,
        262_144 => payload::<spinning::Seq<262_144>>,
        _ => return None,
    })
}
