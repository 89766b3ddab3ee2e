//! The memory that is shown: found, attached for loads only or opened, and looked at.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::mapping::{NamedFile, RecordFile};
use common::printable::shown;
use common::proc::{MapsLine, page_size};
use common::sync::futex;
use common::sysv::{Attachment, Key, Segment, Status};
use common::{ConnStat, Error, ReadOnly, SharedU32};
use nix::errno::Errno;

/// What the person wants to see.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Key(Key),
    Id(i32),
    File(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Id(id) => write!(f, "segment {id}"),
            Self::File(path) => write!(f, "file {}", shown(path)),
        }
    }
}

/// The memory, as this process sees it.
#[derive(Debug)]
pub(crate) enum Memory {
    Segment(Attached),
    File(Opened),
}

/// A segment, attached for loads only.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) segment: Segment,
    /// What the kernel said of it before this process attached it.
    pub(crate) before: Status,
    words: Attachment<[SharedU32], ReadOnly>,
}

/// A file, opened for reading. It is not mapped: a load behind the end that ftruncate(2) gave it would be a
/// SIGBUS, and a load from a hole would allocate a page. read(2) sees the same page cache.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: RecordFile<ReadOnly>,
    pub(crate) named: NamedFile,
}

/// What one look has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// Where the bytes begin.
    pub(crate) offset: usize,
    /// `None` for a byte of a page that is not in memory, or behind the end.
    pub(crate) bytes: Vec<Option<u8>>,
    /// Whether no two looks in a row were alike: then the bytes may be of two publications.
    pub(crate) changing: bool,
}

impl Target {
    /// Finds the memory and gets at it. Nothing is created.
    pub(crate) fn open(&self) -> Result<Memory, Error> {
        let segment = match self {
            Self::File(path) => {
                let path = path.canonicalize().unwrap_or_else(|_| path.clone());

                // open(2): open the file for reading only.
                let file = RecordFile::<ReadOnly>::open_any(&path)?;
                let named = file.named()?;
                return Ok(Memory::File(Opened { file, named }));
            }
            // shmget(2): find the segment.
            Self::Key(key) => Segment::find(*key)?,
            // shmctl(2), IPC_STAT: whoever knows the shmid needs no shmget.
            Self::Id(id) => Segment::from_id(*id)?,
        };
        // Attaching changes shm_lpid and shm_atime, so ask first.
        let before = segment.status()?;

        // shmat(2), SHM_RDONLY: attach it, to load from only.
        let words = segment.attach_words::<ReadOnly>()?;
        Ok(Memory::Segment(Attached { segment, before, words }))
    }

    /// Whether somebody may still make what is not there.
    pub(crate) fn is_awaited(&self, error: &Error) -> bool {
        error.errno() == Some(Errno::ENOENT) && !matches!(self, Self::Id(_))
    }
}

impl Memory {
    /// Bytes, as asked for.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Segment(it) => it.segment.size(),
            Self::File(it) => it.file.size(),
        }
    }

    /// Whether it is as large as the record, and so most likely is one.
    pub(crate) fn is_record(&self) -> bool {
        self.size() == size_of::<ConnStat>()
    }

    /// The segment, if it is one.
    pub(crate) fn segment(&self) -> Option<&Segment> {
        match self {
            Self::Segment(it) => Some(&it.segment),
            Self::File(_) => None,
        }
    }

    /// Whether a line of /proc/PID/maps, of a process in this IPC namespace, is about this memory.
    pub(crate) fn is_mapped_by(&self, line: &MapsLine) -> bool {
        match self {
            Self::Segment(it) => line.shmid() == Some(it.segment.id()),
            Self::File(it) => it.named.is_mapped_by(line),
        }
    }

    /// What all those lines have in them.
    pub(crate) fn mark_in_maps(&self) -> String {
        match self {
            Self::Segment(it) => format!(" {} ", it.segment.id()),
            Self::File(it) => format!(" {} ", it.named.inode()),
        }
    }

    /// Looks at the bytes of `window`, until two looks in a row are alike.
    pub(crate) fn load(&self, window: Range<usize>) -> Loaded {
        const LOOKS: usize = 4;
        let offset = window.start;
        let mut bytes = self.look(window.clone());
        for _ in 1..LOOKS {
            let again = self.look(window.clone());
            if again == bytes {
                return Loaded { offset, bytes, changing: false };
            }
            bytes = again;
        }
        Loaded { offset, bytes, changing: true }
    }

    fn look(&self, window: Range<usize>) -> Vec<Option<u8>> {
        let window = window.start.min(self.size())..window.end.min(self.size());
        match self {
            Self::Segment(it) => it.load(window),
            Self::File(it) => {
                let mut bytes = vec![0; window.len()];
                let there = it.file.read_at(&mut bytes, window.start as u64).unwrap_or(0);
                let byte = |(at, byte)| (at < there).then_some(byte);
                bytes.into_iter().enumerate().map(byte).collect()
            }
        }
    }

    /// Sleeps until the first word is another than that in `seen`, or `patience` is over. Returns
    /// whether it is. A file is not mapped here, so there is nothing to sleep on: `None`.
    pub(crate) fn wait_for_change(&self, seen: &Loaded, patience: Duration) -> Option<bool> {
        let Self::Segment(it) = self else { return None };
        let first: Option<Vec<u8>> = seen.bytes.iter().take(4).copied().collect();
        let first = u32::from_ne_bytes(*first?.first_chunk().filter(|_| seen.offset == 0)?);
        // futex(2), FUTEX_WAIT: possible on read-only pages. Who counts wakes us, unless it is in C.
        futex::wait(&it.words[0], first, patience);
        Some(it.words[0].load(Ordering::Relaxed) != first)
    }
}

impl Attached {
    /// Where this process has it.
    pub(crate) fn address(&self) -> usize {
        self.words.address().as_ptr().addr()
    }

    fn load(&self, window: Range<usize>) -> Vec<Option<u8>> {
        let mut bytes = Vec::with_capacity(window.len());
        let mut page = (usize::MAX, false);
        let mut at = window.start;
        while at < window.end {
            if page.0 != at / page_size() {
                // A load from a page that nobody has touched would have the kernel find memory for
                // it: that would be a change.
                page = (at / page_size(), self.words.is_resident(at).unwrap_or(true));
            }
            // Pairs with `increment` in the writers: who sees a count sees the text stored before it.
            let word = page.1.then(|| self.words[at / 4].load(Ordering::Acquire).to_ne_bytes());
            let word = word.map_or([None; 4], |it| it.map(Some));
            let end = (at - at % 4 + 4).min(window.end);
            bytes.extend(&word[at % 4..at % 4 + (end - at)]);
            at = end;
        }
        bytes
    }
}
