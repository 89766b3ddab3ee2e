//! The locks, the seqlock and the futex between real processes, some of which are killed.
//!
//! `cargo test -p e2e --test processes -- mutex` runs those with this word in their name.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::stderr;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::Counters;
use common::mapping::{Mapping, RecordFile, Region};
use common::sync::condition::Condition;
use common::sync::mutex::{Lock, Mutex};
use common::sync::posix_semaphore::PosixSemaphore;
use common::sync::record_lock::RecordLock;
use common::sync::rwlock::RwLock;
use common::sync::semaphore::Semaphore;
use common::sync::seqlock::SeqLock;
use common::sysv::{Key, Segment};
use common::{ConnStat, Error, ReadOnly, ReadWrite, Refusal, SharedConnStat};
use e2e::forking::{Test, run};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::epoll::{Epoll, EpollCreateFlags};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::waitpid;
use nix::unistd::{chroot, dup, dup2_stderr, getpid, getuid};
use terminal::ended::{Ended, in_child};
use terminal::process::{Child, Fork, fork, start_child};
use terminal::{Stop, Terminal};

const TESTS: [(&str, Test); 39] = [
    ("a child that panics exits as one does", child_panics),
    ("a child whose error cannot be printed ends all the same", child_without_stderr),
    ("a semaphore keeps processes apart", semaphore_keeps_apart),
    ("a semaphore is initialised once, whoever comes first", semaphore_is_initialised_once),
    ("a semaphore whose creator died uninitialised is refused", semaphore_never_initialised),
    ("a semaphore that vanishes between two calls is made anew", semaphore_that_vanishes),
    ("where there is no room for a semaphore, nobody waits for it", semaphore_without_room),
    ("a set of more than one semaphore is refused", semaphore_of_a_stranger),
    ("a killed holder's semaphore is given back, its data is not", semaphore_of_the_killed),
    ("a mutex keeps processes apart", mutex_keeps_apart),
    ("a killed owner's mutex must be repaired", mutex_of_the_killed),
    ("a mutex that nobody repairs is lost", mutex_unrepaired),
    ("a copy of its guard stores and unlocks nothing", mutex_inherited),
    ("a copy of its broken guard repairs nothing", mutex_inherited_broken),
    ("a mutex is of the PID namespace where it was made", mutex_of_another_namespace),
    ("a child forked during a repair does not end it", mutex_forked_in_repair),
    ("a copy of a System V semaphore's guard gives nothing back", semaphore_inherited),
    ("a copy of a child kills nobody", child_inherited),
    ("a copy of a child kills nobody, even where it has its parent's pid", child_of_pid_1),
    ("a child that others have waited for is not killed", child_waited_for_by_others),
    ("a child that has ended is not waited for again", child_waited_for_once),
    ("a seqlock survives its writers, through a read-only attachment", seqlock_of_the_killed),
    ("a futex wakes a reader in another process", futex_wakes),
    ("a condition variable loses no change", condition_loses_nothing),
    ("a signal that comes before the sleep is not slept over", signal_before_the_sleep),
    ("only a SIGBUS in the mapping that is watched is explained", sigbus_elsewhere),
    ("a POSIX semaphore keeps processes apart", posix_semaphore_keeps_apart),
    ("a killed holder's POSIX semaphore stays held", posix_semaphore_of_the_killed),
    ("a copy of its guard gives nothing back", posix_semaphore_inherited),
    ("a read-write lock keeps processes apart", rwlock_keeps_apart),
    ("a read-write lock lets readers in together", rwlock_shared),
    ("a killed writer's read-write lock stays held", rwlock_of_the_killed),
    ("a copy of its guard unlocks nothing", rwlock_inherited),
    ("a record lock keeps processes apart", record_lock_keeps_apart),
    ("a record lock is freed by death, and by no copy of its guard", record_lock_of_the_killed),
    (
        "without /proc only a file that has a name is words, and with a false one none",
        words_without_proc,
    ),
    ("a process with what is not copied does not fork", what_others_have),
    ("pages in a region's place that it has lost are others'", region_that_lost_its_page),
    // The last one: from then on this process does not fork.
    ("a process that has had a thread does not fork", had_a_thread),
];

fn main() -> ExitCode {
    run(&TESTS)
}

