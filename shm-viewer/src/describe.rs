//! What is said of the memory, in sentences that the screen and plain text share.

use common::ConnStat;
use common::clock::local_time;
use common::printable::{Text, shown};
use common::proc::page_size;
use nix::unistd::{Uid, User};
use terminal::advice;

use crate::frame::proof;
use crate::memory::{Memory, Target};
use crate::sharers::{Noted, Sharer};
use crate::state::State;

/// What is shown.
pub(crate) fn title(state: &State) -> String {
    match (&state.memory, &state.target) {
        (Some(Memory::Segment(it)), Target::Id(_)) => format!("segment {}", it.segment.id()),
        (Some(Memory::Segment(it)), target) => format!("segment {}, {target}", it.segment.id()),
        (_, target) => target.to_string(),
    }
}

/// Why there is nothing to see, and what a person can do.
pub(crate) fn nothing(state: &State) -> Vec<String> {
    let Some(error) = &state.missing else { return Vec::new() };
    let mut lines = vec![format!("Nothing to see: {error}.")];
    lines.push(match &state.target {
        target if !target.is_awaited(error) => format!("{}.", advice::on(error)),
        Target::Key(common::sysv::Key::Number(key)) => {
            format!("It is awaited. Start a writer {}", advice::invite_writer(*key))
        }
        Target::File(path) => {
            format!("It is awaited. Start a writer {}", advice::invite_file_writer(&shown(path)))
        }
        _ => String::new(),
    });
    lines
}

/// What is said below the title, one sentence a line.
pub(crate) fn facts(state: &State) -> Vec<String> {
    let Some(memory) = &state.memory else { return Vec::new() };
    let (size, page) = (memory.size(), page_size());
    let pages = size.div_ceil(page);
    let pages =
        format!("{size} bytes, in {pages} page{} of {page}", if pages == 1 { "" } else { "s" });
    let mut facts = Vec::new();
    match (memory, &state.status) {
        (Memory::Segment(_), Some(status)) => {
            let dest =
                if status.marked_for_destruction { "SHM_DEST set" } else { "SHM_DEST not set" };
            let (mode, owner) = (status.mode, &state.owner);
            facts.push(format!("{pages}; mode {mode:04o}, owner {owner}; {dest}"));
            facts.push(nattch(state, status.attached));
            let creator = state.creator.as_ref().map_or(String::new(), Noted::to_string);
            let last = state.last.as_ref().map_or(String::new(), Noted::to_string);
            facts.push(format!("shm_cpid {creator}, shm_lpid {last}"));
            let (attached, detached) = state.last_times();
            let changed = local_time(status.change_time);
            facts.push(format!(
                "shm_atime {}, shm_dtime {}, shm_ctime {changed}",
                time(attached),
                time(detached)
            ));
        }
        (Memory::File(it), _) => {
            facts.push(format!("{pages}; inode {}", it.named.inode()));
            let count = state.sharers.len();
            let unseen = unseen(state);
            facts.push(format!(
                "mapped by {count} of the processes that we see{unseen}; this viewer reads it"
            ));
            if state.missing.is_some() {
                facts.push(
                    "the name has gone: the file goes when nobody has it open or mapped".into(),
                );
            }
        }
        _ => {}
    }
    let frames: Vec<_> = state.sharers.iter().chain(&state.own).map(|it| it.frame).collect();
    facts.push(proof(&frames));
    facts
}

fn nattch(state: &State, attached: u64) -> String {
    let own = if state.own.is_some() || state.no_proc.is_some() {
        ", one of them this viewer"
    } else {
        ""
    };
    match (state.no_proc, state.hidden) {
        (Some(errno), _) => {
            format!("nattch {attached}{own}; /proc, which says whose they are: {errno:?}")
        }
        (None, 0) => format!("nattch {attached}{own}"),
        (None, hidden) => format!("nattch {attached}{own}; {hidden} not seen{}", unseen(state)),
    }
}

fn unseen(state: &State) -> String {
    match state.unseen {
        0 => String::new(),
        1 => " (1 process may not be looked at)".into(),
        more => format!(" ({more} processes may not be looked at)"),
    }
}

/// Where this process has the memory.
pub(crate) fn own(state: &State) -> Option<String> {
    let Some(Memory::Segment(it)) = &state.memory else { return None };
    let pid = std::process::id();
    Some(match state.own.as_ref().and_then(|it| it.lines.first()) {
        Some(line) => format!("this viewer, pid {pid}: {}", range(line)),
        None => format!("this viewer, pid {pid}: from 0x{:x} on, SHM_RDONLY", it.address()),
    })
}

/// Addresses and rights of a mapping.
pub(crate) fn range(line: &common::proc::MapsLine) -> String {
    format!("{:x}-{:x} {}", line.addresses.start, line.addresses.end, line.rights)
}

/// Who a process is.
pub(crate) fn role(state: &State, sharer: &Sharer) -> String {
    let creator = matches!(&state.creator, Some(Noted::Runs(pid, _)) if *pid == sharer.pid);
    format!("{}{}", sharer.role(), if creator { ", creator" } else { "" })
}

/// Frame, and how often nattch counts it.
pub(crate) fn share(state: &State, sharer: &Sharer) -> String {
    let count = sharer.lines.len();
    match state.status {
        Some(_) => format!("{}; counts {count} in nattch", sharer.frame),
        None if count == 1 => sharer.frame.to_string(),
        None => format!("{}; mapped {count} times", sharer.frame),
    }
}

/// What its rights allow.
pub(crate) fn access(sharer: &Sharer) -> &'static str {
    match sharer.role() {
        "writer" => "loads and stores",
        "reader" => "loads only",
        _ => "its stores stay its own",
    }
}

/// The record, decoded, and what is certain about it.
pub(crate) fn record(state: &State) -> String {
    let (Some(memory), Some(loaded)) = (&state.memory, &state.loaded) else { return String::new() };
    let when = format!("loaded at {}", state.looked_at);
    let certain = match loaded.changing {
        true => "changing: no two looks in a row were alike, this may be half old and half new",
        false => "two looks alike",
    };
    let bytes: Option<Vec<u8>> = loaded.bytes.iter().copied().collect();
    match bytes {
        None => "not in memory: nobody has touched the page yet (or it is in swap); a look would change that".into(),
        Some(bytes) if memory.is_record() && bytes.len() == size_of::<ConnStat>() => {
            let count = i32::from_ne_bytes(*bytes.first_chunk().unwrap_or(&[0; 4]));
            let ip = Text::from_c(&bytes[4..]);
            format!("count = {count}, ip = {ip}   ({when}, {certain})")
        }
        Some(_) => format!("{when}, {certain}"),
    }
}

fn time(seconds: i64) -> String {
    if seconds == 0 { "never".into() } else { local_time(seconds) }
}

/// The user's name, or number if it has none.
pub(crate) fn user(uid: u32) -> String {
    let found = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    found.map_or_else(|| format!("uid {uid}"), |it| Text::from_c(it.name.as_bytes()).to_string())
}
