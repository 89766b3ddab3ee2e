//! What README.md and docs/ show, compared with what the programs do now.
//!
//! Every block fenced as `console` is a transcript: lines `$ command`, each with its output below,
//! stdout and stderr together as a terminal shows them. CONTRIBUTING.md says how to write one.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use common::proc::Listed;
use e2e::{Running, TestKey, example, program};
use nix::sys::signal::Signal;

use crate::pages::{Block, blocks, pages};

/// The pause after each count where a transcript names none: shorter than the default of 1s.
const INTERVAL: &str = "200ms";

/// How long a program of a transcript may take: all of them run at once, so a busy machine needs long.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a transcript may call besides our own programs.
const TOOLS: [&str; 17] = [
    "cat",
    "grep",
    "head",
    "ipcrm",
    "ipcs",
    "kill",
    "ls",
    "mkdir",
    "od",
    "rm",
    "seq",
    "sha256sum",
    "strace",
    "tail",
    "touch",
    "truncate",
    "wc",
];

/// How a transcript runs a lesson.
const LESSON: &str = "cargo run -p lessons --example ";

/// How a transcript names a program that a tool starts: the test puts its real path there.
const BUILT: &str = "target/debug/";

/// A program of a pair that prints one of these has done its part of the start. A lesson has done it with
/// its first line, unless the comment above the block says otherwise.
const READY: [&str; 3] = ["count: ", "ip = ", "no record there yet"];

#[test]
fn transcripts_are_true() {
    let terminals: Vec<_> = pages().iter().flat_map(blocks).filter_map(Terminal::of).collect();
    assert!(!terminals.is_empty(), "README.md shows a transcript");
    // Terminals of one page with the same `<!-- pair: NAME -->` run together, the others alone.
    let groups = terminals.chunk_by(|one, next| one.pair.is_some() && one.pair == next.pair);
    thread::scope(|scope| {
        // The scope panics after all have ended if one has.
        for group in groups {
            scope.spawn(|| run_together(group));
        }
    });
}

#[test]
fn a_line_is_the_same_but_for_what_varies() {
    let mut names = Names::default();
    let mut same = |shown, actual| names.same_line(shown, actual);
    assert!(same("writer, pid 10, key 9 (0x00000009)", "writer, pid 77, key 8 (0x00000008)"));
    assert!(same("0x00000009 3 ada 600 68 2", "0x00000008 41 eve 600 68   2"));
    assert!(!same("0x00000009 3 ada 600 68 2", "0x00000008 41 eve 600 68 1"), "nattch");
    assert!(same("3 0x00000000 68 0600 ada; made by 10", "41 0x00000000 68 0600 eve; made by 77"));
    assert!(!same("child, pid 10", "child, pid 78"), "another process than before");
    assert!(!same("child, pid 11", "child, pid 77"), "the same process as before");
    assert!(!same("segment 3 stays", "segment 41 is gone"));
    assert!(same("ip = ::1, count: 3", "ip = ::1, count: 12"), "the reader may be late");
    assert!(!same("count: 3", "count: 4"), "the writer's counts are certain");
    assert!(same(
        "7f00aa000000-7f00aa001000 rw-s 0 00:01 3 /SYSV",
        "7fb0bb000000-7fb0bb001000 rw-s 0 00:1f 8 /SYSV"
    ));
    assert!(!same("at 0x7f00aa000000", "at 0x7f00aa001000"), "another address than before");
}

/// A transcript: what one terminal shows.
struct Terminal {
    /// Page and name of the pair, for a terminal that runs beside others.
    pair: Option<(String, String)>,
    /// What is in the line after which the next terminal may start, for a lesson.
    ready: String,
    rule: Rule,
    steps: Vec<Step>,
}

/// What must be the same.
#[derive(Clone, Copy)]
enum Rule {
    /// Every line but for its names, in the order of the page.
    Same,
    /// The same lines in whatever order.
    AnyOrder,
    /// Every word that is no number: for what is measured.
    AnyFigures,
}

/// A command and what it prints.
struct Step {
    place: String,
    command: String,
    shown: Vec<String>,
}