fn words_without_proc(terminal: &mut Terminal) -> Result<(), Stop> {
    let directory = tempfile::tempdir().expect("a directory");
    let (without, with_another) = (directory.path().join("a"), directory.path().join("b"));
    fs::create_dir(&without).expect("a new directory");
    fs::create_dir_all(with_another.join("proc/thread-self/fd")).expect("a new directory");
    fs::write(without.join("words"), [0; 4]).expect("a new file");
    let named = File::open(without.join("words")).expect("ours");
    let nameless = memfd_create("nameless", MFdFlags::MFD_CLOEXEC).expect("a file").into();
    // The first region wants /proc, to see where the stack is.
    drop(Region::map(1, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, Some((&named, 0)))?);
    for root in [&without, &with_another] {
        let child = start_child(terminal, |_| {
            // In a user namespace everybody may change the root.
            let _ = unshare(CloneFlags::CLONE_NEWUSER);
            if let Err(errno) = chroot(root) {
                eprintln!("skipped: no root without /proc: {errno}");
                return Ok(());
            }
            let map =
                |file| Region::map(1, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, Some((file, 0)));
            let mapped = map(&named);
            expect("what has a name is words", mapped.is_ok() == (root == &without));
            // Pages of a process may be such a file, with anything in them.
            let error = map(&nameless).expect_err("nobody knows what it is");
            expect("its name is looked for", error.call() == "readlink");
            Ok(())
        })?;
        child.wait(terminal)?;
    }
    Ok(())
}

/// Fails a test of a process that may not panic half-way through a fork.
fn expect(what: &str, holds: bool) {
    assert!(holds, "{what}");
}

fn had_a_thread(_: &mut Terminal) -> Result<(), Stop> {
    let ended = std::thread::spawn(|| ());
    while !common::proc::is_single_threaded() {
        std::thread::yield_now();
    }
    match fork() {
        Ok(Fork::Child) => std::process::exit(0),
        Ok(Fork::Parent(_)) => panic!("it did"),
        Err(error) => assert!(error.refusal().is_some(), "{error}"),
    }
    ended.join().expect("no panic");
    Ok(())
}

fn what_others_have(_: &mut Terminal) -> Result<(), Stop> {
    let page = NonZeroUsize::new(common::proc::page_size()).expect("pages");
    let map = |sharing| {
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: without MAP_FIXED nothing is replaced.
        unsafe { mmap_anonymous(None, page, rights, sharing) }.expect("a page")
    };
    let (shared, kept_out) = (map(MapFlags::MAP_SHARED), map(MapFlags::MAP_PRIVATE));
    // SAFETY: nobody refers to the page.
    unsafe { madvise(kept_out, page.get(), MmapAdvise::MADV_DONTFORK) }.expect("madvise");
    for pages in [shared, kept_out] {
        let ended = in_child(|| Ok(()));
        // SAFETY: as above.
        unsafe { munmap(pages, page.get()) }.expect("mapped");
        let error = ended.expect_err("not copied");
        expect("refused", error.call() == "fork" && error.refusal().is_some());
    }
    expect("they have gone", in_child(|| Ok(()))? == Ended::Exited(0));
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll_create1");
    let error = in_child(|| Ok(())).expect_err("one epoll for both");
    expect("refused", error.call() == "fork" && error.refusal().is_some());
    drop(epoll);
    Ok(())
}

fn region_that_lost_its_page(_: &mut Terminal) -> Result<(), Stop> {
    // A regular file that says no when it is mapped: the old page has gone by then.
    let paths = ["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/cpu/cgroup.procs"];
    let Some(file) = paths.iter().find_map(|it| File::open(it).ok()) else {
        eprintln!("skipped: none of {paths:?} is there");
        return Ok(());
    };
    let (page, shared) = (common::proc::page_size(), MapFlags::MAP_SHARED);
    let flags = shared | MapFlags::MAP_ANONYMOUS;
    let mut region = Region::map(page, ProtFlags::PROT_READ, flags, None)?;
    let address = region.address();
    let refused = region.replace(0, page, shared | MapFlags::MAP_FIXED, (&file, 0));
    expect("the file can't be mapped", refused.is_err());
    let (hint, size) = (Some(address.addr()), NonZeroUsize::new(page).expect("a page"));
    // SAFETY: without MAP_FIXED nothing is replaced.
    let others = unsafe { mmap_anonymous(hint, size, ProtFlags::PROT_READ, shared) };
    let others = others.expect("a page");
    let ended = in_child(|| Ok(()));
    // SAFETY: nobody refers to the page.
    unsafe { munmap(others, page) }.expect("mapped");
    expect("in its place", others == address);
    expect("refused", ended.is_err_and(|it| it.call() == "fork"));
    Ok(())
}

const PROCESSES: usize = 4;
const ROUNDS: u64 = 5_000;

/// Has each of some processes add to a counter in two steps, load and store, under `locked`: any
/// two that overlap lose a count.
fn count_in_two_steps(
    terminal: &mut Terminal,
    total: impl Fn() -> u64,
    locked: impl Fn() -> Result<(), Stop>,
) -> Result<(), Stop> {
    let children: Vec<Child> = (0..PROCESSES)
        .map(|_| start_child(terminal, |_| (0..ROUNDS).try_for_each(|_| locked())))
        .collect::<Result<_, _>>()?;
    for child in children {
        child.wait(terminal)?;
    }
    expect("no count is lost", total() == ROUNDS * PROCESSES as u64);
    Ok(())
}

