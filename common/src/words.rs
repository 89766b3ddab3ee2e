//! The words that everything shared is made of, and how to declare a record of them.

use crate::atomic::{AtomicI32, AtomicU32, Ordering, fence};
use crate::shared::{SharedMemory, Writer};
use std::fmt;

macro_rules! shared_word {
    ($name:ident, $atomic:ident, $value:ident, $c:literal) => {
        #[doc = concat!("A 32-bit word in shared memory, C's `", $c, "`: loads for everybody, stores on a [`Writer`].")]
        #[repr(transparent)]
        pub struct $name($atomic);

        // SAFETY: one aligned 32-bit atomic, for which every bit pattern is valid; the methods on
        // `&self` only load.
        unsafe impl SharedMemory for $name {}

        impl $name {
            #[doc = concat!("Loads the word, as [`", stringify!($atomic), "::load`] does.")]
            ///
            /// It is a relaxed load with a fence behind it where `order` asks for more, because std
            /// promises no more than relaxed loads on pages that are mapped read-only.
            ///
            /// # Panics
            ///
            /// If `order` is `Release` or `AcqRel`, as in std.
            #[must_use]
            pub fn load(&self, order: Ordering) -> $value {
                assert!(
                    !matches!(order, Ordering::Release | Ordering::AcqRel),
                    "there is no such load"
                );
                let value = self.0.load(Ordering::Relaxed);
                if order != Ordering::Relaxed {
                    fence(order);
                }
                value
            }

            pub(crate) fn as_ptr(&self) -> *const u32 {
                self.0.as_ptr().cast_const().cast()
            }
        }

        impl Writer<'_, $name> {
            /// Stores `value`.
            ///
            /// # Panics
            ///
            /// If `order` is `Acquire` or `AcqRel`, as in std.
            pub fn store(self, value: $value, order: Ordering) {
                self.0.store(value, order);
            }

            /// Stores `value` and returns what was there, in one indivisible step.
            #[must_use = "`store` is enough if the old value does not matter"]
            pub fn swap(self, value: $value, order: Ordering) -> $value {
                self.0.swap(value, order)
            }

            /// Adds `number` in one indivisible step, and returns what was there before. It wraps.
            pub fn fetch_add(self, number: $value, order: Ordering) -> $value {
                self.0.fetch_add(number, order)
            }

            /// Subtracts `number` in one indivisible step, and returns what was there before. It
            /// wraps.
            pub fn fetch_sub(self, number: $value, order: Ordering) -> $value {
                self.0.fetch_sub(number, order)
            }

            /// Stores `new` if the word is `current`, in one indivisible step.
            ///
            /// # Errors
            ///
            /// What the word is instead.
            ///
            /// # Panics
            ///
            /// If `failure` is `Release` or `AcqRel`, as in std.
            pub fn compare_exchange(
                self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.0.compare_exchange(current, new, success, failure)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.load(Ordering::Relaxed).fmt(f)
            }
        }
    };
}

shared_word!(SharedU32, AtomicU32, u32, "unsigned int");
shared_word!(SharedI32, AtomicI32, i32, "int");

/// How many words `size` bytes of memory are, the last of which may be incomplete. `None` if they are
/// more than a Rust slice may have, which is `isize::MAX` bytes: on a 32-bit machine the kernel maps more.
pub(crate) fn words_in(size: usize) -> Option<usize> {
    let words = size.div_ceil(size_of::<SharedU32>());
    words.checked_mul(size_of::<SharedU32>()).filter(|&bytes| isize::try_from(bytes).is_ok())?;
    Some(words)
}

