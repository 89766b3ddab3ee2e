//! Capstone: a directory that many processes share. A name has a value of two words, say an address. Writers
//! take turns, and die when it suits nobody; readers have no time to wait for them, dead or alive.
//!
//! Question: in `owner_died`, the next owner had to repair the bank. What is there to repair here?
//!
//! Answer: nothing. Each change is shown by one store. Before it, the old entry is there; after it, the new one.
//! What a dead writer has stored besides lies where nobody looks, and is overwritten by the next change. So
//! EOWNERDEAD needs no more than pthread_mutex_consistent(3).

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use common::{SharedText, Writer, shared_record};
// `lab`'s words are those of `common`; a test can have loom run them in all orders.
use lab::{SharedU32, Store as _, fence, pthread};

const ENTRIES: usize = 16;
/// In `state`: the entry has a name and a value. An empty name is a name.
const USED: u32 = 1;
/// In `state`: the value is `values[1]`, not `values[0]`.
const SECOND: u32 = 2;
/// In `state`, from this bit on: how often it was changed. It wraps.
const CHANGE: u32 = 4;
/// How often a reader looks at an entry that changes meanwhile.
const TRIES: u32 = 5;

type Value = [u32; 2];

shared_record! {
    pub struct Entry {
        state: SharedU32,
        /// At most 31 bytes, and a NUL.
        name: SharedText<8>,
        values: [[SharedU32; 2]; 2],
    }
}

shared_record! {
    pub struct Directory {
        /// For writers only.
        lock: pthread::Mutex,
        entries: [Entry; ENTRIES],
    }
}

/// Why nothing was changed.
#[derive(Debug, PartialEq)]
enum Refused {
    /// It has more than 31 bytes, or a NUL.
    Name,
    Full,
    /// What pthread_mutex_lock(3) or pthread_mutex_consistent(3) has returned.
    Lock(i32),
}

/// The value of `name`. `None` if it has none, or changes faster than we look. It never waits.
fn get(directory: &Directory, name: &str) -> Option<Value> {
    directory.entries.iter().find_map(|entry| value_of(entry, name))
}

fn value_of(entry: &Entry, name: &str) -> Option<Value> {
    for _ in 0..TRIES {
        // Pairs with the store in `show`: what it shows is there.
        let before = entry.state.load(Acquire);
        if before & USED == 0 {
            return None;
        }
        let same = entry.name.load().as_bytes() == name.as_bytes();
        let value = entry.values[place(before)].each_ref().map(|word| word.load(Relaxed));
        // Pairs with the fence in `set`. Who has loaded a word of a later change sees a later state.
        fence(Acquire);
        if entry.state.load(Relaxed) == before {
            return same.then_some(value);
        }
    }
    None
}

/// Gives `name` a value, or another one.
fn set(directory: Writer<'_, Directory>, name: &str, value: Value) -> Result<(), Refused> {
    if !is_name(name) {
        return Err(Refused::Name);
    }
    lock(directory)?;
    // First everywhere under its name: a free place before that would give it two values.
    let free = || directory.entries.iter().position(|it| it.state.load(Relaxed) & USED == 0);
    let Some(index) = find(&directory, name).or_else(free) else {
        unlock(directory);
        return Err(Refused::Full);
    };
    let entry = directory.field(|it| &it.entries[index]);
    let state = entry.state.load(Relaxed);
    // The words below are stored after the state that stands there now.
    fence(Release);
    if state & USED == 0 {
        entry.field(|it| &it.name).store(name);
    }
    // Into the place that is not shown. Until the last store, the old value is the value.
    let other = (state ^ SECOND) & SECOND;
    for (index, word) in value.into_iter().enumerate() {
        entry.field(|it| &it.values[place(other)][index]).store(word, Relaxed);
    }
    show(entry, USED | other);
    unlock(directory);
    Ok(())
}

/// Takes `name` out. `Ok(false)` if it was not there.
fn remove(directory: Writer<'_, Directory>, name: &str) -> Result<bool, Refused> {
    lock(directory)?;
    let index = find(&directory, name);
    if let Some(index) = index {
        let entry = directory.field(|it| &it.entries[index]);
        // The words stay: a reader may just be looking at them.
        show(entry, entry.state.load(Relaxed) & SECOND);
    }
    unlock(directory);
    Ok(index.is_some())
}

