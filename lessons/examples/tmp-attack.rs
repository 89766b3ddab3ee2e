//! In /tmp others can be there first. What they have planted, and which flags of open(2) see it.
//!
//! ```text
//! cargo run -p lessons --example tmp-attack
//! ```
//!
//! predict: the name of your file is a link to a file that is dear to you. What does O_CREAT | O_TRUNC do?

#![forbid(unsafe_code)]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};

use common::Result;
use lessons::{On as _, answer, in_own_tmp};
use nix::libc::{O_CREAT, O_EXCL, O_NOFOLLOW, O_TRUNC};
use nix::unistd::{Uid, setuid};
use terminal::ended::in_child;

fn main() -> Result<()> {
    in_own_tmp(attack)
}

fn attack() -> Result<()> {
    fs::write("dear", "to me").on("write", "dear")?;
    symlink("dear", "link").on("symlink", "link")?;
    symlink("nowhere", "dangling").on("symlink", "dangling")?;
    fs::write("planted", "with mode 0666").on("write", "planted")?;

    // O_EXCL: it must be new, and a link is something, wherever it leads. O_NOFOLLOW is for a file that
    // may be there, and no link. It does not see a planted file: ask fstat(2) for the owner.
    for name in ["dangling", "planted", "link"] {
        println!("{name}: O_EXCL {}, O_NOFOLLOW {}", open(name, O_EXCL), open(name, O_NOFOLLOW));
    }
    println!("link: O_TRUNC {}", open("link", O_TRUNC));
    println!("the dear file: {:?}", fs::read_to_string("dear").unwrap_or_default());
    let opened = open("dangling", 0);
    println!("dangling: O_CREAT {opened}, a file there: {}", fs::metadata("nowhere").is_ok());

    // The sticky bit (01000): only the owner of a file may remove or rename it.
    for mode in [0o1777, 0o777] {
        fs::set_permissions(".", Permissions::from_mode(mode)).on("chmod", "the directory")?;
        in_child(|| as_stranger(&format!("mode {mode:04o}: unlink by a stranger")))?;
    }
    Ok(())
}

fn as_stranger(what: &str) -> Result<()> {
    if !Uid::effective().is_root() || setuid(Uid::from_raw(65534)).is_err() {
        eprintln!("skipped: {what}: only root can be somebody else");
        return Ok(());
    }
    println!("{what}: {}", answer(&fs::remove_file("dear").on("unlink", "dear")));
    Ok(())
}

fn open(name: &str, flags: i32) -> String {
    let flags = O_CREAT | flags;
    answer(&File::options().write(true).mode(0o600).custom_flags(flags).open(name).on("open", name))
}
