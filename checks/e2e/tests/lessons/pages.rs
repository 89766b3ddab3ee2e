//! Pages: mapping, faults, the page cache.

use super::{lesson, prints};

#[test]
fn map_private_follows_the_file_until_an_own_store() {
    let outcome = prints(
        "map-private",
        &[
            "MAP_PRIVATE page, untouched: pwrite 7, load 7",
            "MAP_PRIVATE page, after an own store: pwrite 7, load 5",
            "variables on stack and heap: 0, 0",
            "private anonymous page: 0",
            "private page of the file: 0",
            "shared anonymous page: 1",
            "shared page of the file: 1",
        ],
    );
    assert!(outcome.stderr.contains("child: exit status 0"), "{outcome:#?}");
}

#[test]
fn first_touch_brings_the_pages() {
    let outcome = prints(
        "first-touch",
        &[
            "MAP_SHARED: mmap: 0 of 64 pages in memory",
            "MAP_SHARED: 64 stores: 64 of 64 in memory",
            "MAP_SHARED | MAP_POPULATE: mmap: 64 of 64 pages in memory",
            "MAP_SHARED | MAP_POPULATE: 64 stores: 64 of 64 in memory",
        ],
    );
    // How many pages a fault brings is the machine's affair; that populated pages need fewer is not.
    let faults: Vec<u32> = outcome
        .stderr
        .lines()
        .filter_map(|it| it.split("getrusage: ").nth(1)?.split(' ').next()?.parse().ok())
        .collect();
    assert!(matches!(faults[..], [some, fewer] if some > fewer), "{outcome:#?}");
}

#[test]
fn page_edge_is_zero_then_sigbus_then_file() {
    prints(
        "page-edge",
        &[
            "last word of page 2: 0",
            "first word of page 3: SIGBUS, BUS_ADRERR",
            "stored 1 behind the end: pread returns 0 bytes",
            "ftruncate to 3 pages: behind the old end 0",
            "ftruncate to 3 pages: first word of page 3: 0",
        ],
    );
}

#[test]
fn two_faults_have_two_codes() {
    prints(
        "two-faults",
        &[
            "store before the guard page: exit status 0",
            "store to the guard page: SIGSEGV, SEGV_ACCERR",
            "load from the guard page: SIGSEGV, SEGV_ACCERR",
            "load from a PROT_READ page: exit status 0",
            "store to a PROT_READ page: SIGSEGV, SEGV_ACCERR",
            "load after munmap: SIGSEGV, SEGV_MAPERR",
        ],
    );
}

#[test]
fn page_cache_is_one_page_and_two_kinds_of_notice() {
    prints(
        "page-cache",
        &[
            "store 5, pread 5: inotify: no event",
            "msync: inotify: no event",
            "msync from inside a page: EINVAL",
            "pwrite 6, load 6: inotify: IN_MODIFY",
        ],
    );
}

#[test]
fn any_offset_is_rounded_by_the_program() {
    prints(
        "any-offset",
        &[
            "mmap, offset 100: EINVAL",
            "mmap, 0 bytes: EINVAL",
            "mmap, the page of offset 10000: load 7",
            "8 bytes wanted: whole pages mapped: true",
            "mmap, offset of half a page: EINVAL",
        ],
    );
}

#[test]
fn advice_throws_away_what_is_one_s_own() {
    let outcome = prints(
        "advice",
        &[
            "private, stored 5, MADV_DONTNEED: load 1, the file's",
            "shared, stored 5, MADV_DONTNEED: load 5",
            "shared, MADV_REMOVE: load 0",
            "private, MADV_REMOVE: EACCES",
            "MAP_SHARED, an unknown flag: ok",
            "MAP_SHARED_VALIDATE, an unknown flag: EOPNOTSUPP",
        ],
    );
    // Whether there are huge pages is the machine's affair.
    assert!(outcome.stderr.contains("mmap with MAP_HUGETLB: "), "{outcome:#?}");
}

#[test]
fn remap_moves_the_view_and_not_the_object() {
    let outcome = prints(
        "remap",
        &[
            "file: the first word is 7, the second page has 0",
            "file: behind its end: SIGBUS, BUS_ADRERR",
            "shared anonymous: the new half: SIGBUS, BUS_ADRERR",
            "private anonymous: the new half: exit status 0",
        ],
    );
    assert!(outcome.stderr.contains("mremap: 0x"), "{outcome:#?}");
}

#[test]
fn fixed_address_replaces_only_when_told() {
    let outcome = prints(
        "fixed-address",
        &[
            "load from the reservation: SIGSEGV, SEGV_ACCERR",
            "MAP_FIXED_NOREPLACE: EEXIST",
            "pages 1 and 0 with MAP_FIXED: load 2 1",
        ],
    );
    let rights: Vec<_> = outcome.stderr.lines().filter_map(|it| it.split(' ').nth(1)).collect();
    assert_eq!(rights, ["r--s", "r--s", "---p"], "{outcome:#?}");
}

#[test]
fn lock_brings_the_pages_and_has_a_limit() {
    let outcome = lesson("lock");
    let lines: Vec<_> = outcome.stdout.lines().collect();
    if lines[0] != "mlock: ok, 64 of 64 pages in memory" {
        e2e::skip(&format!("not even a few pages may be locked here: {}", lines[0]));
        return;
    }
    // Root may, where it has CAP_IPC_LOCK.
    let allowed: &[&str] = if nix::unistd::geteuid().is_root() {
        &["mlock above the limit, as root: ok", "mlock above the limit, as root: ENOMEM"]
    } else {
        &["mlock above the limit, as a user: ENOMEM"]
    };
    assert!(allowed.contains(&lines[1]), "{outcome:#?}");
    let locked = 64 * common::proc::page_size() / 1024;
    assert!(outcome.stderr.contains(&format!("VmLck: {locked} kB")), "{outcome:#?}");
}
