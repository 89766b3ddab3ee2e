//! What docs/when-things-go-wrong.md promises, row by row.
//!
//! Each case in its tables is a [`Row`] in one of the modules `wrong_*`, and the macro [`rows`] makes
//! each a test: what the row says is compared with what the real program prints and how it exits. A
//! table shows cases that look the same and have the same cure in one row. What a student hardly ever
//! meets is a test that is not `listed`. The test here compares the document with the rows. So neither
//! can say anything that the other does not.
//! `BLESS=1 cargo test -p e2e wrong` writes the rows into the document.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use e2e::{Outcome, Running, TestKey, program, skip, workspace};
use tempfile::TempDir;

use crate::{
    wrong_arguments, wrong_death, wrong_machine, wrong_pairs, wrong_partner, wrong_signals,
};

/// The key that the document shows; a test puts one of its own in its place.
const KEY: &str = "5678";

/// All that a row may run.
pub(crate) const PROGRAMS: [&str; 7] = [
    "shm-sysv-writer",
    "shm-sysv-reader",
    "shm-sysv-lifecycle",
    "mmap-file-writer",
    "mmap-file-reader",
    "mmap-fork-demo",
    "race-demo",
];

/// The exit status of a program that would go on, and that the test ends with SIGTERM: the person
/// at the terminal sees no such status, so the document does not show it.
pub(crate) const ENDED_BY_TEST: i32 = 128 + 15;

/// One thing that goes wrong: one case in the document, and one test.
pub(crate) struct Row {
    /// The name of the test.
    pub(crate) id: &'static str,
    /// Whether the document shows it. What a student hardly ever meets is tested only, and needs no
    /// cause and no cure.
    pub(crate) listed: bool,
    /// How the test brings it about.
    pub(crate) how: How,
    /// The program, where no line for the shell names it, or where that line does more than a person
    /// would type.
    pub(crate) program: &'static str,
    /// The exit status: 128 + n for signal n.
    pub(crate) status: i32,
    /// What the program prints: a whole line, or an error and its help.
    pub(crate) says: &'static str,
    /// What the person sees, in the person's words, where a line alone does not tell it. The test
    /// brings about just that.
    pub(crate) symptom: &'static str,
    /// Why. The command line or the program is put before it.
    pub(crate) cause: &'static str,
    /// What to do now. The help that the program prints is put before it.
    pub(crate) cure: &'static str,
    /// Whether a file or the key's segment may look different afterwards.
    pub(crate) changes: bool,
}

/// What a test sees when it brings a [`Row`] about.
pub(crate) struct Seen {
    /// The exit status; `None` after a signal that the program did not handle.
    pub(crate) status: Option<i32>,
    /// What the program printed, narration and data.
    pub(crate) printed: String,
}

impl From<Outcome> for Seen {
    fn from(outcome: Outcome) -> Self {
        let status = outcome.shell_status();
        let Outcome { stdout, stderr, .. } = outcome;
        Self { status, printed: format!("{stderr}{stdout}") }
    }
}

/// How a test brings a [`Row`] about.
pub(crate) enum How {
    /// A line for the shell, after another that is not part of what goes wrong.
    Shell { before: &'static str, line: &'static str, within: Within },
    /// Steps that no line of shell can do. `None`: they cannot be done here, which has been said.
    Steps(fn() -> Option<Seen>),
}

/// Where a line for the shell runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// Here.
    Nothing,
    /// A mount namespace of its own.
    Mounts,
    /// An IPC namespace of its own.
    Ipc,
    /// With `sudo -u nobody` for what is to run as another user.
    Nobody,
}

/// `line` goes wrong.
pub(crate) const fn sh(line: &'static str) -> How {
    How::Shell { before: "", line, within: Within::Nothing }
}

/// After `before` has gone well, `line` goes wrong.
pub(crate) const fn after(before: &'static str, line: &'static str) -> How {
    How::Shell { before, line, within: Within::Nothing }
}

/// As [`after`], but somewhere else.
pub(crate) const fn inside(within: Within, before: &'static str, line: &'static str) -> How {
    How::Shell { before, line, within }
}

impl Row {
    /// What a row need not say.
    pub(crate) const DEFAULT: Self = Self {
        id: "",
        listed: true,
        how: sh(""),
        program: "",
        status: 1,
        says: "",
        symptom: "",
        cause: "",
        cure: "",
        changes: false,
    };

