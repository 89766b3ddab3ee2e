//! A C struct with padding: where its fields lie, checked by the compiler, and its bytes in a file.
//!
//! Partner: any C program with the same struct, here checks/e2e/peers/sample.c.
//!
//! ```text
//! cargo run -p lessons --example c-layout
//! cargo run -p lessons --example c-layout -- /tmp/sample
//! ```
//!
//! predict: how many bytes has `struct sample { char tag; int value; short number; char name[9]; }`?

#![forbid(unsafe_code)]

use std::mem::offset_of;
use std::path::Path;

use bytemuck::{Pod, Zeroable};
use common::mapping::RecordFile;
use common::{Result, SharedU32, Text};

/// The padding has names: bytes without a name hold what was there before, perhaps a password, and
/// two equal records differ in them. bytemuck refuses a struct that has any.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Sample {
    tag: u8,
    padding: [u8; 3],
    value: i32,
    number: i16,
    name: [u8; 9],
    padding_at_end: u8,
}

// What C says; checks/e2e/peers/sample.c has the same lines.
const _: () = assert!(size_of::<Sample>() == 20 && align_of::<Sample>() == 4);
const _: () = assert!(offset_of!(Sample, value) == 4 && offset_of!(Sample, number) == 8);
const _: () = assert!(offset_of!(Sample, name) == 10);

fn main() -> Result<()> {
    // A tuple has no repr(C): Rust chooses the order of its fields.
    let free = size_of::<(u8, i32, i16, [u8; 9])>();
    println!("C: {} bytes, Rust's own order: {free}", size_of::<Sample>());
    let Some(path) = std::env::args_os().nth(1) else { return Ok(()) };
    let ours = Sample {
        tag: b'r',
        value: -2,
        number: 300,
        name: *b"Rust\0\0\0\0\0",
        ..Zeroable::zeroed()
    };

    // open or create, mmap: five words, whatever is in them. What somebody left is shown.
    let file = RecordFile::open_or_create(Path::new(&path), 0o600, bytemuck::bytes_of(&ours))?;
    let shared = file.map::<[SharedU32; 5]>()?;
    let words = shared.each_ref().map(|it| it.load(std::sync::atomic::Ordering::Acquire));
    let Sample { tag, value, number, name, .. } = bytemuck::cast(words);
    let tag = tag.escape_ascii();
    println!("tag {tag}, value {value}, number {number}, name {}", Text::from_c(&name));
    Ok(())
}