/// Locks the directory for a change.
fn lock(directory: Writer<'_, Directory>) -> Result<(), Refused> {
    let lock = directory.field(|it| &it.lock);
    match pthread::mutex_lock(lock) {
        0 => Ok(()),
        // The directory is whole after whichever instruction the owner died. Only the lock must be told so.
        libc::EOWNERDEAD => match pthread::mutex_consistent(lock) {
            0 => Ok(()),
            error => Err(Refused::Lock(error)),
        },
        error => Err(Refused::Lock(error)),
    }
}

/// Where `name` stands. Only for the owner of the lock.
fn find(directory: &Directory, name: &str) -> Option<usize> {
    directory.entries.iter().position(|entry| {
        entry.state.load(Relaxed) & USED != 0 && entry.name.load().as_bytes() == name.as_bytes()
    })
}

/// The one store that changes an entry. The change has a number: after two changes, the bits alone are the same
/// as before, and a reader that has slept meanwhile would not notice.
fn show(entry: Writer<'_, Entry>, bits: u32) {
    let changes = entry.state.load(Relaxed) & !(USED | SECOND);
    entry.field(|it| &it.state).store(changes.wrapping_add(CHANGE) | bits, Release);
}

/// Which of the two values a state shows.
fn place(state: u32) -> usize {
    usize::from(state & SECOND != 0)
}

// Given: what follows is right.

fn is_name(name: &str) -> bool {
    name.len() < SharedText::<8>::CAPACITY && !name.contains('\0')
}

fn unlock(directory: Writer<'_, Directory>) {
    let error = pthread::mutex_unlock(directory.field(|it| &it.lock));
    assert_eq!(error, 0, "pthread_mutex_unlock by its owner");
}

