//! What is known of the memory and of those who share it, and what has happened since.

use std::collections::{HashMap, VecDeque};
use std::process;
use std::time::{Duration, Instant};

use common::Error;
use common::clock;
use common::mapping::NameState;
use common::process::{Ending, Process};
use common::sysv::{Key, Segment, Status};
use nix::errno::Errno;

use crate::describe::user;
use crate::frame::Frame;
use crate::hex::ROW;
use crate::memory::{Loaded, Memory, Target};
use crate::sharers::{Found, Noted, Scanner, Sharer, program};

/// How many events are kept.
const EVENTS: usize = 500;

/// How long the end of a process is awaited, until its parent has waited for it and we may know how.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a changed byte is marked, in two steps.
const FADING: Duration = Duration::from_millis(900);

/// Everything that the picture shows.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) target: Target,
    pub(crate) memory: Option<Memory>,
    /// Why there is no memory, or what has become of the name that we found it by.
    pub(crate) missing: Option<Error>,
    pub(crate) status: Option<Status>,
    /// The owner's name: looking it up reads files.
    pub(crate) owner: String,
    /// Who made it, and who attached or detached last, this process aside.
    pub(crate) creator: Option<Noted>,
    pub(crate) last: Option<Noted>,
    last_times: (i64, i64),
    pub(crate) sharers: Vec<Sharer>,
    /// This process, if it is one of them.
    pub(crate) own: Option<Sharer>,
    pub(crate) unseen: usize,
    /// Attachments that nattch counts and that we do not see.
    pub(crate) hidden: u64,
    /// Why there are no processes to see.
    pub(crate) no_proc: Option<Errno>,
    handles: HashMap<i32, Process>,
    leaving: Vec<(Sharer, Option<Process>, Instant)>,
    pub(crate) loaded: Option<Loaded>,
    /// The local time of the last look.
    pub(crate) looked_at: String,
    /// For each byte, when it was last seen to change.
    changed: Vec<Option<Instant>>,
    levels: Vec<u8>,
    /// The first row that is shown, and how many there is room for.
    pub(crate) first_row: usize,
    pub(crate) rows: usize,
    /// The pid of the process whose maps are shown.
    pub(crate) chosen: Option<i32>,
    pub(crate) events: VecDeque<String>,
    scanner: Scanner,
    next_scan: Instant,
    last_scan: (Instant, Duration),
    next_frames: Instant,
    /// Whether the picture is another than that which was drawn last.
    pub(crate) is_new: bool,
}

impl State {
    pub(crate) fn new(target: Target) -> Self {
        let now = Instant::now();
        Self {
            target,
            memory: None,
            missing: None,
            status: None,
            owner: String::new(),
            creator: None,
            last: None,
            last_times: (0, 0),
            sharers: Vec::new(),
            own: None,
            unseen: 0,
            hidden: 0,
            no_proc: None,
            handles: HashMap::new(),
            leaving: Vec::new(),
            loaded: None,
            looked_at: String::new(),
            changed: Vec::new(),
            levels: Vec::new(),
            first_row: 0,
            rows: 8,
            chosen: None,
            events: VecDeque::new(),
            scanner: Scanner::default(),
            next_scan: now,
            last_scan: (now, Duration::ZERO),
            next_frames: now,
            is_new: true,
        }
    }

    /// Looks at everything once. It changes nothing but our own attachment.
    pub(crate) fn look(&mut self) {
        let looked_at = clock::local_time(clock::now());
        self.is_new |= looked_at != self.looked_at;
        self.looked_at = looked_at;
        if self.memory.is_some() {
            self.notice_another();
        }
        if self.memory.is_none() {
            self.find();
        }
        self.notice_status();
        self.load();
        self.notice_sharers();
        self.notice_endings();
        self.fade();
    }

    fn tell(&mut self, event: &str) {
        self.events.push_back(format!("{} {event}", clock::local_time(clock::now())));
        while self.events.len() > EVENTS {
            self.events.pop_front();
        }
        self.is_new = true;
    }