fn semaphore_keeps_apart(terminal: &mut Terminal) -> Result<(), Stop> {
    let semaphore = Semaphore::create(Key::Private, 0o600)?;
    let counters = Mapping::<Counters<1>, ReadWrite>::anonymous()?;
    let counted = count_in_two_steps(
        terminal,
        || counters.get(0),
        || {
            let _held = semaphore.lock()?;
            counters.writer().set(0, counters.get(0) + 1);
            Ok(())
        },
    );
    semaphore.remove()?;
    counted
}

fn semaphore_is_initialised_once(terminal: &mut Terminal) -> Result<(), Stop> {
    let key = Key::Number(0x5e3a_0000 | (std::process::id() & 0xffff).cast_signed());
    let counters = Mapping::<Counters<1>, ReadWrite>::anonymous()?;
    let counted = count_in_two_steps(
        terminal,
        || counters.get(0),
        || {
            // Every round looks it up anew, so that creation, too, is raced for.
            let semaphore = Semaphore::open_or_create(key, 0o600)?;
            let _held = semaphore.lock()?;
            counters.writer().set(0, counters.get(0) + 1);
            Ok(())
        },
    );
    Semaphore::open_or_create(key, 0o600)?.remove()?;
    counted
}

fn semaphore_without_room(terminal: &mut Terminal) -> Result<(), Stop> {
    let mut child = start_child(terminal, |_| {
        let user = getuid();
        if let Err(errno) = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWIPC) {
            eprintln!("skipped: no namespace of semaphores: {errno}");
            return Ok(());
        }
        // Its root may set the limits; the last one is that of sets.
        let limited = fs::write("/proc/self/uid_map", format!("0 {user} 1"))
            .and_then(|()| fs::write("/proc/sys/kernel/sem", "250 32000 32 0"));
        if let Err(error) = limited {
            eprintln!("skipped: no limit of semaphores: {error}");
            return Ok(());
        }
        let error = Semaphore::open_or_create(Key::Number(1), 0o600).expect_err("no room");
        expect("it says so", error.errno() == Some(Errno::ENOSPC));
        Ok(())
    })?;
    ends(terminal, &mut child)
}

