//! Records in shared memory that refer to each other.
//!
//! A pointer means nothing in another process: the memory is mapped elsewhere there. So a link is an
//! *offset*: how many bytes a record lies behind the start of the memory. And whoever may write to
//! the memory may have written the link, so it is checked before it is followed: does it lead to a
//! whole record inside, and to a word's start? Does the chain ever end?

use std::fmt;

use crate::shared::SharedMemory;
use crate::words::SharedU32;

/// Why a link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLink {
    /// No whole record lies there: so many bytes from the start of the memory.
    Outside(u32),
    /// No record can begin there.
    Unaligned(u32),
    /// The chain has more records than the memory has room for: it goes round in a circle, or its
    /// records lie on top of each other.
    Circle,
}

impl fmt::Display for BadLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside(link) => write!(f, "a link to {link}: outside"),
            Self::Unaligned(link) => write!(f, "a link to {link}: not aligned"),
            Self::Circle => write!(f, "a circle"),
        }
    }
}

/// The record that `link` leads to: so many bytes behind the start of `words`.
///
/// To store there, ask the writer of the words for it:
///
/// ```
/// use common::{ReadWrite, SharedU32, links, sysv::Attachment};
/// use std::sync::atomic::Ordering::Relaxed;
///
/// fn store(shared: &Attachment<[SharedU32], ReadWrite>, link: u32) -> Result<(), links::BadLink> {
///     // Once for the check, and then for the writer.
///     links::at::<[SharedU32; 2]>(shared, link)?;
///     let words = shared.writer().field(|it| links::at::<[SharedU32; 2]>(it, link).expect("checked"));
///     words.field(|it| &it[1]).store(5, Relaxed);
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// [`BadLink::Outside`] and [`BadLink::Unaligned`].
pub fn at<T: SharedMemory>(words: &[SharedU32], link: u32) -> Result<&T, BadLink> {
    let (start, outside) = (words.as_ptr(), BadLink::Outside(link));
    let offset = usize::try_from(link).map_err(|_| outside)?;
    let end = offset.checked_add(size_of::<T>()).ok_or(outside)?;
    if end > size_of_val(words) {
        return Err(outside);
    }
    // The address and not the offset: the words themselves need not begin at a multiple of more than 4.
    if !start
        .addr()
        .wrapping_add(offset)
        .is_multiple_of(align_of::<T>().max(align_of::<SharedU32>()))
    {
        return Err(BadLink::Unaligned(link));
    }
    // SAFETY: `offset` is not behind the end of the words.
    let record = unsafe { start.byte_add(offset) }.cast::<T>();
    // SAFETY: all of the record lies in the words, which stay mapped while they are borrowed, and it is
    // aligned. `T: SharedMemory` consists of the same 32-bit atomics as the words, and makes whatever
    // bits are there a valid `T` that others may change under a shared reference.
    Ok(unsafe { &*record })
}

/// Follows a chain of records from the one that `first` leads to; `next` loads the link of a record,
/// and 0 ends the chain. Each link is loaded once, and checked before it is followed.
///
/// It ends, whatever others have stored there and go on to store: after a bad link, and after as many
/// records as there is room for.
pub fn walk<T: SharedMemory>(words: &[SharedU32], first: u32, next: fn(&T) -> u32) -> Walk<'_, T> {
    let room = size_of_val(words) / size_of::<T>().max(size_of::<SharedU32>());
    Walk { words, link: first, room, next }
}

/// A chain of records: see [`walk`].
#[derive(Debug)]
#[must_use = "nothing is loaded before it is iterated"]
pub struct Walk<'a, T> {
    words: &'a [SharedU32],
    /// What leads to the next one, or 0.
    link: u32,
    /// How many records may still come.
    room: usize,
    next: fn(&T) -> u32,
}

impl<'a, T: SharedMemory> Iterator for Walk<'a, T> {
    type Item = Result<&'a T, BadLink>;

