//! What has become of a file, by its name: stat(2).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

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

    /// The name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