fn semaphore_never_initialised(_: &mut Terminal) -> Result<(), Stop> {
    let number = 0x5e3b_0000 | (std::process::id() & 0xffff).cast_signed();
    // SAFETY: semget takes three numbers.
    let id = unsafe { libc::semget(number, 1, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    expect("a new set", id >= 0);
    let start = Instant::now();
    let found = Semaphore::open_or_create(Key::Number(number), 0o600);
    let waited = start.elapsed();
    // SAFETY: IPC_RMID takes no fourth argument.
    expect("removed", unsafe { libc::semctl(id, 0, libc::IPC_RMID) } == 0);
    let error = found.expect_err("nobody has set its count");
    expect("refused", error.refusal() == Some(&Refusal::NeverInitialised));
    expect("its creator has had a second for that", waited >= Duration::from_secs(1));
    Ok(())
}

fn semaphore_that_vanishes(terminal: &mut Terminal) -> Result<(), Stop> {
    let key = Key::Number(0x5e3d_0000 | (std::process::id() & 0xffff).cast_signed());
    let enough = Mapping::<Counters<1>, ReadWrite>::anonymous()?;
    let child = start_child(terminal, |_| {
        while enough.get(0) == 0 {
            // Only sets of its own are removed, so that the other's is never removed half made.
            if let Ok(semaphore) = Semaphore::create(key, 0o600) {
                let _ = semaphore.remove();
            }
        }
        Ok(())
    })?;
    // Many times, because each has its chance to meet the other between two of its calls.
    let found = (0..60_000).try_for_each(|_| {
        // It may be the other's, and removed by now.
        let _ = Semaphore::open_or_create(key, 0o600)?.remove();
        Ok(())
    });
    enough.writer().set(0, 1);
    child.wait(terminal)?;
    found
}

fn semaphore_of_a_stranger(_: &mut Terminal) -> Result<(), Stop> {
    let number = 0x5e3c_0000 | (std::process::id() & 0xffff).cast_signed();
    // SAFETY: semget takes three numbers.
    let id = unsafe { libc::semget(number, 3, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    expect("a new set", id >= 0);
    let found = Semaphore::open_or_create(Key::Number(number), 0o600);
    // SAFETY: IPC_RMID takes no fourth argument.
    expect("removed", unsafe { libc::semctl(id, 0, libc::IPC_RMID) } == 0);
    let error = found.expect_err("a set of three");
    expect("refused", error.refusal() == Some(&Refusal::SetOfMany));
    Ok(())
}

/// Forks a child that calls `hold` and is killed while it holds whatever that takes.
fn kill_while_holding(
    terminal: &mut Terminal,
    counters: &Mapping<Counters<2>, ReadWrite>,
    hold: impl FnOnce() -> Result<(), Stop>,
) -> Result<(), Stop> {
    let child = start_child(terminal, |_| hold())?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while counters.get(HALF_DONE) == 0 {
        expect("the child holds the lock", Instant::now() < deadline);
        terminal.pause(Duration::from_millis(1))?;
    }
    // Dropping a child kills it, with SIGKILL.
    drop(child);
    Ok(())
}

/// Index of the half of the data that a killed holder gets to write; [`DONE`] is the other.
const HALF_DONE: usize = 0;
const DONE: usize = 1;

fn for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

fn semaphore_of_the_killed(terminal: &mut Terminal) -> Result<(), Stop> {
    let semaphore = Semaphore::create(Key::Private, 0o600)?;
    let data = Mapping::<Counters<2>, ReadWrite>::anonymous()?;
    let killed = kill_while_holding(terminal, &data, || {
        let _held = semaphore.lock()?;
        data.writer().set(HALF_DONE, 1);
        for_ever()
    });
    let locked = killed.and_then(|()| Ok(semaphore.lock()?)).map(drop);
    semaphore.remove()?;
    locked?;
    expect("the data is half written", (data.get(HALF_DONE), data.get(DONE)) == (1, 0));
    Ok(())
}

fn mutex_keeps_apart(terminal: &mut Terminal) -> Result<(), Stop> {
    let mutex = Mutex::<Counters<1>>::anonymous()?;
    let total = || match mutex.lock() {
        Ok(Lock::Clean(guard)) => guard.writer().get(0),
        other => panic!("{other:?}"),
    };
    count_in_two_steps(terminal, total, || match mutex.lock()? {
        Lock::Clean(guard) => {
            guard.writer().set(0, guard.writer().get(0) + 1);
            Ok(())
        }
        Lock::OwnerDied(_) => panic!("nobody died"),
    })
}

fn mutex_whose_owner_died(
    terminal: &mut Terminal,
) -> Result<(Mutex<Counters<2>>, Mapping<Counters<2>, ReadWrite>), Stop> {
    let mutex = Mutex::<Counters<2>>::anonymous()?;
    let signal = Mapping::<Counters<2>, ReadWrite>::anonymous()?;
    kill_while_holding(terminal, &signal, || {
        let lock = mutex.lock()?;
        if let Lock::Clean(guard) = &lock {
            guard.writer().set(HALF_DONE, 1);
            signal.writer().set(HALF_DONE, 1);
        }
        for_ever()
    })?;
    Ok((mutex, signal))
}

fn mutex_of_the_killed(terminal: &mut Terminal) -> Result<(), Stop> {
    let (mutex, _) = mutex_whose_owner_died(terminal)?;
    match mutex.lock()? {
        Lock::Clean(_) => panic!("the owner died, and nobody says so"),
        Lock::OwnerDied(broken) => {
            let guard = broken.repair(|data| data.set(DONE, data.get(HALF_DONE)))?;
            expect("repaired", guard.writer().get(DONE) == 1);
        }
    }
    expect("it is whole from here on", matches!(mutex.lock()?, Lock::Clean(_)));
    Ok(())
}

fn mutex_unrepaired(terminal: &mut Terminal) -> Result<(), Stop> {
    let (mutex, _) = mutex_whose_owner_died(terminal)?;
    drop(mutex.lock()?);
    let error = mutex.lock().expect_err("it is lost");
    expect("not recoverable", error.errno() == Some(Errno::ENOTRECOVERABLE));
    Ok(())
}

/// Whether `work` panics; what the panic says is not printed.
fn panics(work: impl FnOnce()) -> bool {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let panicked = catch_unwind(AssertUnwindSafe(work)).is_err();
    std::panic::set_hook(hook);
    panicked
}

fn mutex_inherited(terminal: &mut Terminal) -> Result<(), Stop> {
    let mutex = Mutex::<Counters<1>>::anonymous()?;
    let Lock::Clean(guard) = mutex.lock()? else { panic!("nobody died") };
    start_child(terminal, |_| {
        expect("the copy gives no writer", panics(|| guard.writer().set(0, 1)));
        Ok(())
    })?
    .wait(terminal)?;
    expect("nothing is stored", guard.writer().get(0) == 0);
    inherited(terminal, guard, || Ok(mutex.lock().map(drop)?))
}

fn mutex_inherited_broken(terminal: &mut Terminal) -> Result<(), Stop> {
    let (mutex, _) = mutex_whose_owner_died(terminal)?;
    let Lock::OwnerDied(broken) = mutex.lock()? else { panic!("the owner died") };
    let mut broken = Some(broken);
    start_child(terminal, |_| {
        let refused = broken.take().map(|it| it.repair(|data| data.set(DONE, 7)));
        let error = refused.expect("a copy").expect_err("not ours to repair");
        expect("refused", error.refusal() == Some(&Refusal::Inherited));
        Ok(())
    })?
    .wait(terminal)?;
    let guard = broken.expect("ours").repair(|data| {
        expect("the child has stored nothing", data.get(DONE) == 0);
    })?;
    drop(guard);
    expect("whole", matches!(mutex.lock()?, Lock::Clean(_)));
    Ok(())
}

fn mutex_of_another_namespace(terminal: &mut Terminal) -> Result<(), Stop> {
    let mutex = Mutex::<Counters<1>>::anonymous()?;
    start_child(terminal, |terminal| {
        if let Err(errno) = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID) {
            eprintln!("skipped: no namespace of pids: {errno}");
            return Ok(());
        }
        let _held = mutex.lock()?;
        // It has the pid 1 there, as many another has. Were it killed while it waits, the kernel would take
        // one of them for the owner that has died.
        let child = start_child(terminal, |_| {
            let error = mutex.lock().expect_err("of another namespace");
            expect("refused", error.refusal().is_some());
            Ok(())
        })?;
        child.wait(terminal)
    })?
    .wait(terminal)
}

fn mutex_forked_in_repair(terminal: &mut Terminal) -> Result<(), Stop> {
    let (mutex, _) = mutex_whose_owner_died(terminal)?;
    let Lock::OwnerDied(broken) = mutex.lock()? else { panic!("the owner died") };
    let mut child = None;
    let repaired = broken.repair(|_| match fork().expect("fork") {
        Fork::Parent(forked) => {
            // The child goes first: it has left the repair when it has ended.
            child = Some(forked.wait(terminal));
        }
        Fork::Child => {}
    });
    let Some(ended) = child else {
        let refused = repaired.is_err_and(|it| it.refusal() == Some(&Refusal::Inherited));
        std::process::exit(i32::from(!refused));
    };
    ended?;
    drop(repaired?);
    expect("whole", matches!(mutex.lock()?, Lock::Clean(_)));
    Ok(())
}

fn semaphore_inherited(terminal: &mut Terminal) -> Result<(), Stop> {
    let semaphore = Semaphore::create(Key::Private, 0o600)?;
    let tested = semaphore_guard_inherited(terminal, &semaphore);
    semaphore.remove()?;
    tested
}

fn semaphore_guard_inherited(terminal: &mut Terminal, semaphore: &Semaphore) -> Result<(), Stop> {
    let dropped = Mapping::<Counters<1>, ReadWrite>::anonymous()?;
    let mut held = Some(semaphore.lock()?);
    // It stays after that: SEM_UNDO would take back what it gave back, as soon as it ended.
    let _copy = start_child(terminal, |_| {
        drop(held.take());
        dropped.writer().set(0, 1);
        for_ever()
    })?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while dropped.get(0) == 0 {
        expect("the child drops its copy", Instant::now() < deadline);
        terminal.pause(Duration::from_millis(1))?;
    }
    let (child, had_to_wait) = waits(terminal, || Ok(semaphore.lock().map(drop)?))?;
    expect("the parent still holds the semaphore", had_to_wait);
    drop(held);
    child.wait(terminal)
}

fn child_inherited(terminal: &mut Terminal) -> Result<(), Stop> {
    let beats = Mapping::<Counters<1>, ReadWrite>::anonymous()?;
    let mut first = Some(start_child(terminal, |terminal| {
        loop {
            beats.writer().add_one(0);
            terminal.pause(Duration::from_millis(1))?;
        }
    })?);
    start_child(terminal, |_| {
        drop(first.take());
        Ok(())
    })?
    .wait(terminal)?;
    let (before, deadline) = (beats.get(0), Instant::now() + Duration::from_secs(60));
    // Several beats: who has been killed may still be in the middle of one.
    while beats.get(0) < before + 10 {
        expect("the first child lives", first.as_mut().expect("ours").is_running()?);
        expect("the first child goes on", Instant::now() < deadline);
        terminal.pause(Duration::from_millis(1))?;
    }
    Ok(())
}

fn child_of_pid_1(terminal: &mut Terminal) -> Result<(), Stop> {
    start_child(terminal, |terminal| {
        // A user namespace, in which everybody may make namespaces.
        if let Err(errno) = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID) {
            eprintln!("skipped: no namespace of pids: {errno}");
            return Ok(());
        }
        // This one has pid 1, and its first child has 2.
        let parent = start_child(terminal, |terminal| {
            let mut first = Some(start_child(terminal, |_| for_ever())?);
            unshare(CloneFlags::CLONE_NEWPID).expect("another namespace");
            // This one, too.
            let copy = start_child(terminal, |terminal| {
                let mut second = start_child(terminal, |_| for_ever())?;
                let theirs = first.take().expect("a copy");
                expect("two children, one pid", theirs.pid() == second.pid());
                drop(theirs);
                expect("the second child lives", second.is_running()?);
                Ok(())
            })?;
            copy.wait(terminal)
        })?;
        parent.wait(terminal)
    })?
    .wait(terminal)
}

fn child_waited_for_by_others(terminal: &mut Terminal) -> Result<(), Stop> {
    const THERE: usize = 0;
    const DROPPED: usize = 1;
    const BEATS: usize = 2;
    let says = Mapping::<Counters<3>, ReadWrite>::anonymous()?;
    let patience = Duration::from_secs(60);
    start_child(terminal, |terminal| {
        // In a PID namespace of one's own one may say which id is the next.
        if let Err(errno) = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID) {
            eprintln!("skipped: no namespace of pids: {errno}");
            return Ok(());
        }
        let parent = start_child(terminal, |terminal| {
            let first = start_child(terminal, |_| Ok(()))?;
            let id = first.pid();
            waitpid(id, None).expect("ours");
            let other = start_child(terminal, |terminal| {
                let before = (id.as_raw() - 1).to_string();
                if let Err(error) = fs::write("/proc/sys/kernel/ns_last_pid", before) {
                    eprintln!("skipped: no child with the id of another: {error}");
                    says.writer().set(THERE, 1);
                    return Ok(());
                }
                let mut stranger = start_child(terminal, |terminal| {
                    loop {
                        says.writer().add_one(BEATS);
                        terminal.pause(Duration::from_millis(1))?;
                    }
                })?;
                expect("the same id", stranger.pid() == id);
                says.writer().set(THERE, 1);
                terminal.wait_until(patience, || says.get(DROPPED) == 1)?;
                // Several beats: who has been killed may still be in the middle of one.
                let (before, deadline) = (says.get(BEATS), Instant::now() + patience);
                while says.get(BEATS) < before + 10 {
                    expect("the stranger lives", stranger.is_running()?);
                    expect("the stranger goes on", Instant::now() < deadline);
                    terminal.pause(Duration::from_millis(1))?;
                }
                Ok(())
            })?;
            terminal.wait_until(patience, || says.get(THERE) == 1)?;
            drop(first);
            says.writer().set(DROPPED, 1);
            other.wait(terminal)
        })?;
        parent.wait(terminal)
    })?
    .wait(terminal)
}

/// Waits until the child has ended, but not for ever.
fn ends(terminal: &mut Terminal, child: &mut Child) -> Result<(), Stop> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while child.is_running()? {
        expect("the child ends", Instant::now() < deadline);
        terminal.pause(Duration::from_millis(1))?;
    }
    Ok(())
}

