//! Bytes as a person reads them: offset, hexadecimal, text.

use std::ops::Range;

use crate::memory::{Loaded, Memory};

/// How many bytes a row has.
pub(crate) const ROW: usize = 16;

/// A row of bytes.
#[derive(Debug)]
pub(crate) struct Row {
    /// The field of the record that begins here, or nothing.
    pub(crate) field: &'static str,
    pub(crate) offset: usize,
    /// Where its bytes are in `Loaded::bytes`.
    pub(crate) at: Range<usize>,
}

/// The rows of what was loaded. The record has a row for its count, then four for its text.
pub(crate) fn rows(memory: &Memory, loaded: &Loaded) -> Vec<Row> {
    let length = loaded.bytes.len();
    let starts: Vec<_> = match memory.is_record() {
        true => [0].into_iter().chain((4..length).step_by(ROW)).collect(),
        false => (0..length).step_by(ROW).collect(),
    };
    let ends = starts.iter().skip(1).copied().chain([length]);
    let row = |(start, end): (usize, usize)| Row {
        field: match (memory.is_record(), start) {
            (true, 0) => "count",
            (true, 4) => "ip",
            _ => "",
        },
        offset: loaded.offset + start,
        at: start..end,
    };
    starts.iter().copied().zip(ends).map(row).collect()
}

/// A byte of a page that is not in memory is two dashes.
pub(crate) fn digits(byte: Option<u8>) -> String {
    byte.map_or("--".into(), |it| format!("{it:02x}"))
}

/// The character, or a dot for what is none.
pub(crate) fn character(byte: Option<u8>) -> char {
    match byte {
        Some(byte) if byte.is_ascii_graphic() || byte == b' ' => byte.into(),
        Some(_) => '.',
        None => ' ',
    }
}

/// How many digits the offsets need.
pub(crate) fn offset_digits(size: usize) -> usize {
    format!("{:x}", size.saturating_sub(1)).len().max(4)
}
