//! What the section around the listing claims about segments, tried out one by one.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{self, Command};

use common::error::errno_of;
use common::printable::shown;
use common::proc::{MapsLine, maps, page_size};
use common::sysv::{Key, Segment, Status};
use common::{Error, ReadOnly, ReadWrite};
use terminal::process::start_child;
use terminal::{Stop, Terminal, say};

use crate::{Args, Text};

/// Tries every claim on `segment`, which has the listing's text in it and is attached nowhere.
pub(crate) fn try_all(args: &Args, segment: &Segment, terminal: &mut Terminal) -> Result<(), Stop> {
    size_and_pages(args, segment, terminal)?;
    rounding(args, segment, terminal)?;
    read_only(args, segment, terminal)?;
    fork_inherits(args, segment, terminal)?;
    exec_detaches(args, segment, terminal)?;
    exit_detaches(args, segment, terminal)?;

    // The last two need a key: IPC_EXCL means nothing to IPC_PRIVATE. With our process id in it, it
    // is no other run's.
    let key = Key::Number(0x5100_0000 | process::id().cast_signed());
    let named = Segment::create(key, size_of::<Text>(), 0o600)?;
    let stopped = exclusive(key, terminal).and_then(|()| removal_waits(args, &named, terminal));
    named.remove()?;
    stopped
}

fn size_and_pages(args: &Args, segment: &Segment, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "\n1. The size is as given; the pages are whole");
    let shared = segment.attach::<Text, ReadWrite>()?;
    say!(terminal, "   IPC_STAT: {} bytes", segment.status()?.size);
    let line = line_of_maps(shared.address().as_ptr().addr());
    say!(terminal, "   /proc/self/maps: {}", line.line);
    let (length, page) = (line.addresses.len(), page_size());
    say!(terminal, "   mapped: {length} bytes, {} pages of {page}", length / page);
    args.pause(terminal)
}

fn rounding(args: &Args, segment: &Segment, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "\n2. An address must be a multiple of the page size, or SHM_RND makes it one");
    let unaligned = args.address + 1;
    match segment.attach_at::<Text, ReadWrite>(unaligned) {
        Ok(shared) => say!(terminal, "   unexpected: attached at {:p}", shared.address()),
        Err(error) => say!(terminal, "   {}", error),
    }
    let shared = segment.attach_rounded::<Text, ReadWrite>(unaligned)?;
    say!(terminal, "   shmat at 0x{unaligned:x} with SHM_RND: attached at {:p}", shared.address());
    args.pause(terminal)
}

fn read_only(args: &Args, segment: &Segment, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(
        terminal,
        "\n3. SHM_RDONLY attaches for loads only: a store would be a SIGSEGV, and in Rust does not compile"
    );
    let shared = segment.attach::<Text, ReadOnly>()?;
    let line = line_of_maps(shared.address().as_ptr().addr());
    say!(terminal, "   /proc/self/maps: {}", line.line);
    say!(terminal, "   loaded: {}", shared.load());
    args.pause(terminal)
}

fn fork_inherits(args: &Args, segment: &Segment, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "\n4. A forked child inherits the attachment, and may detach its own");
    let mut shared = Some(segment.attach::<Text, ReadWrite>()?);
    say!(terminal, "   parent {}: nattch {}", process::id(), segment.status()?.attached);
    let child = start_child(terminal, |terminal| {
        say!(terminal, "   child {}: nattch {}", process::id(), segment.status()?.attached);
        // The child's copy of the guard; the parent keeps its own.
        if let Some(inherited) = shared.take() {
            say!(terminal, "   child {}: loaded: {}", process::id(), inherited.load());
            inherited.detach()?;
        }
        say!(terminal, "   child {}: shmdt: nattch {}", process::id(), segment.status()?.attached);
        Ok(())
    })?;
    child.wait(terminal)?;
    args.pause(terminal)
}

fn exec_detaches(args: &Args, segment: &Segment, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "\n5. exec detaches: the new program starts with an address space of its own");
    let shared = segment.attach::<Text, ReadWrite>()?;
    let child = start_child(terminal, |terminal| {
        let id = process::id();
        say!(terminal, "   child {id}: attached at {:p}, calls exec", shared.address());
        // Not /proc/self/exe, which under valgrind is valgrind.
        let exe = env::current_exe().unwrap_or_default();
        let error = Command::new(&exe).args(["--after-exec", &segment.id().to_string()]).exec();
        let help = "build the program again, with /proc mounted";
        Err(Stop::because(Error::new("execve", shown(&exe), errno_of(&error)), help))
    })?;
    child.wait(terminal)?;
    args.pause(terminal)
}

/// The other half of [`exec_detaches`]: the same process, a new program.
pub(crate) fn after_exec(id: i32, terminal: &mut Terminal) -> Result<(), Stop> {
    let segment = Segment::from_id(id)?;
    let attached = segment.status()?.attached;
    say!(terminal, "   child {}: after exec, nattch {attached}: the parent alone", process::id());
    Ok(())
}

fn exit_detaches(args: &Args, segment: &Segment, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "\n6. exit detaches, but it does not free");
    let child = start_child(terminal, |terminal| {
        let _shared = segment.attach::<Text, ReadWrite>()?;
        let attached = segment.status()?.attached;
        say!(terminal, "   child {}: nattch {attached}, exits without shmdt", process::id());
        // No guard is dropped in a process that exits like this: the kernel alone cleans up.
        process::exit(0)
    })?;
    child.wait(terminal)?;
    let status = segment.status()?;
    say!(
        terminal,
        "   parent {}: nattch {}, {} bytes still there",
        process::id(),
        status.attached,
        status.size
    );
    args.pause(terminal)
}

fn exclusive(segment_key: Key, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "\n7. IPC_CREAT with IPC_EXCL says EEXIST if the key has a segment");
    match Segment::create(segment_key, size_of::<Text>(), 0o600) {
        Ok(segment) => {
            say!(terminal, "   unexpected: {segment}");
            segment.remove()?;
        }
        Err(error) => say!(terminal, "   {}", error),
    }
    Ok(())
}

fn removal_waits(args: &Args, segment: &Segment, terminal: &mut Terminal) -> Result<(), Stop> {
    say!(terminal, "\n8. IPC_RMID marks an attached segment; the last detach destroys it");
    let shared = segment.attach::<Text, ReadWrite>()?;
    say!(terminal, "   attached:  {}", describe(&segment.status()?));
    segment.remove()?;
    say!(terminal, "   IPC_RMID:  {}", describe(&segment.status()?));
    args.pause(terminal)?;
    shared.detach()?;
    match segment.status() {
        Ok(status) => say!(terminal, "   unexpected: {}", describe(&status)),
        Err(error) => say!(terminal, "   shmdt:     {}", error),
    }
    Ok(())
}

fn describe(status: &Status) -> String {
    let mark = if status.marked_for_destruction { "SHM_DEST set" } else { "SHM_DEST not set" };
    format!("key 0x{:08x}, nattch {}, {mark}", status.key, status.attached)
}

/// The line of /proc/self/maps for the mapping that starts at `address`.
fn line_of_maps(address: usize) -> MapsLine {
    let starts_there = |it: &MapsLine| it.addresses.start == address;
    let lines = maps("self").unwrap_or_default();
    lines.into_iter().find(starts_there).expect("the kernel lists what is attached")
}