impl Terminal {
    fn of(block: Block) -> Option<Self> {
        if block.info != "console" {
            return None;
        }
        let place = block.place;
        let page = place.split(':').next().unwrap_or_default().to_owned();
        let pair = block.comment.strip_prefix("pair: ");
        let (name, ready) =
            pair.map_or(("", ""), |it| it.split_once(", ready: ").unwrap_or((it, "")));
        let (pair, ready) = (pair.map(|_| (page, name.to_owned())), ready.to_owned());
        let mut steps: Vec<Step> = Vec::new();
        for line in block.lines {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => {
                    let (place, command) = (place.clone(), command.to_owned());
                    steps.push(Step { place, command, shown: Vec::new() });
                }
                (None, Some(step)) => step.shown.push(line),
                (None, None) => panic!("{place}: a console block begins with `$ command`"),
            }
        }
        let rule = match block.comment.as_str() {
            "any order" => Rule::AnyOrder,
            "any figures" => Rule::AnyFigures,
            _ => Rule::Same,
        };
        Some(Self { pair, ready, rule, steps })
    }
}

/// Runs the terminals of a group: the first command of each in the order in which they stand, each
/// as soon as the one before is ready. The last terminal ends first, with all its commands, so what
/// the second shows after its program happens while the first's goes on.
///
/// On a busy machine a partner may start late, or a tool. So whoever is ready is stopped until the
/// others are, and while somebody looks: no transcript depends on who is faster.
fn run_together(terminals: &[Terminal]) {
    let place = &terminals[0].steps[0].place;
    let missing =
        terminals.iter().flat_map(|it| &it.steps).flat_map(tools).find(|it| !is_there(it));
    if let Some(tool) = missing {
        e2e::skip_without(tool, place);
        return;
    }
    let mut steps = terminals.iter().flat_map(|it| &it.steps);
    if steps.any(|it| tools(it).any(|tool| tool == "strace")) && !may_trace() {
        e2e::skip(&format!("{place}: strace may not trace here"));
        return;
    }

    let here = Here::new();
    let mut shown = terminals.iter().flat_map(|it| &it.steps).flat_map(|it| &it.shown);
    if shown.any(|line| line.contains("O_TMPFILE")) && !here.has_files_without_name() {
        e2e::skip(&format!("{place}: this file system has no O_TMPFILE, the page shows it"));
        return;
    }
    let mut shown = terminals.iter().flat_map(|it| &it.steps).flat_map(|it| &it.shown);
    if shown.any(|line| line.contains("frame 0x")) && !e2e::may_see_frames() {
        e2e::skip(&format!("{place}: only root may see frame numbers, the page shows them"));
        return;
    }
    run_in(here, terminals);
}

fn run_in(mut here: Here, terminals: &[Terminal]) {
    let signal_all = |running: &[(&Terminal, Running)], signal| {
        running.iter().for_each(|(_, program)| program.signal(signal));
    };
    let mut running: Vec<(&Terminal, Running)> = Vec::new();
    for terminal in terminals {
        let step = &terminal.steps[0];
        let mut program = here.start(step, terminal.pair.is_some());
        let is_lesson = step.command.contains(LESSON);
        if terminal.pair.is_some() && (is_lesson || step.command.starts_with("cargo")) {
            if is_lesson {
                // It may need its partner to go on before it shows anything.
                signal_all(&running, Signal::SIGCONT);
            }
            let is_ready = |line: &str| match is_lesson {
                true => line.contains(&terminal.ready),
                false => READY.iter().any(|ready| line.starts_with(ready)),
            };
            let mut shown = step.shown.iter().take_while(|line| *line != "...");
            loop {
                let line = program.wait_stdout("");
                if let Some(shown) = shown.next() {
                    here.names.same_line(&here.translate(shown), &line);
                }
                if is_ready(&line) {
                    break;
                }
            }
            program.signal(Signal::SIGSTOP);
            signal_all(&running, Signal::SIGSTOP);
        }
        running.push((terminal, program));
    }
    while let Some((terminal, program)) = running.pop() {
        let command = &terminal.steps[0].command;
        if terminal.pair.is_some() && (command.contains(LESSON) || command.starts_with("cargo")) {
            program.signal(Signal::SIGCONT);
            signal_all(&running, Signal::SIGCONT);
        }
        here.compare(&terminal.steps[0], &program.finish_within(PATIENCE).stdout, terminal.rule);
        for step in &terminal.steps[1..] {
            signal_all(&running, Signal::SIGSTOP);
            let output = here.start(step, terminal.pair.is_some()).finish_within(PATIENCE).stdout;
            here.compare(step, &output, terminal.rule);
            signal_all(&running, Signal::SIGCONT);
        }
    }
}

