//! A program writes its file anew while others have it mapped. Now and then one of them dies of SIGBUS,
//! or somebody reads half a file.
//!
//! Question: what is still missing for the case that the power fails?

#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::path::Path;

/// Makes `bytes` the contents of `path`, for whoever opens it from now on.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // TODO: this truncates the file and fills it again. Leave the old file to those who have it. What do
    // they have: the name, or the file?
    fs::write(path, bytes)
}

fn main() {
    let error = replace(Path::new("/nowhere/at/all"), b"").expect_err("no such directory");
    println!("Where there is no directory, there is nothing to replace: {error}.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::mapping::RecordFile;
    use common::{ReadOnly, SharedText};
    use lab::{Directory, Ended, Process};
    use std::path::PathBuf;

    const OLD: [u8; 8192] = [b'o'; 8192];
    const NEW: [u8; 100] = [b'n'; 100];

    #[test]
    fn role() {
        let path = || PathBuf::from(lab::argument("FILE"));
        match lab::role().as_str() {
            "reader" => {
                let file = RecordFile::<ReadOnly>::open(&path(), OLD.len()).expect("opened");
                let old = file.map::<SharedText<2048>>().expect("mapped");
                lab::stop_here();
                assert_eq!(old.load().as_bytes(), OLD, "the file that it has mapped");
            }
            "writer" => {
                let path = path();
                lab::one_step_at_a_time(|| replace(&path, &NEW).expect("replaced"));
            }
            _ => {}
        }
    }

    /// A directory with the old file in it.
    fn old_file() -> (Directory, PathBuf) {
        let directory = Directory::new();
        let path = directory.file("settings");
        fs::write(&path, OLD).expect("the old file");
        (directory, path)
    }

    fn start(role: &str, path: &Path) -> Process {
        Process::start(role, &[("FILE", path.to_str().expect("UTF-8"))])
    }

    #[test]
    fn who_has_the_old_file_mapped_keeps_it() {
        let _dog = lab::watchdog(60, "the reader does not end");
        let (directory, path) = old_file();
        let mut reader = start("reader", &path);
        if let Err(ended) = reader.until_stopped() {
            panic!("the reader has not mapped the old file: {ended}");
        }

        replace(&path, &NEW).expect("replaced");

        reader.go_on();
        let ended = reader.end();
        assert!(ended == Ended::Exited(0), "the reader goes on with the old file: {ended}");
        assert!(fs::read(&path).expect("read") == NEW, "who opens it now finds the new one");
        let files = fs::read_dir(directory.path()).expect("listed").count();
        assert!(files == 1, "one file was there before, now there are {files}");
    }

    #[test]
    fn there_is_always_the_old_file_or_the_new_one() {
        let _dog = lab::watchdog(120, "the writer does not end");
        let (directory, path) = old_file();
        let mut writer = start("writer", &path);
        let mut beside = false;
        let files = || fs::read_dir(directory.path()).expect("listed").count();
        let replaced = writer.step_through(|step| match fs::read(&path) {
            Ok(found) => {
                beside = beside || files() > 1;
                let length = found.len();
                assert!(
                    found == OLD || found == NEW,
                    "killed at instruction {step}, the writer leaves a file of {length} bytes, \
                     neither the old one nor the new one"
                );
            }
            Err(error) => {
                panic!("killed at instruction {step}, the writer leaves no file: {error}")
            }
        });
        if let Err(ended) = replaced {
            panic!("the writer has not replaced it: {ended}");
        }
        assert!(fs::read(&path).expect("read") == NEW, "the new file is there in the end");
        assert!(
            beside,
            "the new file was never beside the old one: from another file system rename(2) fails with EXDEV"
        );
    }
}