    /// Brings it about, and compares what happens with what the row shows.
    pub(crate) fn check(&self) {
        let outcome = match self.how {
            How::Shell { before, line, within } => self.shell(before, line, within),
            How::Steps(steps) => steps(),
        };
        let Some(Seen { status, printed }) = outcome else { return };
        let (id, says) = (self.id, self.says);
        assert!(
            normalised(&printed).contains(&format!("\n{says}\n")),
            "{id}: the row shows\n{says}\nand the program printed\n{printed}"
        );
        assert_eq!(status, Some(self.status), "{id}: {printed}");
        assert!(!printed.contains("panicked"), "{id}: {printed}");
    }

    fn shell(&self, before: &str, line: &str, within: Within) -> Option<Seen> {
        let folder = Folder::new();
        let key = TestKey::new();
        let [before, line] = [before, line].map(|text| text.replace(KEY, &key.arg()));
        let namespace = match within {
            Within::Nothing => None,
            Within::Nobody => {
                folder.let_nobody_run(&line)?;
                None
            }
            Within::Mounts => Some(namespace("-m", "mount -t tmpfs tmpfs /mnt")?),
            Within::Ipc => Some(namespace("-i", "echo 9 > /proc/sys/kernel/shmmni")?),
        };
        if let Some(unshare) = namespace {
            // What it does to files and segments there is gone with the namespace.
            let script = format!("set -e\n{before}\nset +e\n{line}");
            assert!(!script.contains('\''), "{}: the script is quoted with '", self.id);
            return Some(folder.shell(&format!("{unshare} sh -c '{script}'")).into());
        }
        let prepared = folder.shell(&before);
        assert!(prepared.status.success(), "{}: {before}: {prepared:#?}", self.id);
        let (files, segment) = (folder.files(), segment_lines(&key));
        let outcome = folder.shell(&line);
        if !self.changes {
            assert_eq!(folder.files(), files, "{}: {outcome:#?}", self.id);
            assert_eq!(segment_lines(&key), segment, "{}: {outcome:#?}", self.id);
        }
        Some(outcome.into())
    }

    /// What the person sees: the line, unless it says nothing, and the status, unless the line tells
    /// it (see the head of the document).
    fn symptom(&self) -> String {
        let (says, help) = self.says.split_once("\n  help: ").unwrap_or((self.says, ""));
        let told = match (says.starts_with("error: "), help) {
            (true, "") => 2,
            (true, _) => 1,
            (false, _) => 0,
        };
        let shown = match self.symptom {
            "" => format!("`` {says} ``"),
            symptom => capitalised(symptom),
        };
        match self.status {
            ENDED_BY_TEST => shown,
            status if status == told => shown,
            status => format!("{shown} (status {status})"),
        }
    }

    /// Where it happens: the command line, or else the program.
    fn place(&self) -> String {
        match (self.program, &self.how) {
            ("", How::Steps(_)) => panic!("{}: no program", self.id),
            // What is done to a namespace is no command for a person: the cause says what is so there.
            ("", How::Shell { before: "", line, .. })
            | ("", How::Shell { line, within: Within::Mounts | Within::Ipc, .. }) => typed(line),
            ("", How::Shell { before, line, .. }) => typed(&format!("{before}; {line}")),
            (program, _) => {
                assert!(PROGRAMS.contains(&program), "{}: {program}", self.id);
                format!("`{program}`")
            }
        }
    }

    fn cure(&self) -> String {
        let help = self.says.split_once("\n  help: ").map_or("", |(_, help)| help);
        match (help, self.cure) {
            ("", cure) => capitalised(cure),
            (help, "") => capitalised(help),
            (help, cure) => format!("{}. {}", capitalised(help), capitalised(cure)),
        }
    }
}

/// A line for the shell, as a person types it in the workspace.
fn typed(line: &str) -> String {
    let commands = line.split("; ").map(|command| {
        let (who, command) = match command.strip_prefix("sudo -u nobody ") {
            Some(command) => ("another user: ", command),
            None => ("", command),
        };
        let (name, arguments) = command.split_once(' ').unwrap_or((command, ""));
        match PROGRAMS.contains(&name) {
            true => format!("{who}`` {} ``", terminal::advice::command(name, arguments)),
            false => format!("{who}`` {command} ``"),
        }
    });
    commands.collect::<Vec<_>>().join(", then ")
}