/// The programs that a step needs to be there, besides our own.
fn tools(step: &Step) -> impl Iterator<Item = &str> {
    let tools = step.command.split(" | ").map(|it| it.split(' ').next().unwrap_or_default());
    tools.inspect(|tool| {
        let known = *tool == "cargo" || TOOLS.contains(tool);
        assert!(known, "{}: {tool} is not in TOOLS", step.place);
    })
}

fn is_there(tool: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$0\" > /dev/null", tool]).status();
    found.is_ok_and(|it| it.success())
}

/// Whether ptrace(2) is allowed, as strace needs it. In a container it may not be.
fn may_trace() -> bool {
    let traced = Command::new("sh").args(["-c", "strace -o /dev/null true 2> /dev/null"]).status();
    traced.is_ok_and(|it| it.success())
}

/// Where a group runs, so that it disturbs nobody: under a key and in a directory of its own.
struct Here {
    key: TestKey,
    directory: tempfile::TempDir,
    names: Names,
}

impl Here {
    fn new() -> Self {
        let key = TestKey::new();
        let number: u32 = key.arg().parse().expect("a number");
        let mut names = Names::default();
        names.same(Kind::Key, "1234", &number.to_string());
        names.same(Kind::Key, "0x000004d2", &format!("0x{number:08x}"));
        names.same(Kind::Key, "SYSV000004d2", &format!("SYSV{number:08x}"));
        Self { key, directory: tempfile::tempdir().expect("a directory"), names }
    }

    fn has_files_without_name(&self) -> bool {
        let mut options = File::options();
        options.write(true).custom_flags(libc::O_TMPFILE).open(self.directory.path()).is_ok()
    }

    /// What the page calls /tmp is our own directory here, and an object `/lessons-NAME` in /dev/shm
    /// is another one in each run.
    fn translate(&self, shown: &str) -> String {
        let directory = self.directory.path().display();
        shown
            .replace("/lessons-", &format!("/lessons-{}-", self.key.arg()))
            .replace("sem.lessons-", &format!("sem.lessons-{}-", self.key.arg()))
            .replace("/tmp/", &format!("{directory}/"))
            .replace("\"/tmp\"", &format!("\"{directory}\""))
    }

    fn start(&self, step: &Step, paired: bool) -> Running {
        let command = self.translate(&self.names.rename(&step.command, &step.place));
        let parts: Vec<_> = command.split(" | ").map(|it| self.script(it, paired)).collect();
        // The program itself is the process that is stopped and waited for, and not a shell. Of a
        // pipeline that is its last part: the shell makes children of the others. kill is no file.
        let (last, before) = parts.split_last().expect("a command");
        let script = match before {
            // At a terminal it has ended before the next command is typed. Here its locks may still be held.
            [] if last.starts_with("kill -9 ") => {
                let status = format!("/proc/{}/status", last.trim_start_matches("kill -9 "));
                format!("{last}; while grep -qs '^State:.[^ZX]' {status}; do sleep 0.01; done")
            }
            [] if last.starts_with("kill ") => last.clone(),
            [] => format!("exec {last}"),
            _ => parts.join(" | "),
        };
        // One pipe for both streams, so that the order of the lines is the real one.
        let mut shell = Command::new("sh");
        // What a lesson makes in the directory for temporary files, the page shows in /tmp.
        shell.env("TMPDIR", self.directory.path());
        Running::start(shell.args(["-c", &format!("exec 2>&1; {script}")]))
    }

