//! The atomics that the files of `common` get here: they look like std's and are loom's.
//!
//! loom's atomics are larger than 32 bits, and the record has asserts about its size. So an atomic is
//! only the name of a word here, and has 32 bits too. The words are in a list beside it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::Location;
use std::rc::Rc;

pub use loom::hint::spin_loop;
pub use std::sync::atomic::Ordering;

/// A place in the source that keeps an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, and the line; for what a macro makes, the line that calls the macro.
    pub file: &'static str,
    pub line: u32,
    /// What is done there, such as `fence`.
    pub what: &'static str,
}

// loom runs all its threads in the thread that called it, one at a time. Tests run in several.
thread_local! {
    static WORDS: RefCell<Vec<Rc<Word>>> = const { RefCell::new(Vec::new()) };
    static PLACES: RefCell<BTreeSet<Place>> = const { RefCell::new(BTreeSet::new()) };
    static WEAKENED: Cell<Option<Place>> = const { Cell::new(None) };
}

enum Word {
    /// loom tries which of its values a load may find.
    Modelled(loom::sync::atomic::AtomicU32),
    /// A load finds the newest value, and nobody is interrupted: to have fewer orders to try.
    Plain(Cell<u32>),
}

/// To be called when an order begins: the words are those of the one before.
pub(crate) fn forget_words() {
    WORDS.with_borrow_mut(Vec::clear);
}

/// Runs `check`, and returns the places in it that keep an order.
pub(crate) fn places_of(check: impl Fn()) -> Vec<Place> {
    PLACES.take();
    check();
    PLACES.take().into_iter().collect()
}

/// Runs `check` without the order at `place`.
pub(crate) fn weakened(place: Place, check: impl Fn()) {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            WEAKENED.set(None);
        }
    }
    let _restore = Restore;
    WEAKENED.set(Some(place));
    check();
}

/// The order that is asked for at `caller`, or none if it is left out there.
fn kept(order: Ordering, what: &'static str, caller: &Location<'static>) -> Ordering {
    if order == Ordering::Relaxed {
        return order;
    }
    let place = Place { file: caller.file(), line: caller.line(), what };
    PLACES.with_borrow_mut(|places| places.insert(place));
    if WEAKENED.get() == Some(place) { Ordering::Relaxed } else { order }
}

#[track_caller]
pub fn fence(order: Ordering) {
    let order = kept(order, "fence", Location::caller());
    if order != Ordering::Relaxed {
        loom::sync::atomic::fence(order);
    }
}

impl Word {
    fn add(word: Self) -> u32 {
        WORDS.with_borrow_mut(|words| {
            words.push(Rc::new(word));
            u32::try_from(words.len() - 1).expect("not so many words")
        })
    }

    fn load(&self, order: Ordering) -> u32 {
        match self {
            Self::Modelled(word) => word.load(order),
            Self::Plain(word) => word.get(),
        }
    }

    fn store(&self, value: u32, order: Ordering) {
        match self {
            Self::Modelled(word) => word.store(value, order),
            Self::Plain(word) => word.set(value),
        }
    }

    /// The word, to load and store in one step.
    fn whole(&self) -> &loom::sync::atomic::AtomicU32 {
        match self {
            Self::Modelled(word) => word,
            Self::Plain(_) => panic!("a plain word is only loaded and stored"),
        }
    }
}

macro_rules! atomic {
    ($name:ident, $value:ident, $bits:ident, $of_bits:ident) => {
        /// The name of a word.
        #[derive(Debug)]
        #[repr(transparent)]
        pub struct $name(u32);

        impl $name {
            pub fn new(value: $value) -> Self {
                let word = loom::sync::atomic::AtomicU32::new(value.$bits());
                Self(Word::add(Word::Modelled(word)))
            }

            /// A word of which a load always finds the newest value.
            pub fn plain(value: $value) -> Self {
                Self(Word::add(Word::Plain(Cell::new(value.$bits()))))
            }

            fn word(&self) -> Rc<Word> {
                let index = usize::try_from(self.0).expect("32 bits fit");
                WORDS.with_borrow(|words| Rc::clone(&words[index]))
            }

            pub fn as_ptr(&self) -> *mut $value {
                std::ptr::from_ref(self).cast_mut().cast()
            }

            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                let order = kept(order, "load", Location::caller());
                self.word().load(order).$of_bits()
            }

            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                let order = kept(order, "store", Location::caller());
                self.word().store(value.$bits(), order);
            }

            #[track_caller]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                let order = kept(order, "swap", Location::caller());
                self.word().whole().swap(value.$bits(), order).$of_bits()
            }

            #[track_caller]
            pub fn fetch_add(&self, number: $value, order: Ordering) -> $value {
                let order = kept(order, "fetch_add", Location::caller());
                self.word().whole().fetch_add(number.$bits(), order).$of_bits()
            }

            #[track_caller]
            pub fn fetch_sub(&self, number: $value, order: Ordering) -> $value {
                let order = kept(order, "fetch_sub", Location::caller());
                self.word().whole().fetch_sub(number.$bits(), order).$of_bits()
            }

            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let success = kept(success, "compare_exchange", Location::caller());
                let failure = kept(failure, "failed compare_exchange", Location::caller());
                let (current, new) = (current.$bits(), new.$bits());
                let found = self.word().whole().compare_exchange(current, new, success, failure);
                found.map(|it| it.$of_bits()).map_err(|it| it.$of_bits())
            }
        }
    };
}

/// 32 bits are 32 bits.
trait Same {
    fn same(self) -> u32;
}

impl Same for u32 {
    fn same(self) -> u32 {
        self
    }
}

atomic!(AtomicU32, u32, same, same);
atomic!(AtomicI32, i32, cast_unsigned, cast_signed);
