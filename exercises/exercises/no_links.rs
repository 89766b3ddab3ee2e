//! A program makes its file in a directory where everybody may make files, such as /tmp. Somebody has
//! been there before, and planted a link of that name to a file of yours.
//!
//! Question: what does the sticky bit of /tmp and /dev/shm protect, and what not?

#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the new file `path`, which only we can open, for reading and writing.
fn create(path: &Path) -> io::Result<File> {
    // TODO: `File::create` opens what is there, and follows links. Look at std::fs::OpenOptions, and at
    // std::os::unix::fs::OpenOptionsExt for the mode.
    File::create(path)
}

fn main() {
    let error = create(Path::new("/dev/shm/")).expect_err("a directory");
    println!("Where something is already, there is nothing to make: {error}.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Directory, Process, Reached};
    use nix::sys::stat::{Mode, umask};
    use std::fs;
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    /// What somebody has planted under the name of our file must be refused, and stay as it is.
    fn plant(what: &str, plant: impl FnOnce(&Path, &Path)) {
        let directory = Directory::new();
        let (planted, victim) = (directory.file("ours"), directory.file("victim"));
        fs::write(&victim, "precious").expect("the victim's file");
        plant(&planted, &victim);

        let made = create(&planted);

        let precious = fs::read(&victim).is_ok_and(|it| it == b"precious");
        assert!(precious, "{what}: the file that it leads to is no longer what it was");
        assert!(made.is_err(), "{what}: `create` takes it for its own new file");
        let files = fs::read_dir(directory.path()).expect("listed").count();
        assert!(files == 2, "{what}: two files were there, and now there are {files}");
    }

    #[test]
    fn a_link_to_a_file_is_not_followed() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        plant("a link", |planted, victim| symlink(victim, planted).expect("planted"));
    }

    #[test]
    fn a_link_to_nowhere_makes_no_file_there() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        plant("a link to nowhere", |planted, victim| {
            symlink(victim.with_extension("none"), planted).expect("planted");
        });
    }

    #[test]
    fn a_file_of_somebody_else_is_not_taken() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        plant("a file that all may write", |planted, _| {
            fs::write(planted, "").expect("planted");
            fs::set_permissions(planted, fs::Permissions::from_mode(0o666)).expect("chmod");
        });
    }

    /// With what status the maker exits if there is something of that name.
    const REFUSED: i32 = 200;

    #[test]
    fn role() {
        if lab::role() == "maker" {
            let path = lab::argument("FILE");
            // Without a umask the mode is what we say, and nothing else helps.
            umask(Mode::empty());
            lab::one_step_at_a_time(|| {
                let Err(error) = create(path.as_ref()) else { return };
                let refused = error.kind() == io::ErrorKind::AlreadyExists;
                std::process::exit(if refused {
                    REFUSED
                } else {
                    error.raw_os_error().unwrap_or(1)
                });
            });
        }
    }

    #[test]
    fn nobody_else_can_open_it_at_any_moment() {
        let _dog = lab::watchdog(60, "the maker does not end");
        let directory = Directory::new();
        let path = directory.file("ours");
        let mut maker = Process::start("maker", &[("FILE", path.to_str().expect("UTF-8"))]);
        let made = maker.step_through(|step| {
            // After the call it is there, and before it is not.
            if let Ok(file) = fs::symlink_metadata(&path) {
                let mode = file.mode() & 0o777;
                assert!(
                    mode & 0o077 == 0,
                    "at instruction {step} the file has mode {mode:03o}: others can open it"
                );
            }
        });
        if let Err(ended) = made {
            panic!("the maker has not made it: {ended}");
        }
        let mode = fs::metadata(&path).expect("the file").mode() & 0o777;
        assert!(mode == 0o600, "we need 600 to read and write, and nobody else: it is {mode:03o}");
    }

    /// Somebody plants a link after the first instruction of `create`; and again, after 20 more; and so on,
    /// until our file was there before the link.
    #[test]
    fn nobody_comes_in_between() {
        let _dog = lab::watchdog(240, "the maker does not end");
        for instruction in (1..).step_by(20) {
            let directory = Directory::new();
            let (path, victim) = (directory.file("ours"), directory.file("victim"));
            fs::write(&victim, "precious").expect("the victim's file");
            let mut maker = Process::start("maker", &[("FILE", path.to_str().expect("UTF-8"))]);
            let reached = maker.steps(instruction).expect("the maker is on its way");
            if reached == Reached::End || symlink(&victim, &path).is_err() {
                break;
            }
            let refused = maker.run_on(libc::SYS_pause).is_err();
            let precious = fs::read(&victim).is_ok_and(|it| it == b"precious");
            assert!(
                refused && precious,
                "a link was planted after instruction {instruction} of `create`, which takes what it leads to \
                 for its own new file"
            );
        }
    }

    #[test]
    fn it_can_be_written_and_read() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let directory = Directory::new();
        let mut file = create(&directory.file("ours")).expect("a new file");
        file.write_all(b"hello").expect("written");
        file.rewind().expect("lseek");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("read");
        assert!(text == "hello", "hello was written, and {text:?} is read");
    }
}