fn child_waited_for_once(terminal: &mut Terminal) -> Result<(), Stop> {
    let mut child = start_child(terminal, |_| Ok(()))?;
    ends(terminal, &mut child)?;
    // By now the id may be that of another child, so nobody may ask the kernel for it.
    expect("it has ended", !child.is_running()?);
    child.wait(terminal)
}

fn seqlock_of_the_killed(terminal: &mut Terminal) -> Result<(), Stop> {
    const WORDS: usize = 17;
    let segment = Segment::create(Key::Private, size_of::<SeqLock<WORDS>>(), 0o600)?;
    let attached = segment.attach::<SeqLock<WORDS>, ReadWrite>();
    let reading = segment.attach::<SeqLock<WORDS>, ReadOnly>();
    // Marked while attached: gone with the last detach, however this ends.
    segment.remove()?;
    let (attached, reading) = (attached?, reading?);
    let (mut left_odd, mut snapshots) = (0, 0);
    for round in 0..200_u32 {
        let writer = start_child(terminal, |_| {
            for number in 0.. {
                attached.writer().publish([round ^ number; WORDS]);
            }
            Ok(())
        })?;
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(2) {
            if let Ok(words) = reading.snapshot(100) {
                expect("all words are of one publication", words == [words[0]; WORDS]);
                snapshots += 1;
            }
        }
        // Dropping a child kills it: here in the middle of a publication, more often than not.
        drop(writer);
        if attached.is_publishing() {
            left_odd += 1;
            expect("no half publication is taken", reading.snapshot(100).is_err());
        }
        attached.writer().publish([round; WORDS]);
        expect("the next writer makes it whole", reading.snapshot(1) == Ok([round; WORDS]));
    }
    expect("some snapshots", snapshots > 0);
    expect("some writers died in the middle", left_odd > 0);
    Ok(())
}

