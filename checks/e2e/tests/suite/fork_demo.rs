//! mmap-fork-demo: a parent, its child, and the page between them.

use std::path::Path;

use e2e::{Outcome, run};

fn share(args: &[&str]) -> Outcome {
    run("mmap-fork-demo", args).exited(0)
}

#[test]
fn parent_and_child_read_what_the_other_wrote() {
    let expected = "Parent read: hello\n\
                    Child read: hello\n\
                    Child wrote: goodbye\n\
                    After 1s, parent read: goodbye\n";
    assert_eq!(share(&[]).stdout, expected);
}

#[test]
fn both_messages_and_the_delay_are_ours_to_choose() {
    let args = ["--parent-message", "ping", "--child-message", "pong: häß", "--delay", "10ms"];
    let expected = "Parent read: ping\n\
                    Child read: ping\n\
                    Child wrote: pong: häß\n\
                    After 10ms, parent read: pong: häß\n";
    assert_eq!(share(&args).stdout, expected);
}

#[test]
fn without_a_delay_the_child_s_message_still_arrives() {
    // The delay only looks like synchronisation; what counts is that the parent waits for the end
    // of the child. Once would prove little.
    for _ in 0..20 {
        let outcome = share(&["--delay", "0s"]);
        assert_eq!(outcome.stdout.lines().last(), Some("After 0s, parent read: goodbye"));
    }
}

#[test]
fn the_longest_message_arrives_whole_and_the_shortest_leaves_nothing_of_it() {
    let longest = "x".repeat(127);
    let args = ["--parent-message", &longest, "--child-message", "", "--delay", "0s"];
    let expected = format!(
        "Parent read: {longest}\n\
         Child read: {longest}\n\
         Child wrote: \n\
         After 0s, parent read: \n"
    );
    assert_eq!(share(&args).stdout, expected);
}

#[test]
fn the_child_is_another_process_and_is_reaped() {
    let outcome = share(&["--delay", "0s"]);
    let pid_after = |start: &str| -> i32 {
        let line = outcome.stderr.lines().find_map(|line| line.strip_prefix(start));
        let digits = line.and_then(|rest| rest.split(|it: char| !it.is_ascii_digit()).next());
        digits.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{start}: {outcome:#?}"))
    };
    assert_eq!(pid_after("parent, pid "), outcome.pid.as_raw());
    let child = pid_after("child, pid ");
    assert_eq!(pid_after("fork: child "), child);
    assert_ne!(child, outcome.pid.as_raw());
    assert!(outcome.stderr.contains("waitpid: the child has exited"), "{outcome:#?}");
    assert!(!Path::new(&format!("/proc/{child}")).exists(), "the child is still there");
}

#[test]
fn the_page_is_at_the_same_address_in_both() {
    let outcome = share(&["--delay", "0s"]);
    let address_in = |start: &str| {
        let line = outcome.stderr.lines().find(|line| line.starts_with(start));
        let rest = line.and_then(|line| line.split("0x").nth(1)).expect("an address");
        rest.split(' ').next().expect("an address").to_owned()
    };
    assert_eq!(address_in("mmap: 128 bytes, anonymous"), address_in("child, pid "));
}