    fn next(&mut self) -> Option<Self::Item> {
        let link = match std::mem::take(&mut self.link) {
            0 => return None,
            link => link,
        };
        let Some(room) = self.room.checked_sub(1) else { return Some(Err(BadLink::Circle)) };
        self.room = room;
        let found = at(self.words, link);
        if let Ok(record) = found {
            self.link = (self.next)(record);
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;
    use crate::shared::ReadWrite;
    use std::sync::atomic::Ordering::Relaxed;

    crate::shared_record! {
        struct Node {
            value: SharedU32,
            next: SharedU32,
        }
    }

    const WORDS: usize = 64;
    /// What lies around the memory that may be read.
    const OUTSIDE: u32 = 0xdead_beef;

    fn next(node: &Node) -> u32 {
        node.next.load(Relaxed)
    }

    /// Words inside of a larger memory, whose other words nobody may see.
    struct Shared(Mapping<[SharedU32; 3 * WORDS], ReadWrite>);

    impl Shared {
        fn new() -> Self {
            let shared = Self(Mapping::anonymous().expect("a page"));
            for index in 0..3 * WORDS {
                shared.0.writer().field(|it| &it[index]).store(OUTSIDE, Relaxed);
            }
            (0..WORDS).for_each(|index| shared.store(index, 0));
            shared
        }

        fn words(&self) -> &[SharedU32] {
            &self.0[WORDS..2 * WORDS]
        }

        fn store(&self, index: usize, value: u32) {
            self.0.writer().field(|it| &it[WORDS + index]).store(value, Relaxed);
        }

        /// A chain of three, in another order than they lie there.
        fn chain(&self) {
            for (index, value) in [(0, 40), (10, 10), (11, 8), (2, 20), (3, 80), (20, 30), (21, 0)]
            {
                self.store(index, value);
            }
        }

        fn values(&self) -> Result<Vec<u32>, BadLink> {
            let chain = walk(self.words(), self.words()[0].load(Relaxed), next);
            chain.map(|node| node.map(|it| it.value.load(Relaxed))).collect()
        }
    }

    #[test]
    fn a_chain_is_followed_to_its_end() {
        let shared = Shared::new();
        assert_eq!(shared.values(), Ok(vec![]));
        shared.chain();
        assert_eq!(shared.values(), Ok(vec![10, 20, 30]));
        for bad in [1, 2, 3, 41] {
            shared.store(21, bad);
            assert_eq!(shared.values(), Err(BadLink::Unaligned(bad)));
        }
        let size = 4 * 64;
        for bad in [size - 4, size, u32::MAX - 3, u32::MAX, 1 << 31] {
            shared.store(21, bad);
            assert_eq!(shared.values(), Err(BadLink::Outside(bad)));
        }
        for circle in [40, 8, 80] {
            shared.store(21, circle);
            assert_eq!(shared.values(), Err(BadLink::Circle));
        }
    }

    #[test]
    fn a_bad_link_says_what_is_wrong_with_it() {
        assert_eq!(BadLink::Outside(256).to_string(), "a link to 256: outside");
        assert_eq!(BadLink::Unaligned(6).to_string(), "a link to 6: not aligned");
        assert_eq!(BadLink::Circle.to_string(), "a circle");
    }

    #[test]
    fn ten_thousand_corruptions_lead_nowhere_else() {
        let shared = Shared::new();
        let inside = shared.words().as_ptr_range();
        // xorshift: the same numbers in every run.
        let mut state = 0x9e37_79b9_u32;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        let (mut whole, mut bad) = (0, 0);
        for _ in 0..10_000 {
            shared.chain();
            for _ in 0..random() % 4 {
                let value = match random() % 4 {
                    0 => random(),
                    1 => random() % 300,
                    2 => 4 * (random() % 64),
                    _ => {
                        shared.words()[random() as usize % WORDS].load(Relaxed)
                            ^ 1 << (random() % 32)
                    }
                };
                shared.store(random() as usize % WORDS, value);
            }
            let mut steps = 0;
            for node in walk(shared.words(), shared.words()[0].load(Relaxed), next) {
                steps += 1;
                match node {
                    Ok(node) => {
                        let start = std::ptr::from_ref(node).cast::<SharedU32>();
                        assert!(inside.start <= start && start.addr() + 8 <= inside.end.addr());
                        assert_ne!(node.value.load(Relaxed), OUTSIDE);
                    }
                    Err(_) => bad += 1,
                }
            }
            assert!(steps <= WORDS / 2 + 1);
            whole += u32::from(steps == 3);
        }
        assert!(whole > 100 && bad > 100, "{whole} whole chains, {bad} bad links");
    }
}