fn child_panics(terminal: &mut Terminal) -> Result<(), Stop> {
    let child = start_child(terminal, |_| panic!("on purpose"))?;
    let Err(Stop::Error(error, _)) = child.wait(terminal) else { panic!("the child did well") };
    // What Rust's own main exits with.
    let expected = Refusal::Other("it exited with status 101".into());
    expect("status 101", error.refusal() == Some(&expected));
    Ok(())
}

fn child_without_stderr(_: &mut Terminal) -> Result<(), Stop> {
    let full = match File::options().write(true).open("/dev/full") {
        Ok(full) => full,
        Err(error) => {
            eprintln!("skipped: a stderr that is full: /dev/full: {error}");
            return Ok(());
        }
    };
    let (parent, before) = (getpid(), dup(stderr()).expect("a descriptor"));
    dup2_stderr(full).expect("it is open");
    let ended = catch_unwind(|| in_child(|| Err(Error::new("close", "nothing", Errno::EBADF))));
    if getpid() != parent {
        // It goes on as its parent, and to the parent that must not look like a failure.
        std::process::exit(0);
    }
    dup2_stderr(before).expect("it is open");
    expect("the child ends", matches!(ended, Ok(Ok(Ended::Exited(101)))));
    Ok(())
}

fn futex_wakes(terminal: &mut Terminal) -> Result<(), Stop> {
    let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous()?;
    let answers = Mapping::<SharedConnStat, ReadWrite>::anonymous()?;
    let patience = Duration::from_secs(60);
    let child = start_child(terminal, |terminal| {
        let start = Instant::now();
        for seen in 0..100 {
            while shared.load().count == seen {
                terminal.wait_for_change(&shared, seen, patience)?;
            }
            let _ = answers.writer().increment();
            answers.writer().wake();
        }
        // Were a single wake-up lost, one wait would have taken all its patience.
        expect("woken every time", start.elapsed() < patience);
        Ok(())
    })?;
    let start: ConnStat = answers.load();
    for seen in start.count..100 {
        let _ = shared.writer().increment();
        shared.writer().wake();
        while answers.load().count == seen {
            terminal.wait_for_change(&answers, seen, patience)?;
        }
    }
    child.wait(terminal)
}

