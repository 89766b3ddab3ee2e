//! How a reader looks at the record: at an interval, or at each change, asleep in between.

use bytemuck::Zeroable as _;
use common::{ConnStat, Error, SharedConnStat};

use crate::args::LookArgs;
use crate::person::Terminal;
use crate::stop::Stop;

/// The looks that a reader takes at a record that others write.
///
/// With `--follow`, a change that is overtaken by the next one before this process has run again is
/// not seen: shared memory holds the present, not the past.
#[derive(Debug)]
pub struct Looks<'a> {
    args: &'a LookArgs,
    shared: &'a SharedConnStat,
    /// What the last look has shown.
    last: Option<ConnStat>,
    taken: u32,
    /// Whether a writer has been there since the first look.
    had_company: bool,
}

impl<'a> Looks<'a> {
    /// As many looks at `shared` as `args` say.
    #[must_use]
    pub fn at(shared: &'a SharedConnStat, args: &'a LookArgs) -> Self {
        Self { args, shared, last: None, taken: 0, had_company: false }
    }

    /// Waits until it is time for the next look, and returns what there is; `None` after the last.
    ///
    /// With `--follow` it is time when the record is another than the last time. Nothing counts as
    /// the last look once a writer has been there and `has_company` says that none is any more. A
    /// writer that wakes its readers ([`Writer::wake`](common::Writer::wake)) is seen at once; one
    /// that does not, such as a plain C program, and one that has gone, within the interval.
    ///
    /// # Errors
    ///
    /// [`Stop::Signal`] as soon as a signal asks this process to end, and what `has_company` says.
    pub fn next(
        &mut self,
        terminal: &mut Terminal,
        has_company: impl Fn() -> Result<bool, Error>,
    ) -> Result<Option<ConnStat>, Stop> {
        if self.taken > 0 && !self.args.follow {
            terminal.pause(self.args.interval)?;
        }
        while self.taken < self.args.ticks() {
            // First this, then the record: so what the last writer stored before it went is in it.
            let alone = self.args.follow && !has_company()?;
            // Pairs with `increment` and `increment_below` in the writers: with a count comes all
            // that its writer had stored before.
            let stat = self.shared.load();
            let changed = self.last.is_some_and(|last| last != stat);
            self.had_company |= changed || !alone;
            if changed || !self.args.follow || (self.last.is_none() && stat != ConnStat::zeroed()) {
                self.taken += 1;
                self.last = Some(stat);
                return Ok(Some(stat));
            }
            if alone && self.had_company {
                return Ok(None);
            }
            self.last = Some(stat);
            terminal.wait_for_change(self.shared, stat.count, self.args.interval)?;
        }
        Ok(None)
    }

    /// Whether the looks have ended because the writer has gone, and not because there were enough.
    #[must_use]
    pub fn are_alone(&self) -> bool {
        self.taken < self.args.ticks()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    use common::ReadWrite;
    use common::mapping::Mapping;

    use super::*;

    fn record(count: i32) -> ConnStat {
        let mut record = ConnStat::new([127, 0, 0, 1].into());
        record.count = count;
        record
    }

    fn follow() -> LookArgs {
        LookArgs { ticks: None, interval: Duration::from_millis(1), follow: true }
    }

    #[test]
    fn what_the_writer_stored_before_it_went_is_seen() {
        let (args, mut terminal) = (follow(), Terminal::new().expect("signals"));
        let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous().expect("pages");
        let mut looks = Looks::at(&shared, &args);
        shared.writer().store(&record(1));
        let first = looks.next(&mut terminal, || Ok(true)).expect("a look");
        assert_eq!(first, Some(record(1)));
        // It stores once more and is gone when the reader asks.
        let went = Cell::new(false);
        let goes = || {
            if !went.replace(true) {
                shared.writer().store(&record(2));
            }
            Ok(false)
        };
        assert_eq!(looks.next(&mut terminal, goes).expect("a look"), Some(record(2)));
        assert_eq!(looks.next(&mut terminal, goes).expect("the end"), None);
        assert!(looks.are_alone());
    }

    #[test]
    fn a_change_of_the_text_alone_is_a_change() {
        let (args, mut terminal) = (follow(), Terminal::new().expect("signals"));
        let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous().expect("pages");
        let mut looks = Looks::at(&shared, &args);
        shared.writer().store(&record(1));
        assert_eq!(looks.next(&mut terminal, || Ok(true)).expect("a look"), Some(record(1)));
        let mut other = ConnStat::new([10, 0, 0, 1].into());
        other.count = 1;
        shared.writer().store(&other);
        // Company for a while: who does not see the change must not look for ever.
        let asked = Cell::new(0);
        let company = || Ok(asked.replace(asked.get() + 1) < 100);
        assert_eq!(looks.next(&mut terminal, company).expect("a look"), Some(other));
    }

    #[test]
    fn an_old_record_is_shown_and_a_writer_awaited() {
        let (args, mut terminal) = (follow(), Terminal::new().expect("signals"));
        let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous().expect("pages");
        let mut looks = Looks::at(&shared, &args);
        shared.writer().store(&record(5));
        let nobody = || Ok(false);
        assert_eq!(looks.next(&mut terminal, nobody).expect("a look"), Some(record(5)));
        // Nobody is there, three times; then somebody comes, and goes without a change.
        let asked = Cell::new(0);
        let comes = || Ok(asked.replace(asked.get() + 1) == 3);
        assert_eq!(looks.next(&mut terminal, comes).expect("the end"), None);
        assert_eq!(asked.get(), 5);
    }

    #[test]
    fn the_first_look_is_at_once_and_the_others_an_interval_apart() {
        let looks = |interval, ticks: u32| {
            let args = LookArgs { ticks: Some(ticks), interval, follow: false };
            let mut terminal = Terminal::new().expect("signals");
            let shared = Mapping::<SharedConnStat, ReadWrite>::anonymous().expect("pages");
            let mut looks = Looks::at(&shared, &args);
            let start = Instant::now();
            for _ in 0..ticks {
                looks.next(&mut terminal, || Ok(true)).expect("a look").expect("not the last");
            }
            start.elapsed()
        };
        let interval = Duration::from_millis(20);
        assert!(looks(interval, 3) >= 2 * interval);
        let (done, returned) = mpsc::channel();
        thread::spawn(move || done.send(looks(Duration::from_secs(3600), 1)));
        returned.recv_timeout(Duration::from_secs(60)).expect("no hour before the first");
    }
}
