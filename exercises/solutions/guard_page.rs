//! A buffer in whole pages. A store behind its end goes unnoticed, until somebody else wonders who has
//! changed his data.
//!
//! Question: which wrong accesses does the solution not catch?
//!
//! Answer: a store before the first word, which may hit the rest of its page; one that skips the whole
//! guard page; and a wrong index that lies inside. And it costs a page of address space a buffer, and two
//! calls. Tools such as AddressSanitizer put guards around every block and check each access instead.

#![forbid(unsafe_code)]

use common::Result;
use common::mapping::Region;
use common::proc::page_size;
use nix::sys::mman::{MapFlags, ProtFlags};

/// Words, of which none can be accessed behind the last one.
struct Buffer {
    pages: Region,
    /// Where the first word is: its offset in the pages, in bytes.
    start: usize,
}

impl Buffer {
    fn new(words: usize) -> Result<Self> {
        let bytes = 4 * words;
        let page = page_size();
        // Room for the words, and one page more.
        let room = bytes.next_multiple_of(page);
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let pages =
            Region::map(room + page, rights, MapFlags::MAP_SHARED | MapFlags::MAP_ANONYMOUS, None)?;
        // The kernel protects whole pages: from here on, every access is a SIGSEGV.
        pages.protect(room, page, ProtFlags::PROT_NONE)?;
        // So the last word must be the last one of its page. What the page has too much lies in front.
        let start = room - bytes;
        Ok(Self { pages, start })
    }

    fn load(&self, index: usize) -> u32 {
        self.pages.load(self.start + 4 * index)
    }

    fn store(&self, index: usize, value: u32) {
        self.pages.store(self.start + 4 * index, value);
    }
}

fn main() {
    let buffer = Buffer::new(25).expect("a buffer");
    buffer.store(24, 7);
    println!(
        "25 words are {} bytes of a page of {}. Word 24: {}",
        100,
        page_size(),
        buffer.load(24)
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Process};
    use nix::sys::signal::Signal;

    #[test]
    fn role() {
        let role = lab::role();
        if role.is_empty() {
            return;
        }
        let [words, index] =
            ["WORDS", "INDEX"].map(|name| lab::argument(name).parse().expect("a number"));
        let buffer = Buffer::new(words).expect("a buffer");
        match role.as_str() {
            "store" => {
                buffer.store(index, 7);
                assert_eq!(buffer.load(index), 7);
            }
            _ => assert_eq!(buffer.load(index), 0),
        }
    }

    fn access(role: &str, words: usize, index: usize) -> Ended {
        let arguments = [("WORDS", &*words.to_string()), ("INDEX", &index.to_string())];
        Process::start(role, &arguments).end()
    }

    #[test]
    fn a_word_too_many_is_the_end() {
        let _dog = lab::watchdog(60, "the process does not end");
        for words in [25, 1, 1024, 1025, 5000] {
            for role in ["store", "load"] {
                let ended = access(role, words, words);
                assert!(
                    ended == Ended::Killed(Signal::SIGSEGV),
                    "{role} of word {words} of a buffer of {words} should be a SIGSEGV, and {ended}"
                );
            }
        }
    }

    #[test]
    fn all_words_are_there() {
        let _dog = lab::watchdog(60, "the process does not end");
        for words in [25, 1, 1024, 1025, 5000] {
            for index in [0, words - 1] {
                let ended = access("store", words, index);
                assert!(
                    ended == Ended::Exited(0),
                    "store to word {index} of a buffer of {words}: {ended}"
                );
            }
        }
    }
}
