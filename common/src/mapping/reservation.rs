//! Reserved addresses: room in the address space, without memory.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr::{self, NonNull};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::proc::page_size;

/// Addresses that this process has reserved, to put a mapping of its own there: mmap(2). Dropping it frees
/// them.
///
/// The pages may be read: the stack keeps its gap only to pages that may be accessed. It could come to touch
/// others, and then go on into what replaces them.
#[derive(Debug)]
pub(crate) struct Reservation {
    addresses: Range<usize>,
}

impl Reservation {
    /// Reserves `wanted`, which starts at a page, rounded up to whole pages, if it is free and if the stack
    /// may not grow to there.
    ///
    /// The address is a hint: where the kernel can't follow it, it chooses another, and this is
    /// `None`. It follows no hint to the gap below the stack. `MAP_FIXED` and
    /// `MAP_FIXED_NOREPLACE` don't care for that gap.
    pub(crate) fn at(wanted: Range<usize>) -> Option<Self> {
        let end = wanted.end.checked_next_multiple_of(page_size())?;
        let length = NonZeroUsize::new(end.checked_sub(wanted.start)?)?;
        let reserved = Self::near(NonZeroUsize::new(wanted.start), length).ok()?;
        (reserved.addresses.start == wanted.start).then_some(reserved)
    }

    /// Reserves `length` bytes, whole pages, where the kernel chooses.
    pub(crate) fn anywhere(length: NonZeroUsize) -> nix::Result<Self> {
        Self::near(None, length)
    }

    fn near(hint: Option<NonZeroUsize>, length: NonZeroUsize) -> nix::Result<Self> {
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: without MAP_FIXED, mmap never replaces a mapping that is there, so it touches no
        // memory that Rust knows of.
        let got = unsafe { mmap_anonymous(hint, length, ProtFlags::PROT_READ, flags) }?;
        let start = got.as_ptr().addr();
        Ok(Self { addresses: start..start + length.get() })
    }

    /// The addresses.
    pub(crate) fn addresses(&self) -> &Range<usize> {
        &self.addresses
    }

    /// The first address.
    pub(crate) fn start(&self) -> Option<NonNull<c_void>> {
        NonNull::new(ptr::without_provenance_mut(self.addresses.start))
    }

    /// Frees what lies before and behind the `length` bytes from `start` on, which have been
    /// replaced and are somebody else's now.
    pub(crate) fn release_except(self, start: usize, length: usize) {
        let kept_until = (start + length).next_multiple_of(page_size());
        let (before, behind) = (self.addresses.start..start, kept_until..self.addresses.end);
        self.leak();
        drop([Self { addresses: before }, Self { addresses: behind }]);
    }

    /// Keeps the addresses reserved for as long as this process lives.
    pub(crate) fn leak(self) {
        let _ = std::mem::ManuallyDrop::new(self);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let (Some(start), false) = (self.start(), self.addresses.is_empty()) {
            // SAFETY: these addresses are this reservation's; nobody else has anything there.
            let _ = unsafe { munmap(start, self.addresses.len()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::maps;

    #[test]
    fn the_stack_keeps_its_gap_to_it() {
        let free = Reservation::at(0x5000_0000..0x5000_1000).expect("nothing is mapped there");
        let lines = maps("self").expect("/proc");
        let line = lines.iter().find(|it| it.addresses.contains(&free.addresses.start));
        assert!(line.expect("it is mapped").rights.starts_with('r'), "{line:?}");
    }
}