/// A row of a table: cases that look the same and have the same cure.
struct Shown {
    symptom: String,
    cure: String,
    /// One below the other in the row: a cause, and side by side before it where it strikes.
    causes: Vec<(Vec<String>, &'static str)>,
}

/// The rows of a table, each case in one of them.
fn render(cases: &[Row]) -> String {
    let mut rows: Vec<Shown> = Vec::new();
    for case in cases.iter().filter(|it| it.listed) {
        let (symptom, place, cure) = (case.symptom(), case.place(), case.cure());
        assert!(!cure.is_empty(), "{}: no cure", case.id);
        let same = rows.iter_mut().find(|row| row.symptom == symptom && row.cure == cure);
        let Some(Shown { causes, .. }) = same else {
            rows.push(Shown { symptom, cure, causes: vec![(vec![place], case.cause)] });
            continue;
        };
        match causes.iter_mut().find(|(_, cause)| *cause == case.cause) {
            // Then the document would not show that there are two.
            Some((places, _)) if places.contains(&place) => panic!("{}: said twice", case.id),
            Some((places, _)) => places.push(place),
            None => causes.push((vec![place], case.cause)),
        }
    }
    let line = |(places, cause): (Vec<String>, &str)| match cause {
        "" => places.join(", "),
        cause => format!("{}: {cause}", places.join(", ")),
    };
    let row = |Shown { symptom, cure, causes }| {
        let causes: Vec<_> = causes.into_iter().map(line).collect();
        let cells = [symptom, causes.join("<br>"), cure];
        let cells = cells.map(|it: String| it.replace('|', "\\|").replace('\n', "; "));
        format!("| {} |\n", cells.join(" | "))
    };
    rows.into_iter().map(row).collect()
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Makes each row a test of that name, and all of them `ROWS`.
macro_rules! rows {
    ($($id:ident { $($field:ident: $value:expr),* $(,)? })*) => {
        #[allow(clippy::needless_update, reason = "some rows say it all")]
        pub(crate) const ROWS: &[$crate::wrong::Row] = &[$(
            $crate::wrong::Row {
                id: stringify!($id), $($field: $value,)* ..$crate::wrong::Row::DEFAULT
            },
        )*];
        $(#[test]
        fn $id() {
            ROWS.iter().find(|row| row.id == stringify!($id)).expect("a row").check();
        })*
    };
}
pub(crate) use rows;

/// A directory of a test's own, where its shell starts.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program `name`, to be started in this directory. It does not ignore signals that whoever
    /// runs the tests ignores, as a shell does with the SIGINT of what it starts in the background.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new("env");
        command.args(["--default-signal=INT,TERM,HUP,CHLD", "RUST_BACKTRACE=0"]);
        command.arg(program(name).get_program()).current_dir(self.0.path());
        command
    }

    /// Runs a line of shell that finds the programs, and `sudo` if [`Folder::let_nobody_run`] has
    /// put one there.
    fn shell(&self, line: &str) -> Outcome {
        let programs = program("shm-sysv-writer").get_program().to_owned();
        let programs = Path::new(&programs).parent().expect("a directory").to_owned();
        let (ours, path) = (self.path(".bin"), env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("env");
        shell.args(["--default-signal=INT,TERM,HUP,CHLD", "RUST_BACKTRACE=0", "LC_ALL=C"]);
        shell.arg(format!("PATH={}:{}:{path}", ours.display(), programs.display()));
        shell.args(["sh", "-c", &format!("umask 022\n{line}")]).current_dir(self.0.path());
        Running::start(&mut shell).finish()
    }

    /// Puts the programs that `line` names where any user may run them, and a `sudo` that knows
    /// `-u nobody` and needs no setting up.
    fn let_nobody_run(&self, line: &str) -> Option<()> {
        let open = |path: &Path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("our own file");
        };
        let bin = self.path(".bin");
        fs::create_dir(&bin).expect("a directory");
        for name in PROGRAMS.iter().filter(|name| line.contains(*name)) {
            let (from, to) = (program(name).get_program().to_owned(), bin.join(name));
            // A copy takes 15 MB, so only where a second name does not do.
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).expect("a copy");
        }
        let sudo = bin.join("sudo");
        let setpriv = "exec setpriv --reuid=65534 --regid=65534 --clear-groups";
        fs::write(&sudo, format!("#!/bin/sh\nshift 2\n{setpriv} \"$@\"\n")).expect("a script");
        [self.0.path(), &bin, &sudo].into_iter().for_each(open);
        if self.shell("sudo -u nobody ls .bin").status.success() {
            return Some(());
        }
        skip("no right to start a program as another user: run the tests as root");
        None
    }

    /// What is in the directory: names, kinds, permissions, contents, times.
    fn files(&self) -> BTreeMap<PathBuf, String> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(self.0.path()).expect("our directory") {
            let path = entry.expect("an entry").path();
            let it = fs::symlink_metadata(&path).expect("an entry");
            let special = it.file_type().is_fifo() || it.file_type().is_socket();
            let contents = if special { Vec::new() } else { fs::read(&path).unwrap_or_default() };
            // A directory's time changes with what is in it, such as an unnamed file that comes and goes.
            let time = if it.is_dir() { 0 } else { it.mtime_nsec() };
            let text = format!("{:o} {} {time} {contents:?}", it.mode(), it.ino());
            files.insert(path, text);
        }
        files
    }
}

