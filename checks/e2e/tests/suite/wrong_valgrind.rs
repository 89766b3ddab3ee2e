//! valgrind's memcheck finds no error in any program, its children included.
//!
//! That takes long, so a normal run looks at the program with a child only. The environment variable
//! `VALGRIND` asks for all of them.

use std::env;
use std::process::{Command, Stdio};

use e2e::{Running, TestKey, program, skip_without};

use crate::wrong::Folder;

#[test]
fn valgrind_finds_no_error_in_any_program() {
    let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        return skip_without("valgrind", "errors that valgrind finds");
    }
    let (folder, key) = (Folder::new(), TestKey::new());
    let key = key.arg();
    let runs: [(&str, &[&str]); 6] = [
        ("shm-sysv-writer", &["-k", &key, "-n", "3", "-i", "0s"]),
        ("shm-sysv-reader", &["-k", &key, "-n", "3", "-i", "0s"]),
        ("mmap-file-writer", &["f", "-n", "3", "-i", "0s"]),
        ("mmap-file-reader", &["f", "-n", "3", "-i", "0s", "--wait", "0s"]),
        ("mmap-fork-demo", &["--delay", "0s"]),
        // Far from where valgrind has its own memory.
        ("shm-sysv-lifecycle", &["--address", "0x700000000000"]),
    ];
    let all = env::var_os("VALGRIND").is_some();
    for (name, args) in runs.into_iter().filter(|(name, _)| all || *name == "mmap-fork-demo") {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["-q", "--leak-check=full", "--error-exitcode=99", "--trace-children=yes"]);
        // For gdb it would share a page, and a program with pages of others does not fork.
        valgrind.arg("--vgdb=no");
        valgrind.arg(program(name).get_program()).args(args).current_dir(folder.path(""));
        let outcome = Running::start(&mut valgrind).finish().exited(0);
        assert!(!outcome.stderr.contains("=="), "{outcome:#?}");
    }
}
