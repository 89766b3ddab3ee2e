//! Says it when somebody removes or replaces what a program uses.

use std::time::Duration;

use common::SharedConnStat;
use common::mapping::{NameState, NamedFile, RecordFile};
use common::printable::shown;
use common::proc::segments;
use common::shared::Access;
use common::sysv::{Segment, Status};

use crate::advice::{command, invite_writer};
use crate::args::human;
use crate::person::Terminal;

/// Tells the person what has become of a segment or a file, once for each change.
pub struct Watch<F> {
    look: F,
    told: Option<String>,
}

impl<F: Fn() -> Option<String>> Watch<F> {
    /// A watch that looks with `look`: `None` as long as all is as it was.
    pub fn new(look: F) -> Self {
        Self { look, told: None }
    }

    /// Looks, and says what is new.
    pub fn tell(&mut self, terminal: &mut Terminal) {
        let now = (self.look)();
        if now != self.told {
            if let Some(line) = &now {
                terminal.say(line);
            }
            self.told = now;
        }
    }
}

impl<F> std::fmt::Debug for Watch<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("told", &self.told).finish_non_exhaustive()
    }
}

/// What others have done to a segment while this process uses it: `None` for nothing.
#[must_use]
pub fn removal(segment: &Segment) -> Option<String> {
    let id = segment.id();
    match segment.status() {
        Ok(Status { marked_for_destruction: false, .. }) => None,
        Ok(_) => Some(format!("segment {id} has been removed: no new program finds it by its key")),
        Err(_) => Some(format!("segment {id} is gone")),
    }
}

/// What is left of a segment once this process is done with it, and who can remove it.
#[must_use]
pub fn what_remains(segment: &Segment) -> String {
    let id = segment.id();
    match segment.status() {
        Ok(Status { marked_for_destruction: false, attached, .. }) => {
            let reader = command("shm-sysv-reader", &format!("--id {id}"));
            format!(
                "segment {id} stays ({attached} attached): ipcrm -m {id} or {reader} removes it"
            )
        }
        Ok(Status { attached, .. }) => {
            format!(
                "segment {id} goes with the last detach ({attached} attached): it was removed meanwhile"
            )
        }
        Err(_) => format!("segment {id} is gone: it was removed meanwhile"),
    }
}

/// What others have done to a mapped file, or to its name: `None` for nothing.
#[must_use]
pub fn change(file: &NamedFile) -> Option<String> {
    let path = shown(file.path());
    match file.state() {
        NameState::Same => None,
        NameState::Removed => {
            Some(format!("{path} has been removed: only who has it mapped still sees it"))
        }
        NameState::Replaced => Some(format!(
            "{path} has been replaced: the name is another file's now, and the old one is mapped here"
        )),
        NameState::Resized(size) => Some(format!(
            "{path} has been overwritten or truncated: it has {size} bytes now, and is no record any more"
        )),
    }
}

/// What to say of a record in a file that nobody has open for writing: how old it is.
#[must_use]
pub fn old_record<A: Access>(file: &RecordFile<A>) -> String {
    let age = file.changed().and_then(|changed| changed.elapsed().ok());
    let age = age.map(|age| {
        let seconds = Duration::from_secs(age.as_secs());
        format!(", changed {} ago", human(seconds))
    });
    format!("an old record{}: nobody has the file open for writing", age.unwrap_or_default())
}

/// What to say to a reader of a segment in which nobody counts: how to start a writer. `None` if
/// somebody does, or may.
#[must_use]
pub fn nobody_counts(segment: &Segment, shared: &SharedConnStat) -> Option<String> {
    let status = segment.status().ok()?;
    let how = invite_writer(status.key);
    if !shared.load().ip().is_empty() {
        let old = "an old record: nobody else is attached";
        return (status.attached < 2).then(|| format!("{old}; {how}"));
    }
    // A writer whose segment has been removed goes on in it, and nobody finds it by the key.
    let left = segments().unwrap_or_default().into_iter().find(|it| {
        let ours = it.size == segment.size() as u64 && it.owner == status.owner;
        it.marked_for_destruction && ours
    });
    Some(match left {
        Some(left) => format!(
            "no writer has been here yet, but segment {}, which has been removed, is still attached: if a writer counts there, end it and start it again",
            left.id,
        ),
        None => format!("no writer has been here yet; {how}"),
    })
}