    fn find(&mut self) {
        match self.target.open() {
            Ok(memory) => {
                self.tell(&match &memory {
                    Memory::Segment(it) => {
                        let found = match &self.target {
                            Target::Key(key) => {
                                format!("shmget: {key} is segment {}", it.segment.id())
                            }
                            _ => format!("shmctl(IPC_STAT): segment {}", it.segment.id()),
                        };
                        format!("{found}; this viewer has attached it, SHM_RDONLY")
                    }
                    Memory::File(it) => format!("open: {}, O_RDONLY", it.file),
                });
                if let Memory::Segment(it) = &memory {
                    // What it was before we came; `notice_status` compares with it.
                    self.status = Some(it.before);
                    self.owner = user(it.before.owner);
                    self.creator = Some(Noted::at(it.before.creator, it.before.change_time));
                    self.notice_last(&it.before);
                }
                self.memory = Some(memory);
                self.missing = None;
                self.next_scan = Instant::now();
                self.last_scan.1 = Duration::ZERO;
            }
            Err(error) => {
                self.is_new |= self.missing.as_ref() != Some(&error);
                self.missing = Some(error);
            }
        }
    }

    /// Forgets the memory, and with it who shares it. Dropping an attachment detaches it.
    fn forget(&mut self) {
        self.memory = None;
        self.status = None;
        self.loaded = None;
        self.creator = None;
        self.last = None;
        self.sharers.clear();
        self.own = None;
        self.leaving.clear();
        self.handles.clear();
        self.hidden = 0;
        self.changed.clear();
        self.first_row = 0;
        self.is_new = true;
    }

    /// Has the name been given to another memory?
    fn notice_another(&mut self) {
        match (&self.memory, &self.target) {
            (Some(Memory::Segment(it)), Target::Key(key @ Key::Number(_))) => {
                let old = it.segment.id();
                // shmget(2): which segment has the key now?
                match Segment::find(*key) {
                    Ok(found) if found.id() != old => {
                        let left =
                            it.segment.status().map_or(0, |it| it.attached.saturating_sub(1));
                        let (key, new) = (*key, found.id());
                        self.forget();
                        self.tell(&format!(
                            "shmget: {key} names segment {new} now; segment {old} is another one, nattch {left} there"
                        ));
                    }
                    _ => {}
                }
            }
            (Some(Memory::File(it)), _) => {
                let event = match it.named.state() {
                    NameState::Same => return,
                    NameState::Removed => {
                        if self.missing.is_none() {
                            self.missing = Some(Error::new("stat", &self.target, Errno::ENOENT));
                            self.tell("unlink: the name has gone; only who has the file open or mapped sees it");
                        }
                        return;
                    }
                    NameState::Replaced => "rename or open: the name is another file's now",
                    NameState::Resized(_) => "ftruncate: the file has another size now",
                };
                self.forget();
                self.tell(event);
            }
            _ => {}
        }
    }

    /// Who attached last, unless it was this process.
    fn notice_last(&mut self, status: &Status) {
        let own = process::id().cast_signed();
        if status.last != own {
            let times = (status.attach_time, status.detach_time);
            self.last_times = times;
            self.last = Some(Noted::at(status.last, times.0.max(times.1)));
        }
    }

    fn notice_status(&mut self) {
        let Some(segment) = self.memory.as_ref().and_then(Memory::segment) else { return };
        let id = segment.id();
        // shmctl(2), IPC_STAT: what does the kernel say of it now?
        let now = match segment.status() {
            Ok(now) => now,
            Err(error) => {
                self.forget();
                self.tell(&format!("{error}"));
                return;
            }
        };
        let before = self.status.replace(now);
        let Some(before) = before.filter(|it| *it != now) else { return };
        self.is_new = true;
        if (before.attached, before.last) != (now.attached, now.last)
            || (before.attach_time, before.detach_time) != (now.attach_time, now.detach_time)
        {
            // A process that comes and goes all the time must not keep us busy.
            let soon = self.last_scan.0 + self.last_scan.1 * 20;
            self.next_scan = self.next_scan.min(soon);
            self.notice_last(&now);
        }
        if !before.marked_for_destruction && now.marked_for_destruction {
            self.tell(&format!(
                "shmctl(IPC_RMID): segment {id} is marked for destruction (SHM_DEST), its key is 0: the last detach destroys it"
            ));
        }
        if (before.mode, before.owner) != (now.mode, now.owner) {
            let (from, to) = (before.mode, now.mode);
            self.owner = user(now.owner);
            let owner = &self.owner;
            self.tell(&format!("shmctl(IPC_SET): mode {from:04o} is {to:04o} now, owner {owner}"));
        }
        if now.marked_for_destruction && now.attached <= 1 {
            self.notice_endings();
            // Only we hold it any more: we must not keep alive what everybody else has given up.
            self.scan();
            self.notice_endings();
            self.forget();
            self.tell(&format!(
                "shmdt: this viewer was the last to detach segment {id}: it is destroyed"
            ));
        }
    }

