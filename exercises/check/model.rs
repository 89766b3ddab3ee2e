//! Words of shared memory that a test can have [loom](https://docs.rs/loom) run: in all the orders that
//! Rust's memory model allows, also those which the processor at hand never shows.
//!
//! A [`SharedU32`] of this library is one of `common`'s. But within [`in_all_orders`](crate::in_all_orders)
//! it is only the name of a word of loom's. So the same code runs in shared memory and in the model.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::{self, Ordering};

use common::{SharedMemory, Writer};

/// A 32-bit word in shared memory: [`common::SharedU32`], and in a model a word of loom's.
#[repr(transparent)]
pub struct SharedU32(common::SharedU32);

// SAFETY: a transparent wrapper of a type that is `SharedMemory`; its only method on `&self` loads.
unsafe impl SharedMemory for SharedU32 {}

/// What can be done with a word in a model.
pub trait Modelled {
    /// Loads it.
    fn load(&self, order: Ordering) -> u32;
    /// Stores it.
    fn store(&self, value: u32, order: Ordering);
    /// Stores `new` if it is `current`.
    ///
    /// # Errors
    ///
    /// What it is instead.
    fn compare_exchange(&self, current: u32, new: u32, orders: [Ordering; 2]) -> Result<u32, u32>;
}

/// What a thread has put into a model: words of loom's by address, and loom's functions.
struct Taken {
    words: HashMap<usize, Rc<dyn Modelled>>,
    fence: fn(Ordering),
    yield_now: fn(),
}

// loom runs all its threads in the thread that called it, one at a time. Tests run in several.
thread_local! {
    /// Asked first: single steps count, and this is a load.
    static IN_MODEL: Cell<bool> = const { Cell::new(false) };
    static MODEL: RefCell<Option<Taken>> = const { RefCell::new(None) };
}

/// The word of loom's that stands for the one at `address`. Not kept borrowed: loom changes to another
/// thread in the middle of a load.
fn modelled(word: &SharedU32) -> Option<Rc<dyn Modelled>> {
    if !IN_MODEL.get() {
        return None;
    }
    MODEL.with_borrow(|model| model.as_ref()?.words.get(&std::ptr::from_ref(word).addr()).cloned())
}

/// As long as it exists, words in this thread are words of a model. See [`in_all_orders`](crate::in_all_orders).
#[derive(Debug)]
pub struct Model(());

impl Model {
    /// Begins one with loom's functions, and without words.
    #[must_use]
    pub fn begin(fence: fn(Ordering), yield_now: fn()) -> Self {
        MODEL.set(Some(Taken { words: HashMap::new(), fence, yield_now }));
        IN_MODEL.set(true);
        Self(())
    }

    /// `make` makes what stands for each word of `memory`.
    ///
    /// # Panics
    ///
    /// Never: the model has begun.
    pub fn add<T: SharedMemory + ?Sized>(&self, memory: &T, make: impl Fn() -> Rc<dyn Modelled>) {
        let start = std::ptr::from_ref(memory).addr();
        for address in (start..start + size_of_val(memory)).step_by(size_of::<u32>()) {
            let word = make();
            MODEL.with_borrow_mut(|it| it.as_mut().expect("begun").words.insert(address, word));
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        IN_MODEL.set(false);
        MODEL.set(None);
    }
}

/// Says it in our words if loom says in its own that two accesses to a watched word may meet.
///
/// # Panics
///
/// If they do.
pub fn alone<T>(access: impl FnOnce() -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(access)).unwrap_or_else(|_| {
        panic!(
            "on a processor that exchanges loads or stores, somebody stores a word while another may \
             still be loading it"
        )
    })
}

/// [`std::sync::atomic::fence`], and in a model loom's.
pub fn fence(order: Ordering) {
    match MODEL.with_borrow(|model| model.as_ref().map(|it| it.fence)) {
        Some(fence) => fence(order),
        None => atomic::fence(order),
    }
}

/// [`common::sync::futex`], for words of this library.
pub mod futex {
    use super::{MODEL, SharedU32, modelled};
    use std::time::Duration;

