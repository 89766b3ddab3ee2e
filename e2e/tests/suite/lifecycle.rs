//! shm-sysv-lifecycle: the listing's output, and the evidence for each claim.

#[test]
fn the_listing_prints_what_the_book_shows() {
    let outcome = e2e::run("shm-sysv-lifecycle", [""; 0]).exited(0);
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let [attached, size, reattached, text] = lines[..] else { panic!("{outcome:#?}") };
    assert!(attached.starts_with("shared memory attached at address 0x7"), "{attached}");
    assert_eq!(size, "segment size: 25600");
    assert_eq!(reattached, "shared memory reattached at address 0x5000000");
    assert_eq!(text, "Hello, world.");
}
