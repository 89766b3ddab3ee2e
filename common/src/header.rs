//! What lies at the beginning of shared memory: whose it is, which layout, how large.
//!
//! The creator stores it last, when everything else is in its place; whoever else comes checks it
//! first. New memory has all bytes zero, so a magic number of 0 means that nobody has made it yet,
//! or not to the end.

use std::fmt;
use std::sync::atomic::Ordering;

use crate::shared::Writer;
use crate::words::SharedU32;

crate::shared_record! {
    /// The first 12 bytes of the memory; C's `struct { unsigned magic, version, size; }`.
    pub struct Header {
        magic: SharedU32,
        version: SharedU32,
        size: SharedU32,
    }
}

/// Whose memory it is, and which layout it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// A number that nobody else has, and not 0. Stored in the byte order of the machine: so memory
    /// from a machine with another order is refused too.
    pub magic: u32,
    /// Another number for each layout.
    pub version: u32,
}

/// Why memory is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Nobody has made it, or not to the end. Worth a second look.
    NotReady,
    /// It is something else: this is its first word.
    Foreign(u32),
    /// A program with another layout has made it.
    Version(u32),
    /// It says that it has so many bytes, and it has not.
    Size(u32),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => write!(f, "not ready"),
            Self::Foreign(magic) => {
                write!(f, "something else, with 0x{magic:08x} in its first word")
            }
            Self::Version(version) => write!(f, "its layout has version {version}"),
            Self::Size(size) => write!(f, "it says that it has {size} bytes, and has not"),
        }
    }
}

impl Header {
    /// Checks memory of `size` bytes, which the caller knows from the kernel and not from here.
    ///
    /// Pairs with [`Writer::publish`]: who finds the header finds all that its creator has stored before.
    /// It holds for the moment. Who may write to the memory can change it afterwards, so nothing may
    /// be believed because it was checked once: keep the numbers that you have checked.
    ///
    /// # Errors
    ///
    /// Why the memory is not used.
    pub fn check(&self, kind: Kind, size: usize) -> Result<(), Unfit> {
        match self.magic.load(Ordering::Acquire) {
            0 => return Err(Unfit::NotReady),
            magic if magic != kind.magic => return Err(Unfit::Foreign(magic)),
            _ => {}
        }
        let (version, said) =
            (self.version.load(Ordering::Relaxed), self.size.load(Ordering::Relaxed));
        if version != kind.version {
            return Err(Unfit::Version(version));
        }
        if said as usize != size {
            return Err(Unfit::Size(said));
        }
        Ok(())
    }
}

impl Writer<'_, Header> {
    /// Declares memory of `size` bytes ready, after everything that this process has stored before: the
    /// magic number comes last. For the creator alone.
    ///
    /// Pairs with [`Header::check`].
    pub fn publish(self, kind: Kind, size: u32) {
        self.field(|it| &it.version).store(kind.version, Ordering::Relaxed);
        self.field(|it| &it.size).store(size, Ordering::Relaxed);
        self.field(|it| &it.magic).store(kind.magic, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;
    use crate::shared::ReadWrite;

    const KIND: Kind = Kind { magic: 0x1234_5678, version: 2 };

    #[test]
    fn only_what_was_published_is_used() {
        let shared = Mapping::<Header, ReadWrite>::anonymous().expect("a page");
        let check = |kind, size| shared.check(kind, size);
        assert_eq!(check(KIND, 4096), Err(Unfit::NotReady));
        shared.writer().publish(KIND, 4096);
        assert_eq!(check(KIND, 4096), Ok(()));
        assert_eq!(check(Kind { version: 3, ..KIND }, 4096), Err(Unfit::Version(2)));
        assert_eq!(check(Kind { magic: 5, ..KIND }, 4096), Err(Unfit::Foreign(KIND.magic)));
        assert_eq!(check(KIND, 100), Err(Unfit::Size(4096)));
    }

    #[test]
    fn the_magic_number_comes_last() {
        let shared = Mapping::<Header, ReadWrite>::anonymous().expect("a page");
        // A creator that is killed in between has stored the two others at most.
        shared.writer().field(|it| &it.version).store(2, Ordering::Relaxed);
        shared.writer().field(|it| &it.size).store(4096, Ordering::Relaxed);
        assert_eq!(shared.check(KIND, 4096), Err(Unfit::NotReady));
    }

    #[test]
    fn no_other_bits_are_taken_for_it() {
        let shared = Mapping::<Header, ReadWrite>::anonymous().expect("a page");
        for bit in 0..32 {
            for word in 0..3 {
                shared.writer().publish(KIND, 4096);
                let field = shared.writer().field(|it| [&it.magic, &it.version, &it.size][word]);
                let value = field.load(Ordering::Relaxed);
                field.store(value ^ 1 << bit, Ordering::Relaxed);
                assert!(shared.check(KIND, 4096).is_err(), "bit {bit} of word {word}");
            }
        }
    }
}
