//! What keeps the stack of the first thread away from all regions: guard pages.
//!
//! The kernel keeps a gap below the stack where it chooses an address, and where the stack grows towards pages that may
//! be accessed. Up to pages without rights the stack grows until it touches them, and a function with large variables
//! reaches over them. So there are pages that may be read, which stay for good: no region comes to lie above them, and
//! the stack keeps its gap to them.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Refusal, Result};
use crate::mapping::Reservation;
use crate::proc::{MapsLine, own_maps, page_size};

/// The addresses where no region may lie: from the guard pages, which the first call reserves, to the end of the stack.
///
/// # Errors
///
/// Those of [`maps`](crate::proc::maps). Refused if there is no room for these pages.
pub(super) fn off_limits() -> Result<Range<usize>> {
    static OFF_LIMITS: Mutex<Option<Range<usize>>> = Mutex::new(None);
    let mut off_limits = OFF_LIMITS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(range) = &*off_limits {
        return Ok(range.clone());
    }
    let no_room = || Error::refused("mmap", "guard pages below the stack", Refusal::NoRoom);
    let (room, end) = room_below(&own_maps()?).ok_or_else(no_room)?;
    // A quarter for what will be mapped, three for the stack. Where the kernel chooses addresses from the top down,
    // the room is at least 128 MiB, and more if RLIMIT_STACK is; regions get what is below it.
    let start = room.start + room.len() / 4;
    let start = start - start % page_size();
    // As many as the kernel keeps free, if nobody has told it otherwise (`stack_guard_gap`).
    Reservation::at(start..start + 256 * page_size()).ok_or_else(no_room)?.leak();
    Ok(off_limits.insert(start..end).clone())
}

/// The free addresses below the stack, and where the stack ends.
///
/// Parts of it may have got flags or a name of their own (prctl(2) `PR_SET_VMA_ANON_NAME`): then only the last line is
/// called `[stack]`, and the first one grows. What adjoins the stack counts as its part.
fn room_below(lines: &[MapsLine]) -> Option<(Range<usize>, usize)> {
    let stack = lines.iter().rposition(|it| it.name == "[stack]")?;
    let Range { mut start, end } = lines[stack].addresses;
    for line in lines[..stack].iter().rev() {
        if line.addresses.end < start {
            return Some((line.addresses.end..start, end));
        }
        start = line.addresses.start;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_may_have_parts() {
        let room = |lines: &[(&str, &str)]| {
            let line = |(addresses, name): &(&str, &str)| {
                MapsLine::parse(&format!("{addresses} rw-p 00000000 00:00 0 {name}"))
            };
            room_below(&lines.iter().map(|it| line(it).expect("a line")).collect::<Vec<_>>())
        };
        let whole = [("1000-2000", ""), ("8000-a000", "[stack]"), ("c000-d000", "[vvar]")];
        assert_eq!(room(&whole), Some((0x2000..0x8000, 0xa000)));
        let named = [("1000-2000", ""), ("8000-9000", "[anon: a]"), ("9000-a000", "[stack]")];
        assert_eq!(room(&named), Some((0x2000..0x8000, 0xa000)));
        assert_eq!(room(&[("8000-9000", "[stack]")]), None);
        assert_eq!(room(&[("8000-9000", "")]), None);
    }
}