/// Zeros are no mutex yet. All entries are free.
fn open(directory: Writer<'_, Directory>) {
    pthread::mutex_init(directory.field(|it| &it.lock));
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let lab = lab::Lab::<Directory>::new();
    let directory = lab.shared.writer();
    open(directory);
    set(directory, "printer", [10, 631]).expect("there is room");
    let there = get(&directory, "printer");
    remove(directory, "printer").expect("nobody else has the lock");
    println!("The printer: {there:?}, and then {:?}.", get(&directory, "printer"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::ReadWrite;
    use common::sysv::{Attachment, Segment};
    use lab::{Ended, Lab, Reached};
    use std::collections::HashMap;
    use std::sync::OnceLock;
    use std::sync::atomic::Ordering::Relaxed;

    fn new() -> Lab<Directory> {
        let lab = Lab::<Directory>::new();
        open(lab.shared.writer());
        lab
    }

    #[test]
    fn role() {
        let stepped = |work: fn(Writer<'_, Directory>)| {
            let directory = lab::attach::<Directory>();
            lab::one_step_at_a_time(|| work(directory.writer()));
        };
        match lab::role().as_str() {
            "set" => stepped(|it| assert_eq!(set(it, "name", [2, 2]), Ok(()), "set")),
            "set new" => stepped(|it| assert_eq!(set(it, "new", [2, 2]), Ok(()), "set")),
            "set other" => {
                assert_eq!(set(lab::attach::<Directory>().writer(), "other", [3, 3]), Ok(()), "set")
            }
            "remove" => stepped(|it| assert_eq!(remove(it, "name"), Ok(true), "remove")),
            "get" => stepped(|it| {
                let seen = get(&it, "name");
                // No value of another name, and no half of one.
                let whole = seen.is_none_or(|[one, other]| one == other && one < 100);
                assert!(whole, "`get` takes this for the value of the name: {seen:?}");
            }),
            "get another" => {
                stepped(|it| assert_eq!(get(&it, "another"), Some([1, 1]), "it never changes"))
            }
            "other player" => {
                let directory = lab::attach::<Directory>();
                lab::stop_here();
                play(directory.writer(), 1, |_| lab::stop_here());
            }
            _ => {}
        }
    }

    /// Numbers without a pattern, the same in each run.
    fn numbers() -> impl Iterator<Item = u32> {
        let mut state = 1_u32;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16
        })
    }

    /// Some more names than there is room for.
    fn name(number: u32) -> String {
        match number % 24 {
            0 => String::new(),
            1 => "x".repeat(31),
            2 => "x".repeat(30) + "y",
            number => format!("name {number}"),
        }
    }

    /// 3000 operations, of which this process does each second one, and knows from a HashMap what each of
    /// them must come to. `after` is called after each of its own.
    fn play(directory: Writer<'_, Directory>, mine: u32, mut after: impl FnMut(u32)) {
        let (mut map, mut numbers) = (HashMap::new(), numbers());
        for number in 0..3000 {
            let mut next = || numbers.next().expect("numbers never end");
            let (what, name, value) = (next() % 10, name(next()), [next(), next()]);
            let is_mine = number % 2 == mine;
            let (operation, wanted, is);
            if what < 6 {
                operation = format!("set({name:?}, {value:?})");
                let room = map.contains_key(&name) || map.len() < ENTRIES;
                if room {
                    map.insert(name.clone(), value);
                }
                wanted = format!("{:?}", if room { Ok(()) } else { Err(Refused::Full) });
                is = is_mine.then(|| format!("{:?}", set(directory, &name, value)));
            } else {
                operation = format!("remove({name:?})");
                wanted = format!("Ok({})", map.remove(&name).is_some());
                is = is_mine.then(|| format!("{:?}", remove(directory, &name)));
            }
            let Some(is) = is else { continue };
            assert!(is == wanted, "operation {number}, {operation}: {is}, and not {wanted}");
            let (value, wanted) = (get(&directory, &name), map.get(&name).copied());
            assert!(
                value == wanted,
                "after operation {number}, {operation}: `get` returns {value:?}, and not {wanted:?}"
            );
            after(number);
        }
    }

    #[test]
    fn two_processes_take_turns() {
        let _dog = lab::watchdog(120, "somebody waits for a lock that nobody gives back");
        let lab = new();
        let mut other = lab.start("other player");
        other.until_stopped().expect("it begins");
        play(lab.shared.writer(), 0, |number| {
            other.go_on();
            if let Err(ended) = other.until_stopped() {
                panic!("operation {}, in the other process: {ended}", number + 1);
            }
        });
        other.go_on();
        assert_eq!(other.end(), Ended::Exited(0));
    }

    #[test]
    fn names_and_room() {
        let _dog = lab::watchdog(60, "somebody waits for a lock that nobody gives back");
        let lab = new();
        let directory = lab.shared.writer();
        assert!(get(&directory, "").is_none(), "nobody has set the empty name");
        for bad in ["x".repeat(32).as_str(), "with\0nul"] {
            let seen = set(directory, bad, [1, 1]);
            assert!(seen == Err(Refused::Name), "the name {bad:?} is none, and `set`: {seen:?}");
        }
        for number in 0..16 {
            let seen = set(directory, &name(number), [number; 2]);
            assert!(seen == Ok(()), "there is room for 16, and number {number}: {seen:?}");
        }
        let seen = set(directory, "one more", [1, 1]);
        assert!(seen == Err(Refused::Full), "there is room for 16, and one more: {seen:?}");
        let seen = set(directory, &name(5), [50; 2]);
        assert!(seen == Ok(()), "the name was there, it needs no more room: {seen:?}");
        for number in 0..16 {
            let wanted = if number == 5 { 50 } else { number };
            let seen = get(&directory, &name(number));
            assert!(seen == Some([wanted; 2]), "{:?} was set: {seen:?}", name(number));
        }
        assert_eq!(remove(directory, ""), Ok(true), "the empty name was there");
        assert_eq!(remove(directory, ""), Ok(false), "it was removed");
        let seen = set(directory, "one more", [1, 1]);
        assert!(seen == Ok(()), "one was removed, there is room: {seen:?}");
    }

    /// While a writer is held up, another one begins, and waits if it must.
    #[test]
    fn two_writers_at_once_lose_nothing() {
        let _dog = lab::watchdog(120, "somebody waits for a lock that nobody gives back");
        let steps = some_names().start("set new").step_through(|_| ()).expect("`set` returns");
        for instruction in (1..steps).step_by(steps as usize / 8 + 1) {
            let lab = some_names();
            let mut first = lab.start("set new");
            first.steps(instruction).expect("it is on its way");
            let mut second = lab.start("set other");
            second.settles(libc::SYS_futex);
            first.run_on(libc::SYS_futex).expect("it goes on");
            for (writer, ended) in [("first", first.end()), ("second", second.end())] {
                assert!(ended == Ended::Exited(0), "the {writer} one: {ended}");
            }
            let both = ["new", "other"].map(|name| get(&lab.shared, name));
            assert!(
                both == [Some([2, 2]), Some([3, 3])],
                "\"new\" was set to [2, 2] and, after instruction {instruction} of {steps} of that, \"other\" to \
                 [3, 3]; they are {both:?}"
            );
        }
    }

    /// "name" has the value [1, 1], and so have two others. One more had one before.
    fn some_names() -> Lab<Directory> {
        let lab = new();
        let directory = lab.shared.writer();
        for name in ["name", "a longer name before", "another", "and another"] {
            assert_eq!(set(directory, name, [1, 1]), Ok(()), "there is room");
        }
        assert_eq!(remove(directory, "a longer name before"), Ok(true), "it was there");
        lab
    }

    /// Not even while a writer stands still in the middle of a change. The tests below would wait for ever.
    fn get_must_not_wait() {
        static DONE: OnceLock<()> = OnceLock::new();
        DONE.get_or_init(|| {
            let steps = some_names().start("set").step_through(|_| ()).expect("`set` returns");
            for instruction in (1..8).map(|part| steps * part / 8) {
                let lab = some_names();
                let mut writer = lab.start("set");
                writer.steps(instruction).expect("it is on its way");
                let reached = lab.start("get").steps(20_000).map_err(|ended| ended.to_string());
                assert!(
                    reached == Ok(Reached::End),
                    "a writer stands still after instruction {instruction} of {steps}, and 20000 \
                     instructions of `get` come to: {reached:?}"
                );
            }
        });
    }

    #[test]
    fn a_change_is_there_all_at_once() {
        let _dog = lab::watchdog(120, "does `get` wait for a writer?");
        get_must_not_wait();
        for (role, name, before, after) in [
            ("set", "name", Some([1, 1]), Some([2, 2])),
            ("set new", "new", None, Some([2, 2])),
            ("remove", "name", Some([1, 1]), None),
        ] {
            let lab = some_names();
            let mut now = before;
            let mut writer = lab.start(role);
            // What `get` returns is also what it returns if the writer is killed there.
            let steps = writer.step_through(|instruction| {
                let seen = get(&lab.shared, name);
                assert!(
                    seen == now || seen == after,
                    "{role}: before {before:?}, later {after:?}; after instruction {instruction}: {seen:?}"
                );
                now = seen;
                for nobody in ["a longer name before", ""] {
                    let seen = get(&lab.shared, nobody);
                    assert!(seen.is_none(), "{role}: {nobody:?} is not there, and after {instruction}: {seen:?}");
                }
            });
            let steps = steps.unwrap_or_else(|ended| panic!("{role}: {ended}"));
            assert!(now == after, "{role}: after all {steps} instructions: {now:?}");
        }
    }

    #[test]
    fn the_next_writer_goes_on_after_a_death() {
        let _dog = lab::watchdog(120, "somebody waits for a lock whose owner is dead");
        get_must_not_wait();
        let steps = some_names().start("set").step_through(|_| ()).expect("`set` returns");
        let lab = some_names();
        let directory = lab.shared.writer();
        for death in 1..=10 {
            assert_eq!(set(directory, "name", [1, 1]), Ok(()), "before death {death}");
            let mut writer = lab.start("set");
            let instruction = steps * death / 11;
            writer.steps(instruction).expect("it is on its way");
            writer.kill();
            let seen = get(&directory, "name");
            assert!(
                seen == Some([1, 1]) || seen == Some([2, 2]),
                "killed at instruction {instruction} of {steps}: {seen:?}"
            );
            for value in [[3, 3], [4, 4]] {
                let next = set(directory, "name", value);
                assert!(
                    next == Ok(()),
                    "killed at instruction {instruction} of {steps}, and the next `set`: {next:?}; \
                     EOWNERDEAD is {}, ENOTRECOVERABLE {}",
                    libc::EOWNERDEAD,
                    libc::ENOTRECOVERABLE
                );
                assert_eq!(get(&directory, "name"), Some(value), "it was set");
            }
        }
    }

    /// Changes all that a reader of "name" may be looking at, and comes back to what looks the same.
    fn two_more_values(directory: Writer<'_, Directory>) {
        for value in [[2, 2], [3, 3]] {
            assert_eq!(set(directory, "name", value), Ok(()), "set");
        }
    }

    /// The place of "name" goes to another one: there is no other place left.
    fn another_name(directory: Writer<'_, Directory>) {
        for number in 3..16 {
            assert_eq!(set(directory, &name(number), [1, 1]), Ok(()), "there is room");
        }
        assert_eq!(remove(directory, "name"), Ok(true), "it was there");
        assert_eq!(set(directory, "a new name", [200, 200]), Ok(()), "there is room");
    }

    fn another_name_changes(directory: Writer<'_, Directory>) {
        another_name(directory);
        assert_eq!(set(directory, "a new name", [300, 300]), Ok(()), "it is there");
    }

    #[test]
    fn changes_come_in_the_middle_of_a_reader() {
        let _dog = lab::watchdog(120, "your code does not come to an end");
        let steps = some_names().start("get").step_through(|_| ()).expect("`get` returns");
        let changes: [fn(Writer<'_, Directory>); 3] =
            [two_more_values, another_name, another_name_changes];
        for change in changes {
            for instruction in (1..steps).step_by(steps as usize / 16 + 1) {
                let lab = some_names();
                let mut reader = lab.start("get");
                reader.steps(instruction).expect("it is on its way");
                change(lab.shared.writer());
                let reached = reader.run_on(libc::SYS_futex);
                let ended = reached.map_or_else(|ended| ended, |_| reader.end());
                assert!(
                    ended == Ended::Exited(0),
                    "it was changed after instruction {instruction} of {steps} of `get`, and {ended}"
                );
            }
        }
    }

    #[test]
    fn changes_without_end_do_not_hold_up_a_reader() {
        let _dog = lab::watchdog(120, "your code does not come to an end");
        for role in ["get", "get another"] {
            let lab = some_names();
            let mut reader = lab.start(role);
            // It says so itself if `get` comes to no end.
            let steps = reader.step_through(|instruction| {
                if instruction.is_multiple_of(50) {
                    two_more_values(lab.shared.writer());
                }
            });
            let ended = steps.map_or_else(|ended| ended, |_| reader.end());
            assert!(
                ended == Ended::Exited(0),
                "{role}, while \"name\" changes all the time: {ended}"
            );
        }
    }

    #[test]
    fn nothing_that_others_store_is_a_panic() {
        const WORDS: usize = size_of::<Directory>() / 4;
        let _dog = lab::watchdog(10, "your code does not come to an end");
        let lab = new();
        let directory = lab.shared.writer();
        let segment = Segment::from_id(lab.id()).expect("the lab's segment");
        let words: Attachment<[SharedU32; WORDS], ReadWrite> = segment.attach().expect("attached");
        let mut numbers = numbers();
        for round in 0..200 {
            // Not the mutex: whoever stores there can do what it likes to the C library.
            for index in size_of::<pthread::Mutex>() / 4..WORDS {
                let mut next = || numbers.next().expect("numbers never end");
                let word = if round == 0 { u32::MAX } else { next() << 16 | next() };
                words.writer().field(|it| &it[index]).store(word, Relaxed);
            }
            // So that some of it looks like an entry, changed as often as can be counted.
            directory.field(|it| &it.entries[3].name).store("name");
            directory.field(|it| &it.entries[7].name).store("");
            for name in ["", "name", "x".repeat(32).as_str()] {
                let _ = get(&directory, name);
                let _ = set(directory, name, [7, 7]);
                let _ = remove(directory, name);
                let _ = get(&directory, name);
                if set(directory, name, [7, 7]).is_ok() {
                    assert_eq!(get(&directory, name), Some([7, 7]), "{name:?} was set");
                }
            }
        }
    }

    /// loom tries all that Rust's memory model allows, also what your processor never does.
    #[test]
    fn reader_and_writer_may_run_on_any_processor() {
        let _dog = lab::watchdog(120, "does `get` wait for a writer?");
        let directory = new().for_ever();
        lab::in_all_orders!([&directory.entries[0].state, &directory.entries[0].values], {
            assert_eq!(set(directory, "name", [1, 1]), Ok(()), "there is room");
            let writer = loom::thread::spawn(move || two_more_values(directory));
            let seen = get(&directory, "name");
            assert!(
                matches!(seen, None | Some([1, 1] | [2, 2] | [3, 3])),
                "on a processor that exchanges loads or stores, `get` returns {seen:?}"
            );
            writer.join().expect("it is set");
        });
    }
}