    /// What a shell runs in place of one command of a page.
    fn script(&self, command: &str, paired: bool) -> String {
        if let Some(lesson) = command.strip_prefix(LESSON) {
            let (name, args) = lesson.split_once(' ').unwrap_or((lesson, ""));
            let path = example(name);
            let args = args.strip_prefix("-- ").unwrap_or(args);
            return format!("'{}' {args}", path.get_program().display());
        }
        let called = command
            .strip_prefix("cargo run")
            .map(|rest| {
                let rest = rest.strip_prefix(" --release").unwrap_or(rest);
                let rest = rest.strip_prefix(" -p ").unwrap_or(" mmap-fork-demo").trim_start();
                ("", rest.split_once(" -- ").unwrap_or((rest, "")))
            })
            .or_else(|| {
                let (tool, rest) = command.split_once(BUILT)?;
                Some((tool, rest.split_once(' ').unwrap_or((rest, ""))))
            });
        let Some((tool, (name, args))) = called else { return command.into() };
        let path = program(name);
        let mut script = format!("{tool}'{}'", path.get_program().display());
        let has = |options: &[&str]| args.split(' ').any(|it| options.contains(&it));
        let by_key = ["shm-sysv-writer", "shm-sysv-reader"].contains(&name);
        if by_key && !has(&["-k", "--key", "--ftok", "--id", "--help"]) {
            script += &format!(" --key {}", self.key.arg());
        }
        if paired && !has(&["-i", "--interval", "--help"]) {
            script += &format!(" --interval {INTERVAL}");
        }
        if name == "race-demo" {
            // The page shows the defaults, which take a while on a busy machine.
            script += " --for 100ms --kills 20 --within 3s";
        }
        format!("{script} {args}")
    }

    fn compare(&mut self, step: &Step, output: &str, rule: Rule) {
        let Step { place, command, shown } = step;
        let shown: Vec<_> = shown.iter().map(|line| self.translate(line)).collect();
        let ours = |line: &&str| !command.starts_with("ipcs") || self.names.is_ours(line);
        // A program that tells how to start its partner leaves the default key out, as the page does.
        let number: u32 = self.key.arg().parse().expect("a number");
        let hint = format!(" -- --key 0x{number:x}");
        let output = output.replace(&hint, "");
        let actual: Vec<_> = output.lines().filter(ours).collect();
        let same = match rule {
            Rule::Same => self.names.same_lines(trim(&shown), trim(&actual), false),
            Rule::AnyOrder => self.names.same_lines(trim(&shown), trim(&actual), true),
            Rule::AnyFigures => {
                // The tests may run a debug build, which says so; the page shows a release build. And
                // race-demo says how far it is if that takes long.
                let added =
                    |line: &&&str| line.starts_with("a debug build") || line.ends_with(" kills");
                let actual = actual.iter().filter(|line| !added(line));
                let shown: Vec<_> = shown.iter().map(|line| without_figures(line)).collect();
                let actual: Vec<_> = actual.map(|line| without_figures(line)).collect();
                self.names.same_lines(trim(&shown), trim(&actual), false)
            }
        };
        match same {
            Some(names) => self.names = names,
            // A lesson says so if the kernel does not let it do its part here. Nobody can install that.
            None if output.lines().any(|line| line.starts_with("skipped: ")) => {
                e2e::skip(&format!("{place}: {output}"));
            }
            None => panic!(
                "{place} is not what happens now\n$ {command}\n--- shown\n{}\n--- now\n{output}",
                shown.join("\n")
            ),
        }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        // The key takes its own segment along; a private one has no key.
        let objects = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        let name = format!("lessons-{}-", self.key.arg());
        let is_ours = |path: &PathBuf| path.to_string_lossy().contains(&name);
        for path in objects.map(|it| it.path()).filter(is_ours) {
            let _ = fs::remove_file(path);
        }
        let shmids = self.names.0.iter().filter(|((kind, _), _)| *kind == Kind::Shmid);
        let ids: Vec<_> = shmids.map(|(_, id)| id.clone()).collect();
        let ours = |segment: &&Listed| ids.contains(&segment.id.to_string());
        e2e::segments().iter().filter(ours).for_each(e2e::remove);
    }
}

fn without_figures(line: &str) -> String {
    if line == "..." {
        return line.into();
    }
    let words = words(line).into_iter();
    // Times, too, such as 500ms.
    let is_figure = |word: &str| word.starts_with(|it: char| it.is_ascii_digit());
    let line: Vec<_> = words.map(|word| if is_figure(word) { "0" } else { word }).collect();
    // On a busy machine race-demo may kill fewer than it was asked to, and somebody may starve.
    let line = line.join(" ");
    let line = line.trim_end_matches(" ; undisturbed , 0 starved");
    line.trim_end_matches(" , time was over").into()
}

