use super::*;
use crate::Counters;
use crate::proc::maps;

#[test]
#[cfg_attr(miri, ignore = "system calls")]
fn the_pages_go_unless_a_guard_was_forgotten() {
    let lines = || maps("self").expect("/proc").into_iter();
    for forgotten in [false, true] {
        let mutex = Mutex::<Counters<1>>::anonymous().expect("a mutex");
        let start = mutex.raw().addr();
        let line = lines().find(|it| it.addresses.contains(&start)).expect("mapped");
        let Ok(Lock::Clean(guard)) = mutex.lock() else { panic!("nobody has it") };
        let guard = ManuallyDrop::new(guard);
        if !forgotten {
            drop(ManuallyDrop::into_inner(guard));
        }
        drop(mutex);
        // Shared pages have an inode of their own, so no others are taken for them.
        assert_eq!(lines().any(|it| it.inode == line.inode), forgotten);
    }
}

#[test]
#[cfg_attr(miri, ignore = "system calls")]
fn nobody_gets_two_guards() {
    let mutex = Mutex::<Counters<1>>::anonymous().expect("a mutex");
    let guard = mutex.lock().expect("nobody has it");
    let again = mutex.lock().expect_err("it is ours");
    assert_eq!(again.errno(), Some(Errno::EDEADLK));
    drop(guard);
    assert!(matches!(mutex.lock(), Ok(Lock::Clean(_))));
}
