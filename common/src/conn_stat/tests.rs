use super::*;
use crate::mapping::Mapping;
use crate::shared::ReadWrite;

fn stat(count: i32, ip: &str) -> ConnStat {
    ConnStat { count, ..ConnStat::new(ip.parse().expect("an address")) }
}

fn shared() -> Mapping<SharedConnStat, ReadWrite> {
    Mapping::anonymous().expect("an anonymous page")
}

#[test]
fn bytes_are_those_of_the_c_struct() {
    let bytes = bytemuck::bytes_of(&stat(7, "127.0.0.1")).to_vec();
    assert_eq!(bytes[..4], 7_i32.to_ne_bytes());
    assert_eq!(&bytes[4..14], b"127.0.0.1\0");
    assert!(bytes[14..].iter().all(|&byte| byte == 0));
}

#[test]
fn the_longest_address_fits() {
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    assert_eq!(stat(0, longest).ip().as_bytes(), longest.as_bytes());
}

#[test]
fn new_memory_is_a_record_without_writer() {
    let stat = shared().load();
    assert_eq!(stat.count, 0);
    assert!(stat.ip().is_empty());
}

#[test]
fn a_record_comes_back_as_it_was_stored() {
    let shared = shared();
    shared.writer().store(&stat(41, "::1"));
    assert_eq!(shared.load(), stat(41, "::1"));
    assert_eq!(shared.writer().increment(), 42);
    assert_eq!(shared.load(), stat(42, "::1"));
}

#[test]
fn storing_the_text_leaves_the_count() {
    let shared = shared();
    shared.writer().store(&stat(5, "127.0.0.1"));
    shared.writer().store_ip(&stat(99, "10.0.0.1"));
    assert_eq!(shared.load(), stat(5, "10.0.0.1"));
}

#[test]
fn the_count_wraps_instead_of_panicking() {
    let shared = shared();
    shared.writer().store(&stat(i32::MAX, "127.0.0.1"));
    assert_eq!(shared.writer().increment(), i32::MIN);
}

#[test]
fn a_limit_stops_the_count() {
    let shared = shared();
    shared.writer().store(&stat(1, "127.0.0.1"));
    assert_eq!(shared.writer().increment_below(3), Some(2));
    assert_eq!(shared.writer().increment_below(3), Some(3));
    assert_eq!(shared.writer().increment_below(3), None);
    assert_eq!(shared.load().count, 3);
}

#[test]
fn threads_lose_no_increment_and_keep_the_limit() {
    let shared = shared();
    let record: &SharedConnStat = &shared;
    let writer = shared.writer();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    let _ = writer.increment();
                }
            });
        }
    });
    assert_eq!(record.load().count, 40_000);
    let below: usize = std::thread::scope(|scope| {
        let count_up = || std::iter::from_fn(|| writer.increment_below(60_000)).count();
        let counting: Vec<_> = (0..4).map(|_| scope.spawn(count_up)).collect();
        counting.into_iter().map(|it| it.join().expect("no panic")).sum()
    });
    assert_eq!((below, record.load().count), (20_000, 60_000));
}

#[test]
fn who_sees_a_count_sees_its_text() {
    // Both wait for each other, so there is nothing newer than what is looked for; and not for
    // long, since on a busy machine each turn may take a while.
    let (shared, seen) = (shared(), AtomicU32::new(0));
    let record: &SharedConnStat = &shared;
    let writer = shared.writer();
    let until = std::time::Instant::now() + Duration::from_secs(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut count = 0;
            while count >= 0 {
                let loaded = record.load();
                if loaded.count != count {
                    count = loaded.count;
                    let octet = u8::try_from(count.unsigned_abs() % 156).unwrap_or(0);
                    let text = format!("{}.0.0.1", 100 + octet);
                    let is_its_own = loaded.ip().to_string() == text;
                    // Told to the writer first, which would wait for ever otherwise.
                    let tell = if is_its_own { count.unsigned_abs() } else { u32::MAX };
                    seen.store(tell, Ordering::Release);
                    assert!(is_its_own, "{loaded:?}, and not {text}");
                }
            }
        });
        for count in 1..=50_000_u32 {
            let last = count == 50_000 || std::time::Instant::now() > until;
            let octet = u8::try_from(count % 156).unwrap_or(0);
            let mut stat = ConnStat::new([100 + octet, 0, 0, 1].into());
            // A negative count is the last one.
            stat.count = if last { -count.cast_signed() } else { count.cast_signed() };
            writer.store(&stat);
            while ![count, u32::MAX].contains(&seen.load(Ordering::Acquire)) {
                std::thread::yield_now();
            }
            if last || seen.load(Ordering::Acquire) == u32::MAX {
                break;
            }
        }
    });
}

/// Long enough for a busy machine, far from `FOR_EVER`.
const DEADLINE: Duration = Duration::from_secs(30);
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Without futex_waitv(2) a wait is a nap that ends by itself, so nothing can be seen.
fn futex_waitv_is_there() -> bool {
    let nothing = std::ptr::null::<u8>();
    // SAFETY: no waiters, which the kernel refuses with EINVAL if it knows the call.
    let done = unsafe { libc::syscall(libc::SYS_futex_waitv, nothing, 0, 0, nothing, 0) };
    let there = nix::errno::Errno::result(done) == Err(nix::errno::Errno::EINVAL);
    if !there {
        eprintln!("skipped: who is woken, because there is no futex_waitv");
    }
    there
}

#[test]
fn a_flag_that_is_set_ends_the_wait() {
    if !futex_waitv_is_there() {
        return;
    }
    let shared: &'static Mapping<_, ReadWrite> = Box::leak(Box::new(shared()));
    let record: &'static SharedConnStat = shared;
    let (done, returned) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        record.wait_unless(0, &AtomicU32::new(1), FOR_EVER);
        done.send(())
    });
    returned.recv_timeout(DEADLINE).expect("the wait ends, though nobody counts");
}

#[test]
fn one_wake_wakes_all_who_sleep() {
    if !futex_waitv_is_there() {
        return;
    }
    let shared: &'static Mapping<_, ReadWrite> = Box::leak(Box::new(shared()));
    let record: &'static SharedConnStat = shared;
    let (done, returned) = std::sync::mpsc::channel();
    for _ in 0..3 {
        let done = done.clone();
        let thread = std::sync::Arc::new(std::sync::atomic::AtomicI32::new(0));
        let id = std::sync::Arc::clone(&thread);
        std::thread::spawn(move || {
            id.store(nix::unistd::gettid().as_raw(), Ordering::Release);
            record.wait_unless(0, &AtomicU32::new(0), FOR_EVER);
            done.send(())
        });
        // Once it has told its id, it sleeps nowhere but in the wait.
        let start = std::time::Instant::now();
        let asleep = || {
            let thread = format!("self/task/{}", thread.load(Ordering::Acquire));
            crate::proc::stat(thread).is_ok_and(|it| it.state == 'S')
        };
        while !asleep() {
            assert!(start.elapsed() < DEADLINE, "the thread does not go to sleep");
            std::thread::yield_now();
        }
    }
    shared.writer().wake();
    for _ in 0..3 {
        returned.recv_timeout(DEADLINE).expect("each of the three is woken");
    }
}