    /// Sleeps while `word` is `seen`: [`common::sync::futex::wait`]. In a model it gives the other thread its
    /// turn, and returns early.
    pub fn wait(word: &SharedU32, seen: u32, patience: Duration) {
        match modelled(word).and_then(|_| MODEL.with_borrow(|it| Some(it.as_ref()?.yield_now))) {
            Some(yield_now) => yield_now(),
            None => common::sync::futex::wait(&word.0, seen, patience),
        }
    }

    /// Wakes those who wait for `word` to change, at most `most`: [`common::sync::futex::wake`].
    pub fn wake(word: &SharedU32, most: u32) -> usize {
        common::sync::futex::wake(&word.0, most)
    }
}

impl SharedU32 {
    /// Loads the word: [`common::SharedU32::load`].
    #[must_use]
    pub fn load(&self, order: Ordering) -> u32 {
        modelled(self).map_or_else(|| self.0.load(order), |it| it.load(order))
    }
}

impl fmt::Debug for SharedU32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load(Ordering::Relaxed).fmt(f)
    }
}

/// What a [`Writer`] of a word can do besides: as with [`common::SharedU32`].
pub trait Store {
    /// Stores `value`.
    fn store(self, value: u32, order: Ordering);
    /// Stores `new` if the word is `current`, in one indivisible step.
    ///
    /// # Errors
    ///
    /// What the word is instead.
    fn compare_exchange(
        self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32>;
}

impl Store for Writer<'_, SharedU32> {
    fn store(self, value: u32, order: Ordering) {
        match modelled(&self) {
            Some(word) => word.store(value, order),
            None => self.field(|it| &it.0).store(value, order),
        }
    }

    fn compare_exchange(
        self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        match modelled(&self) {
            Some(word) => word.compare_exchange(current, new, [success, failure]),
            None => self.field(|it| &it.0).compare_exchange(current, new, success, failure),
        }
    }
}

/// Runs the block again and again, each time in another order that Rust's memory model allows: loom.
///
/// Each word of the memory in brackets begins as 0. For memory that stands behind `watched`, loom sees to
/// it that nobody stores a word while another may be loading it. All other memory is as it always is.
/// The block may start one or two threads, with `loom::thread::spawn`.
#[macro_export]
macro_rules! in_all_orders {
    ([$($memory:expr),*] $(watched [$($watched:expr),*])?, $work:block) => {{
        struct Word(loom::sync::atomic::AtomicU32);
        impl $crate::Modelled for Word {
            fn load(&self, order: std::sync::atomic::Ordering) -> u32 {
                self.0.load(order)
            }
            fn store(&self, value: u32, order: std::sync::atomic::Ordering) {
                self.0.store(value, order);
            }
            fn compare_exchange(
                &self,
                current: u32,
                new: u32,
                [success, failure]: [std::sync::atomic::Ordering; 2],
            ) -> std::result::Result<u32, u32> {
                self.0.compare_exchange(current, new, success, failure)
            }
        }

        // Of two atomic accesses loom would not notice that they meet, where the load comes first.
        #[allow(dead_code)]
        struct Watched(loom::cell::UnsafeCell<()>, std::cell::Cell<u32>);
        impl $crate::Modelled for Watched {
            fn load(&self, _: std::sync::atomic::Ordering) -> u32 {
                $crate::alone(|| self.0.with(|_| self.1.get()))
            }
            fn store(&self, value: u32, _: std::sync::atomic::Ordering) {
                $crate::alone(|| self.0.with_mut(|_| self.1.set(value)));
            }
            fn compare_exchange(
                &self,
                current: u32,
                new: u32,
                _: [std::sync::atomic::Ordering; 2],
            ) -> std::result::Result<u32, u32> {
                let found = $crate::alone(|| self.0.with_mut(|_| self.1.get()));
                if found == current { Ok(self.1.replace(new)) } else { Err(found) }
            }
        }

        loom::model(move || {
            let model = $crate::Model::begin(loom::sync::atomic::fence, loom::thread::yield_now);
            $(model.add($memory, || {
                std::rc::Rc::new(Word(loom::sync::atomic::AtomicU32::new(0)))
            });)*
            $($(model.add($watched, || {
                std::rc::Rc::new(Watched(loom::cell::UnsafeCell::new(()), std::cell::Cell::new(0)))
            });)*)?
            $work
        });
    }};
}