/// The kernel's line on the segment under `key`, without what its memory takes up.
fn segment_lines(key: &TestKey) -> Vec<String> {
    let list = fs::read_to_string("/proc/sysvipc/shm").expect("the kernel's list of segments");
    let of_key = |line: &&str| line.split_whitespace().next() == Some(&key.arg());
    let fields = |line: &str| line.split_whitespace().take(14).collect::<Vec<_>>().join(" ");
    list.lines().filter(of_key).map(fields).collect()
}

/// A command that runs a shell in a new namespace, if `probe` works there.
fn namespace(flag: &'static str, probe: &str) -> Option<String> {
    for unshare in [format!("unshare {flag}"), format!("unshare -r {flag}")] {
        let mut command = Command::new("sh");
        let probing = command.args(["-c", &format!("{unshare} sh -c '{probe}'")]);
        if probing.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Some(unshare);
        }
    }
    skip(&format!("no right to make a namespace: `unshare {flag}` fails"));
    None
}

/// What a program printed, as the document shows it: numbers that are others each time are `N`, and
/// the test's key is the document's.
fn normalised(printed: &str) -> String {
    let mut shown = String::from("\n");
    let mut before = "";
    for word in printed.split_inclusive([' ', '\n']) {
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        let is_test_key = word.trim_start_matches('(').starts_with("0x5e");
        match before.trim_end() {
            "segment" | "pid" | "child" | "-m" | "--id" | "-CONT" if digits > 0 => {
                shown.push('N');
                shown.push_str(&word[digits..]);
            }
            "changed" if digits > 0 => shown.push_str("N "),
            "key" if digits > 0 => shown.push_str(&format!("{KEY}{}", &word[digits..])),
            _ if is_test_key && word.starts_with('(') => {
                shown.push_str(&format!("(0x0000162e{}", &word[11..]));
            }
            _ if is_test_key => shown.push_str(&format!("0x162e{}", &word[10..])),
            _ => shown.push_str(word),
        }
        before = word;
    }
    shown
}

/// The tables of the document, by the name in its marks.
const TABLES: [(&str, &[Row]); 6] = [
    ("arguments", wrong_arguments::ROWS),
    ("partner", wrong_partner::ROWS),
    ("machine", wrong_machine::ROWS),
    ("signals", wrong_signals::ROWS),
    ("death", wrong_death::ROWS),
    ("pairs", wrong_pairs::ROWS),
];

#[test]
fn the_document_shows_the_rows_and_no_others() {
    let path = workspace().join("docs/when-things-go-wrong.md");
    let document = fs::read_to_string(&path).expect("the document");
    let mut expected = document.clone();
    for (name, rows) in TABLES {
        let table = render(rows);
        let table = format!("\n| Symptom | Cause | Cure |\n| --- | --- | --- |\n{table}\n");
        expected = with_part(&expected, name, &table);
    }
    let marks = document.matches("<!-- made from ").count();
    assert_eq!(marks, TABLES.len(), "a part of the document that no test makes");
    if document == expected {
        return;
    }
    let only_in = |one: &str, other: &str| {
        let lines = one.lines().filter(|line| !other.lines().any(|it| it == *line));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let (removed, added) = (only_in(&document, &expected), only_in(&expected, &document));
    let report = format!("only in the document:\n{removed}only in the rows:\n{added}");
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &expected).expect("the document");
        // What was written by hand is lost, so it is shown.
        skip(&format!("the comparison of the document with the rows, which replace it; {report}"));
        return;
    }
    panic!(
        "{report}The tables of docs/when-things-go-wrong.md are made from the rows in \
         checks/e2e/tests/suite/wrong_*.rs: write them there, and then \
         `BLESS=1 cargo test -p e2e --test suite wrong`"
    );
}

/// The document with `text` between the marks of the part `name`.
fn with_part(document: &str, name: &str, text: &str) -> String {
    let (begin, end) =
        (format!("<!-- made from {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let (_, behind) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    format!("{before}{begin}{text}{end}{behind}")
}