/// The lines without blank ones at the ends.
fn trim<S: AsRef<str>>(lines: &[S]) -> &[S] {
    let filled = |line: &S| !line.as_ref().trim().is_empty();
    let start = lines.iter().position(filled).unwrap_or(lines.len());
    let end = lines.iter().rposition(filled).map_or(start, |last| last + 1);
    &lines[start..end]
}

/// What is another one in every run.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Pid,
    Shmid,
    Key,
    Address,
    /// Whatever it is: a count that depends on when the reader starts, an owner, an inode.
    Any,
}

/// For each name that a page shows, the one of the run that is compared with it: a process that has
/// one pid on the page has one pid in the run.
#[derive(Default, Clone)]
struct Names(HashMap<(Kind, String), String>);

impl Names {
    fn same(&mut self, kind: Kind, shown: &str, actual: &str) -> bool {
        // `%p` writes 0x before an address, /proc/PID/maps does not.
        let (shown, actual) = (bare(kind, shown), bare(kind, actual));
        if is_number(shown) && !is_hexadecimal(actual) {
            return false;
        }
        let known = self.0.get(&(kind, shown.into())).map(String::as_str);
        let mut others = self.0.iter().filter(|((other, _), _)| *other == kind);
        if kind == Kind::Any || known == Some(actual) {
            true
        } else if known.is_some() || others.any(|(_, taken)| taken == actual) {
            false
        } else {
            self.0.insert((kind, shown.into()), actual.into());
            true
        }
    }

    fn same_line(&mut self, shown: &str, actual: &str) -> bool {
        let (shown, actual) = (words(shown), words(actual));
        shown.len() == actual.len()
            && (0..shown.len()).all(|at| match kind(&shown, at) {
                Some(kind) => self.same(kind, shown[at], actual[at]),
                None => shown[at] == actual[at],
            })
    }

    /// Whether the lines are the same, and the names if they are. A line `...` on the page stands
    /// for any number of lines.
    fn same_lines<S, A>(&self, shown: &[S], actual: &[A], any_order: bool) -> Option<Self>
    where
        S: AsRef<str>,
        A: AsRef<str> + Clone,
    {
        let Some((line, rest)) = shown.split_first() else {
            return actual.is_empty().then(|| self.clone());
        };
        if line.as_ref() == "..." {
            return (0..=actual.len()).find_map(|at| self.same_lines(rest, &actual[at..], false));
        }
        let candidates = if any_order { actual.len() } else { actual.len().min(1) };
        (0..candidates).find_map(|at| {
            let mut names = self.clone();
            let others = [&actual[..at], &actual[at + 1..]].concat();
            names.same_line(line.as_ref(), actual[at].as_ref()).then_some(())?;
            names.same_lines(rest, &others, any_order)
        })
    }

    /// The command with the names of this run in it.
    fn rename(&self, command: &str, place: &str) -> String {
        let words = words(command);
        let mut rest = command;
        let mut renamed = String::new();
        for (at, word) in words.iter().enumerate() {
            let (before, after) = rest.split_once(word).expect("a word of it");
            let kind = kind(&words, at).filter(|kind| *kind != Kind::Any);
            let name = kind.map(|kind| self.0.get(&(kind, bare(kind, word).into())));
            // A person's own process or segment must not get into the way of a test.
            let name = name.map(|it| it.unwrap_or_else(|| panic!("{place}: whose is {word}?")));
            renamed += before;
            renamed += name.map_or(word, |it| it.as_str());
            rest = after;
        }
        renamed + rest
    }

    /// Whether a line of `ipcs -m` is about no segment, or about one of this run.
    fn is_ours(&self, line: &str) -> bool {
        let (words, mut known) = (words(line), self.0.iter());
        !words.first().is_some_and(|it| it.starts_with("0x"))
            || known.any(|((kind, _), actual)| *kind == Kind::Shmid && *actual == words[1])
    }
}