    /// The bytes that are shown.
    pub(crate) fn window(&self) -> std::ops::Range<usize> {
        let Some(memory) = &self.memory else { return 0..0 };
        if memory.is_record() {
            return 0..memory.size();
        }
        let start = (self.first_row * ROW).min(memory.size());
        start..(start + self.rows * ROW).min(memory.size())
    }

    fn load(&mut self) {
        let Some(memory) = &self.memory else { return };
        let loaded = memory.load(self.window());
        let Some(before) = self.loaded.take().filter(|it| it.offset == loaded.offset) else {
            self.changed = vec![None; loaded.bytes.len()];
            self.loaded = Some(loaded);
            self.next_frames = Instant::now();
            self.is_new = true;
            return;
        };
        self.changed.resize(loaded.bytes.len(), None);
        if before != loaded {
            let now = Instant::now();
            for (at, (new, old)) in loaded.bytes.iter().zip(&before.bytes).enumerate() {
                if new != old {
                    self.changed[at] = Some(now);
                }
            }
            self.is_new = true;
        }
        self.loaded = Some(loaded);
    }

    /// How fresh a byte is: 2 for one that has just changed, 0 for an old one.
    pub(crate) fn level(&self, at: usize) -> u8 {
        self.levels.get(at).copied().unwrap_or(0)
    }

    fn fade(&mut self) {
        let level = |changed: &Option<Instant>| match changed.map(|it| it.elapsed()) {
            Some(age) if age < FADING / 2 => 2,
            Some(age) if age < FADING => 1,
            _ => 0,
        };
        let levels: Vec<_> = self.changed.iter().map(level).collect();
        self.is_new |= levels != self.levels;
        self.levels = levels;
    }

    fn notice_sharers(&mut self) {
        let now = Instant::now();
        if self.handles.values().any(|it| it.ending() != Ending::Runs) {
            self.next_scan = self.next_scan.min(self.last_scan.0 + self.last_scan.1 * 20);
        }
        if self.memory.is_some() && now >= self.next_scan {
            self.scan();
        }
        if self.memory.is_some() && Instant::now() >= self.next_frames {
            self.next_frames = Instant::now() + Duration::from_millis(500);
            let offset = self.window().start;
            let mut all: Vec<_> = self.sharers.iter_mut().chain(&mut self.own).collect();
            let frames =
                |all: &[&mut Sharer]| all.iter().map(|it| it.frame).collect::<Vec<Frame>>();
            let before = frames(&all);
            all.iter_mut().for_each(|it| it.look_up(offset));
            self.is_new |= frames(&all) != before;
        }
    }

