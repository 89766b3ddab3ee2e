//! Where the stack is, which must not come to be the neighbour of pages that may be stored to.

use std::mem;

use crate::proc::MapsLine;

/// How many pages the kernel keeps free below the stack, if nobody has told it otherwise (`stack_guard_gap`).
pub(super) const GAP: usize = 256;

/// Where the stack begins, if in `lines` nothing is mapped between it and the address `end`.
///
/// Parts of the stack may have got flags or a name of their own (prctl(2) `PR_SET_VMA_ANON_NAME`): then only
/// the last line is called `[stack]`, and the first one grows. What adjoins the stack counts as its part.
pub(super) fn stack_behind(end: usize, lines: &[MapsLine]) -> Option<usize> {
    let mut behind = lines.iter().skip_while(|it| it.addresses.start < end).peekable();
    let start = behind.peek()?.addresses.start;
    let mut until = start;
    let mut adjoining =
        behind.take_while(|it| mem::replace(&mut until, it.addresses.end) == it.addresses.start);
    adjoining.any(|it| it.name == "[stack]").then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_may_have_parts() {
        let maps = |lines: &[(&str, &str)]| -> Vec<_> {
            let line = |(addresses, name): &(&str, &str)| {
                MapsLine::parse(&format!("{addresses} rw-p 00000000 00:00 0 {name}"))
            };
            lines.iter().map(|it| line(it).expect("a line")).collect()
        };
        let whole = maps(&[("1000-2000", ""), ("8000-a000", "[stack]"), ("c000-d000", "[vvar]")]);
        assert_eq!([0x2000, 0x8000].map(|it| stack_behind(it, &whole)), [Some(0x8000); 2]);
        assert_eq!([0x1000, 0xa000, 0xd000].map(|it| stack_behind(it, &whole)), [None; 3]);
        let parts =
            maps(&[("8000-9000", "[anon: a]"), ("9000-a000", ""), ("a000-b000", "[stack]")]);
        assert_eq!(stack_behind(0x2000, &parts), Some(0x8000));
        let another = maps(&[("8000-9000", ""), ("a000-b000", "[stack]")]);
        assert_eq!(stack_behind(0x2000, &another), None);
    }
}