/// A name without what is written before it in one place and not in the other.
fn bare(kind: Kind, name: &str) -> &str {
    let bare = name.trim_start_matches("0x");
    // ipcs shows a key with eight digits, strace does not.
    if kind == Kind::Key { bare.trim_start_matches('0') } else { bare }
}

/// The words, numbers and signs of a line, without the space between them.
fn words(line: &str) -> Vec<&str> {
    let is_sign = |it: char| !it.is_alphanumeric() && it != '_';
    let words = line.split_inclusive(is_sign).flat_map(|it| {
        let (word, sign) = it.split_at(it.trim_end_matches(is_sign).len());
        [word, sign.trim()]
    });
    words.filter(|it| !it.is_empty()).collect()
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|it| it.is_ascii_digit())
}

fn is_hexadecimal(word: &str) -> bool {
    word.bytes().all(|it| it.is_ascii_hexdigit())
}

/// What kind of name the word is, if it is one: the word before it says so, or its shape.
fn kind(words: &[&str], at: usize) -> Option<Kind> {
    let word = words[at];
    let before = |distance: usize| at.checked_sub(distance).map_or("", |it| words[it]);
    let after = words.get(at + 1).copied().unwrap_or_default();
    let number = is_number(word);
    let row_of_ipcs = words[0].starts_with("0x");
    // A segment in the list of shm-viewer.
    let row_of_list = words.len() > 1 && is_number(words[0]) && words[1].starts_with("0x");
    let is_address = |word: &str| {
        let digits = word.trim_start_matches("0x");
        digits.len() == 12 && digits.starts_with("7f") && is_hexadecimal(digits)
    };
    let line_of_maps =
        words.windows(3).any(|it| is_address(it[0]) && it[1] == "-" && is_address(it[2]));
    let key = word.strip_prefix("0x").or(word.strip_prefix("SYSV"));
    match before(1) {
        "pid" | "child" | "parent" if number => Some(Kind::Pid),
        "/" if number && before(2) == "proc" => Some(Kind::Pid),
        // The number of a namespace, in ipc:[4026531839].
        "[" if number && before(3) == "ipc" => Some(Kind::Any),
        // When a process was started, in ticks.
        "at" | "lease" if number && words.contains(&"started") => Some(Kind::Any),
        "-" if number && before(2) == "lesson" => Some(Kind::Pid),
        "9" | "INT" | "KILL" if number && words[0] == "kill" => Some(Kind::Pid),
        "segment" | "id" | "m" if number => Some(Kind::Shmid),
        // Lines of strace: shmget(KEY, ...) = SHMID, shmat(SHMID, ...).
        "=" if number && words[0] == "shmget" => Some(Kind::Shmid),
        "(" if number && ["shmat", "shmctl"].contains(&before(2)) => Some(Kind::Shmid),
        "(" if before(2) == "shmget" => Some(Kind::Key),
        "," if before(2) == "IPC_STAT" => Some(Kind::Any),
        // How old a record is.
        "changed" if after == "ago" => Some(Kind::Any),
        // Whoever runs the programs.
        "uid" if number => Some(Kind::Any),
        "key" | "k" if number => Some(Kind::Key),
        _ if key.is_some_and(|it| it.len() == 8 && is_hexadecimal(it) && it != "00000000") => {
            Some(Kind::Key)
        }
        _ if row_of_ipcs && at == 1 => Some(Kind::Shmid),
        _ if row_of_ipcs && at == 2 => Some(Kind::Any),
        "by" if row_of_list && number => Some(Kind::Pid),
        _ if row_of_list && at == 0 => Some(Kind::Shmid),
        _ if row_of_list && at == 4 => Some(Kind::Any),
        ":" if number && words[0] == "ip" && before(2) == "count" => Some(Kind::Any),
        // The device and the inode, or the shmid.
        ":" if line_of_maps && word.len() <= 3 && is_hexadecimal(word) => Some(Kind::Any),
        _ if line_of_maps && after == ":" && word.len() <= 3 && is_hexadecimal(word) => {
            Some(Kind::Any)
        }
        _ if line_of_maps && (after == "/" || before(1) == "#") && number => Some(Kind::Any),
        _ if is_address(word) => Some(Kind::Address),
        _ => None,
    }
}