    /// Looks at the maps of all processes, and tells who has come and who has gone.
    fn scan(&mut self) {
        let Some(memory) = &self.memory else { return };
        let start = Instant::now();
        let mark = memory.mark_in_maps();
        let Found { sharers: found, unseen, failed } =
            self.scanner.scan(|line| line.contains(&mark), |line| memory.is_mapped_by(line));
        let cost = start.elapsed();
        let first = self.last_scan.1.is_zero();
        self.last_scan = (Instant::now(), cost.max(Duration::from_nanos(1)));
        // At most a hundredth of the time. nattch says when somebody comes; for a file nothing does.
        let rest = Duration::from_millis(if memory.segment().is_some() { 2000 } else { 500 });
        self.next_scan = self.last_scan.0 + rest.max(cost * 100);
        self.next_frames = self.last_scan.0;
        let segment = memory.segment().is_some();
        self.is_new |= (self.unseen, self.no_proc) != (unseen, failed);
        (self.unseen, self.no_proc) = (unseen, failed);

        let own = process::id().cast_signed();
        let (ours, mut others): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| it.pid == own);
        self.own = ours.into_iter().next();
        others.sort_by_key(|it| (!it.may_store(), it.started, it.pid));
        let same =
            |one: &Sharer, other: &Sharer| (one.pid, one.started) == (other.pid, other.started);
        let old = std::mem::take(&mut self.sharers);
        let nattch = self.status.map_or(String::new(), |it| format!(": nattch {}", it.attached));
        for it in &mut others {
            let known = old.iter().find(|old| same(old, it));
            if let Some(known) = known {
                it.frame = known.frame;
                self.is_new |= known != it;
                continue;
            }
            self.is_new = true;
            if let Ok(handle) = Process::open(it.pid) {
                self.handles.insert(it.pid, handle);
            }
            if !first {
                let call = if segment { "shmat" } else { "mmap" };
                let verb = if segment { "attached" } else { "mapped" };
                let rights = it.lines.first().map_or("", |it| it.rights.as_str());
                let (pid, program) = (it.pid, &it.program);
                self.tell(&format!(
                    "{call}: pid {pid} ({program}) has {verb} it, {rights}{nattch}"
                ));
            }
        }
        for it in old {
            if !others.iter().any(|new| same(&it, new)) {
                let handle = self.handles.remove(&it.pid);
                self.leaving.push((it, handle, Instant::now()));
            }
        }
        self.sharers = others;
        let seen: usize = self.sharers.iter().chain(&self.own).map(|it| it.lines.len()).sum();
        // Only if nobody has come or gone meanwhile.
        if let (Some(Memory::Segment(it)), Some(before)) = (&self.memory, self.status)
            && it.segment.status().is_ok_and(|it| it.attached == before.attached)
        {
            let hidden = before.attached.saturating_sub(seen as u64);
            if hidden != self.hidden && !first {
                let (nattch, was) = (before.attached, self.hidden);
                self.tell(&format!(
                    "nattch {nattch}: {hidden} by processes that we do not see, {was} before"
                ));
            }
            self.hidden = hidden;
        }
    }

    /// Tells how those went who have gone.
    fn notice_endings(&mut self) {
        let nattch = self.status.map_or(String::new(), |it| format!(": nattch {}", it.attached));
        let segment = self.status.is_some();
        for (sharer, handle, since) in std::mem::take(&mut self.leaving) {
            let Sharer { pid, program: was, .. } = &sharer;
            let ending = match &handle {
                Some(handle) => handle.ending(),
                // Before Linux 5.3.
                None if crate::sharers::start(*pid) == Some(sharer.started) => Ending::Runs,
                None => Ending::Unknown,
            };
            let event = match ending {
                Ending::NotWaitedFor if since.elapsed() < PATIENCE => {
                    self.leaving.push((sharer, handle, since));
                    continue;
                }
                Ending::Runs if program(*pid) != *was => {
                    format!(
                        "execve: pid {pid} ({was}) runs {} now, without it{nattch}",
                        program(*pid)
                    )
                }
                Ending::Runs if segment => {
                    format!("shmdt: pid {pid} ({was}) has detached it{nattch}")
                }
                Ending::Runs => format!("munmap: pid {pid} ({was}) has unmapped it"),
                _ => format!("exit: pid {pid} ({was}) {ending}{nattch}"),
            };
            self.tell(&event);
        }
    }

    /// When it was attached and detached last, this process aside.
    pub(crate) fn last_times(&self) -> (i64, i64) {
        self.last_times
    }

    /// Chooses the next process, or the one before.
    pub(crate) fn choose(&mut self, forward: bool) {
        let count = self.sharers.len();
        let at = self.sharers.iter().position(|it| Some(it.pid) == self.chosen);
        self.chosen = match (at, forward) {
            (None, true) => self.sharers.first(),
            (None, false) => self.sharers.last(),
            (Some(at), true) => self.sharers.get((at + 1) % count),
            (Some(at), false) => self.sharers.get((at + count - 1) % count),
        }
        .map(|it| it.pid);
        self.is_new = true;
    }

    /// Shows other rows.
    pub(crate) fn scroll(&mut self, by: isize) {
        let Some(memory) = self.memory.as_ref().filter(|it| !it.is_record()) else { return };
        let last = memory.size().div_ceil(ROW).saturating_sub(self.rows.max(1));
        self.first_row = self.first_row.saturating_add_signed(by).min(last);
        self.load();
    }
}