fn signal_before_the_sleep(terminal: &mut Terminal) -> Result<(), Stop> {
    let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous()?;
    let mut child = start_child(terminal, |terminal| {
        // Blocked until the wait lets it through, a moment before the sleep.
        raise(Signal::SIGTERM).expect("raised");
        let ended = terminal.wait_for_change(&shared, 0, Duration::from_secs(3600));
        expect("the signal ends it", matches!(ended, Err(Stop::Signal(Signal::SIGTERM))));
        Ok(())
    })?;
    ends(terminal, &mut child)
}

fn condition_loses_nothing(terminal: &mut Terminal) -> Result<(), Stop> {
    const LAST: u32 = u32::MAX;
    let condition = Condition::anonymous()?;
    let seen = Mapping::<Counters<1>, ReadWrite>::anonymous()?;
    let mut child = start_child(terminal, |_| {
        let mut delay = 0_u32;
        for change in 0..LAST {
            seen.writer().set(0, change.into());
            (0..delay).for_each(|_| std::hint::black_box(()));
            let start = Instant::now();
            match condition.wait_while(change)? {
                LAST => break,
                next => expect("the next change", next == change + 1),
            }
            // The change is to come between the look at the word and the sleep. Who has slept was early, and is
            // a little later the next time.
            let slept = start.elapsed() > Duration::from_micros(3);
            delay = if slept { (delay + 1) % 200 } else { delay.saturating_sub(1) };
        }
        Ok(())
    })?;
    // They meet so closely seldom, so: as often as there is time for.
    let until = Instant::now() + Duration::from_secs(2);
    for change in 0..LAST {
        let (now, mut looks) = (Instant::now(), 0_u32);
        while seen.get(0) != u64::from(change) {
            looks += 1;
            // Not each time, since it has to find the child's word at once.
            if looks.is_multiple_of(1000) {
                expect("the child wakes", now.elapsed() < Duration::from_secs(60));
                std::thread::yield_now();
            }
        }
        if now > until {
            break;
        }
        condition.store(change + 1)?;
    }
    condition.store(LAST)?;
    ends(terminal, &mut child)
}

fn sigbus_elsewhere(_: &mut Terminal) -> Result<(), Stop> {
    for unmapped in [false, true] {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name| {
            let path = directory.path().join(name);
            RecordFile::<ReadWrite>::open_or_create(&path, 0o600, &[0; size_of::<ConnStat>()])
        };
        let (watched, cut_off) = (file("watched")?, file("cut off")?);
        let ended = in_child(|| {
            let mut watched = Some(watched.map::<SharedConnStat>()?);
            watched.as_ref().expect("mapped").explain_sigbus("not this one".into())?;
            if unmapped {
                // Its addresses are free then, and most likely the next mapping gets them.
                drop(watched.take());
            }
            let other = cut_off.map::<SharedConnStat>()?;
            File::create(directory.path().join("cut off")).expect("cut off");
            expect("no record", other.load().count == 0);
            Ok(())
        })?;
        expect("it ends as without a watch", ended == Ended::By(Signal::SIGBUS, 0));
    }
    Ok(())
}

/// Forks a child that locks, and returns it with whether it had to wait: it waits if it sleeps in the
/// kernel, and it was let in if it says so.
fn waits(
    terminal: &mut Terminal,
    lock: impl FnOnce() -> Result<(), Stop>,
) -> Result<(Child, bool), Stop> {
    const HERE: usize = 0;
    const IN: usize = 1;
    let says = Mapping::<Counters<2>, ReadWrite>::anonymous()?;
    let child = start_child(terminal, |_| {
        says.writer().set(HERE, 1);
        lock()?;
        says.writer().set(IN, 1);
        Ok(())
    })?;
    let status = format!("/proc/{}/status", child.pid());
    let sleeps = || fs::read_to_string(&status).is_ok_and(|it| it.contains("State:\tS"));
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        // In this order: who was asleep after its first word, and has not come in, waits.
        let waits = says.get(HERE) == 1 && sleeps();
        if says.get(IN) == 1 {
            return Ok((child, false));
        }
        if waits {
            return Ok((child, true));
        }
        expect("the child comes to its lock", Instant::now() < deadline);
        terminal.pause(Duration::from_millis(1))?;
    }
}

