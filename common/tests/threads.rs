//! What may go to another thread, and what several threads may use at once.

use std::marker::PhantomData;

use common::mapping::{Mapping, RecordFile};
use common::sync::{mutex, posix_semaphore, record_lock, rwlock, semaphore};
use common::sysv::{Attachment, Segment};
use common::{Counters, ReadOnly, ReadWrite, SharedConnStat, SharedU32, Writer};

/// Whether a type implements a trait: the inherent constant, which wants the trait, comes first.
macro_rules! implements {
    ($type:ty: $trait:path) => {{
        #[allow(dead_code)]
        trait Otherwise {
            const IT_DOES: bool = false;
        }
        struct Asked<T: ?Sized>(#[allow(dead_code)] PhantomData<T>);
        impl<T: ?Sized> Otherwise for Asked<T> {}
        #[allow(dead_code)]
        impl<T: ?Sized + $trait> Asked<T> {
            const IT_DOES: bool = true;
        }
        Asked::<$type>::IT_DOES
    }};
}

macro_rules! assert_threads {
    ($send:literal $sync:literal: $($type:ty),+ $(,)?) => { $(
        const {
            assert!(implements!($type: Send) == $send, concat!(stringify!($type), ": Send"));
            assert!(implements!($type: Sync) == $sync, concat!(stringify!($type), ": Sync"));
        }
    )+ };
}

#[test]
fn only_what_any_thread_may_use_goes_to_another() {
    // Atomics, the right to store to them, and what is only a number to the kernel.
    assert_threads!(true true:
        SharedU32, SharedConnStat, Counters<2>, Writer<'static, SharedU32>,
        Writer<'static, Counters<2>>, Segment, RecordFile<ReadWrite>,
        semaphore::Semaphore, semaphore::Held<'static>,
        record_lock::RecordLock,
    );
    // The C library knows which thread has a lock, and a thread may have descriptors of its own: so the guard stays
    // with the thread. The rest has addresses in it, and nobody has needed it elsewhere.
    assert_threads!(false false:
        record_lock::Held<'static>,
        mutex::Mutex<Counters<1>>, mutex::Lock<'static, Counters<1>>,
        mutex::Guard<'static, Counters<1>>, mutex::Broken<'static, Counters<1>>,
        rwlock::RwLock, rwlock::Held<'static>,
        posix_semaphore::PosixSemaphore, posix_semaphore::Held<'static>,
        Mapping<SharedU32, ReadWrite>, Mapping<[SharedU32], ReadOnly>,
        Attachment<SharedU32, ReadWrite>,
    );
}
