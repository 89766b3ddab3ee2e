//! What has become of a file, by its name: stat(2).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use crate::proc::MapsLine;

/// A file that was opened by its name, and perhaps closed since.
#[derive(Debug, Clone)]
pub struct NamedFile {
    pub(super) path: PathBuf,
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: usize,
}

/// What has become of a [`NamedFile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameState {
    /// The name leads to the same file, of the same size.
    Same,
    /// Nothing has this name any more, or nothing that we may look at.
    Removed,
    /// The name leads to another file.
    Replaced,
    /// The same file, with so many bytes now.
    Resized(u64),
}

impl NamedFile {
    /// Looks where the name leads now: stat(2).
    #[must_use]
    pub fn state(&self) -> NameState {
        match fs::metadata(&self.path) {
            Err(_) => NameState::Removed,
            Ok(it) if (it.dev(), it.ino()) != (self.device, self.inode) => NameState::Replaced,
            Ok(it) if it.len() != self.size as u64 => NameState::Resized(it.len()),
            Ok(_) => NameState::Same,
        }
    }

    /// The inode number.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Whether a line of /proc/PID/maps is about this file, whatever its name is now.
    ///
    /// Some file systems, such as btrfs and overlayfs, show another device there than stat(2) gives.
    /// So the name counts too, if the inode is the same.
    #[must_use]
    pub fn is_mapped_by(&self, line: &MapsLine) -> bool {
        let device = format!("{:02x}:{:02x}", major(self.device), minor(self.device));
        let name = line.name.strip_suffix(" (deleted)").unwrap_or(&line.name);
        line.inode == self.inode && (line.device == device || Path::new(name) == self.path)
    }

    /// The name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::makedev;

    #[test]
    fn a_mapping_is_known_by_its_inode_and_by_its_device_or_name() {
        let path = PathBuf::from("/tmp/a file");
        let file = NamedFile { path, device: makedev(0xfe, 0x1), inode: 27, size: 4096 };
        let is_mapped_by = |what: &str| {
            let line = format!("7000-8000 rw-s 00000000 {what}");
            file.is_mapped_by(&MapsLine::parse(&line).expect("a line"))
        };
        assert!(is_mapped_by("fe:01 27 /tmp/a file"));
        assert!(is_mapped_by("fe:01 27 /tmp/renamed"));
        // As btrfs and overlayfs show it.
        assert!(is_mapped_by("00:2a 27 /tmp/a file"));
        assert!(is_mapped_by("00:2a 27 /tmp/a file (deleted)"));
        assert!(!is_mapped_by("00:2a 27 /tmp/another"));
        assert!(!is_mapped_by("fe:01 28 /tmp/a file"), "it has taken the file's place");
    }
}