/// A child drops its copy of `guard`, and another one must wait for the lock until the parent drops
/// the guard itself.
fn inherited<G>(
    terminal: &mut Terminal,
    guard: G,
    lock: impl FnOnce() -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut guard = Some(guard);
    start_child(terminal, |_| {
        drop(guard.take());
        Ok(())
    })?
    .wait(terminal)?;
    let (child, had_to_wait) = waits(terminal, lock)?;
    expect("the parent still holds the lock", had_to_wait);
    drop(guard);
    child.wait(terminal)
}

/// A child is killed while it has the lock that `hold` takes; another one that locks waits for ever.
fn held_by_the_killed<G>(
    terminal: &mut Terminal,
    hold: impl Fn() -> Result<G, Stop>,
) -> Result<(), Stop> {
    let data = Mapping::<Counters<2>, ReadWrite>::anonymous()?;
    kill_while_holding(terminal, &data, || {
        let _held = hold()?;
        data.writer().set(HALF_DONE, 1);
        for_ever()
    })?;
    let (_child, had_to_wait) = waits(terminal, || hold().map(drop))?;
    expect("the dead child still holds the lock", had_to_wait);
    Ok(())
}

/// No count is lost under the lock that `lock` takes.
fn keeps_apart<G>(
    terminal: &mut Terminal,
    lock: impl Fn() -> Result<G, Error>,
) -> Result<(), Stop> {
    let counters = Mapping::<Counters<1>, ReadWrite>::anonymous()?;
    let locked = || {
        let _held = lock()?;
        counters.writer().set(0, counters.get(0) + 1);
        Ok(())
    };
    count_in_two_steps(terminal, || counters.get(0), locked)
}

fn posix_semaphore_keeps_apart(terminal: &mut Terminal) -> Result<(), Stop> {
    let semaphore = PosixSemaphore::anonymous()?;
    keeps_apart(terminal, || semaphore.lock())
}

fn posix_semaphore_of_the_killed(terminal: &mut Terminal) -> Result<(), Stop> {
    let semaphore = PosixSemaphore::anonymous()?;
    held_by_the_killed(terminal, || Ok(semaphore.lock()?))
}

fn posix_semaphore_inherited(terminal: &mut Terminal) -> Result<(), Stop> {
    let semaphore = PosixSemaphore::anonymous()?;
    inherited(terminal, semaphore.lock()?, || Ok(semaphore.lock().map(drop)?))
}

fn rwlock_keeps_apart(terminal: &mut Terminal) -> Result<(), Stop> {
    let lock = RwLock::anonymous()?;
    keeps_apart(terminal, || lock.write())
}

fn rwlock_shared(terminal: &mut Terminal) -> Result<(), Stop> {
    let lock = RwLock::anonymous()?;
    let _reading = lock.read()?;
    let (child, had_to_wait) = waits(terminal, || Ok(lock.read().map(drop)?))?;
    child.wait(terminal)?;
    expect("a second reader comes in", !had_to_wait);
    let (_child, had_to_wait) = waits(terminal, || Ok(lock.write().map(drop)?))?;
    expect("a writer does not", had_to_wait);
    Ok(())
}

fn rwlock_of_the_killed(terminal: &mut Terminal) -> Result<(), Stop> {
    let lock = RwLock::anonymous()?;
    held_by_the_killed(terminal, || Ok(lock.write()?))
}

fn rwlock_inherited(terminal: &mut Terminal) -> Result<(), Stop> {
    let lock = RwLock::anonymous()?;
    inherited(terminal, lock.write()?, || Ok(lock.write().map(drop)?))
}

fn record_lock_keeps_apart(terminal: &mut Terminal) -> Result<(), Stop> {
    let lock = RefCell::new(RecordLock::anonymous()?);
    let counters = Mapping::<Counters<1>, ReadWrite>::anonymous()?;
    let locked = || {
        let mut lock = lock.borrow_mut();
        let _held = lock.lock()?;
        counters.writer().set(0, counters.get(0) + 1);
        Ok(())
    };
    count_in_two_steps(terminal, || counters.get(0), locked)
}

fn record_lock_of_the_killed(terminal: &mut Terminal) -> Result<(), Stop> {
    let mut lock = RecordLock::anonymous()?;
    let data = Mapping::<Counters<2>, ReadWrite>::anonymous()?;
    kill_while_holding(terminal, &data, || {
        let _held = lock.lock()?;
        data.writer().set(HALF_DONE, 1);
        for_ever()
    })?;
    expect("the data is half written", (data.get(HALF_DONE), data.get(DONE)) == (1, 0));
    let mut other = lock.reopened()?;
    inherited(terminal, lock.lock()?, || Ok(other.lock().map(drop)?))
}