/// Declares a record for shared memory, without `unsafe`: a `#[repr(C)]` struct whose fields are words
/// ([`SharedU32`], [`SharedI32`]), texts ([`SharedText`](crate::SharedText)), arrays of them, or other
/// such records.
///
/// ```
/// use std::sync::atomic::Ordering::{Acquire, Release, Relaxed};
/// use common::{ReadWrite, SharedText, SharedU32, Writer, mapping::Mapping};
///
/// common::shared_record! {
///     /// What one process tells another.
///     pub struct Notice {
///         ready: SharedU32,
///         text: SharedText<4>,
///     }
/// }
///
/// fn publish(notice: Writer<'_, Notice>) {
///     notice.field(|it| &it.text).store("hello");
///     notice.field(|it| &it.ready).store(1, Release);
/// }
///
/// let shared = Mapping::<Notice, ReadWrite>::anonymous()?;
/// publish(shared.writer());
/// assert_eq!(shared.ready.load(Acquire), 1);
/// assert_eq!(shared.text.load().as_bytes(), b"hello");
/// # Ok::<(), common::Error>(())
/// ```
///
/// The type of a field is used once, so a macro in its place can't give two answers:
///
/// ```
/// common::shared_record! {
///     struct Once {
///         // A second use of the type would define the macro a second time.
///         words: [common::SharedU32; {
///             #[macro_export]
///             macro_rules! defined_once { () => {} }
///             4
///         }],
///     }
/// }
/// ```
///
/// The compiler refuses a field that is not made of shared words:
///
/// ```compile_fail,E0277
/// common::shared_record! {
///     struct Count { count: u32 }
/// }
/// ```
///
/// ```compile_fail,E0277
/// // Two views of one memory with atomics of 32 and of 64 bits would race.
/// common::shared_record! {
///     struct Count { count: std::sync::atomic::AtomicU64 }
/// }
/// ```
///
/// ```compile_fail,E0277
/// // A pointer means nothing in another process.
/// common::shared_record! {
///     struct Name { name: Box<str> }
/// }
/// ```
///
/// and a store through what may be read-only:
///
/// ```compile_fail,E0599
/// # use common::SharedU32;
/// common::shared_record! {
///     struct Count { count: SharedU32 }
/// }
///
/// fn reset(record: &Count) {
///     record.count.store(0, std::sync::atomic::Ordering::Relaxed);
/// }
/// ```
#[macro_export]
macro_rules! shared_record {
    (
        $(#[doc = $doc:expr])*
        $vis:vis struct $name:ident {
            $( $(#[doc = $field_doc:expr])* $field_vis:vis $field:ident: $type:ty ),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[repr(C)]
        $vis struct $name {
            $( $(#[doc = $field_doc])* $field_vis $field: $type, )+
        }

        // The fields themselves are looked at. `$type` again would not do: where it is the call of
        // a procedural macro, that may expand to another type the second time.
        const _: () = {
            fn is_shared<T: $crate::SharedMemory + ?::core::marker::Sized>(_: &T) {}
            #[allow(dead_code)]
            fn all_are_shared(record: &$name) {
                $( is_shared(&record.$field); )+
            }
        };

        // SAFETY: `#[repr(C)]`, and every field is itself made of aligned 32-bit atomics and of
        // nothing else, as `all_are_shared` makes the compiler see to; so there is no padding, and
        // every bit pattern is valid. The methods of words on `&self` only load, and there are no
        // others to build on.
        unsafe impl $crate::SharedMemory for $name {}

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(::core::stringify!($name))
                    $( .field(::core::stringify!($field), &self.$field) )+
                    .finish()
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;
    use crate::shared::ReadWrite;
    use Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

    shared_record! {
        struct Record {
            first: SharedU32,
            second: [SharedI32; 2],
        }
    }

    fn shared() -> Mapping<Record, ReadWrite> {
        Mapping::anonymous().expect("an anonymous page")
    }

    #[test]
    fn words_do_what_std_s_atomics_do() {
        let shared = shared();
        let second = shared.writer().field(|it| &it.second[1]);
        second.store(-1, Relaxed);
        assert_eq!(second.fetch_add(3, AcqRel), -1);
        assert_eq!(second.fetch_sub(1, AcqRel), 2);
        assert_eq!(second.swap(7, AcqRel), 1);
        assert_eq!(second.compare_exchange(6, 0, AcqRel, Acquire), Err(7));
        assert_eq!(second.compare_exchange(7, 8, AcqRel, Acquire), Ok(7));
        assert_eq!([Relaxed, Acquire, SeqCst].map(|order| shared.second[1].load(order)), [8; 3]);
        assert_eq!((shared.first.load(Relaxed), shared.second[0].load(Relaxed)), (0, 0));
        assert_eq!(format!("{:?}", *shared), "Record { first: 0, second: [0, 8] }");
    }

    #[test]
    fn no_slice_is_larger_than_rust_allows() {
        let most = isize::MAX.unsigned_abs() - 3;
        assert_eq!([0, 1, 4, 5].map(words_in), [0, 1, 1, 2].map(Some));
        assert_eq!(words_in(most), Some(most / 4));
        assert_eq!([most + 1, most + 4, usize::MAX].map(words_in), [None; 3]);
    }

    #[test]
    #[should_panic(expected = "does not lie in what this writer may write")]
    fn a_writer_gives_no_right_to_other_memory() {
        let other: &'static Mapping<Record, ReadWrite> = Box::leak(Box::new(shared()));
        shared().writer().field(|_| &other.first).store(1, Relaxed);
    }
}
