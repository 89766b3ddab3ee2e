//! The picture on a terminal: the real program in a pseudo-terminal, compared with what this test itself
//! reads from /proc.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::Ordering::Relaxed;

use common::ReadWrite;
use common::proc::{MapsLine, maps, page_size};
use common::sysv::Segment;
use e2e::screen::{OnScreen, must_end_with_its_terminal};
use e2e::{Running, TestKey, skip, start};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const VIEWER: &str = env!("CARGO_BIN_EXE_shm-viewer");

fn viewer(args: &[&str]) -> OnScreen {
    OnScreen::start(&[&[VIEWER], args].concat(), 40, 100)
}

/// The lines of a process about the segment, as the kernel says them to this test.
fn lines(pid: Pid, shmid: i32) -> Vec<MapsLine> {
    let all = maps(pid).expect("it runs");
    all.into_iter().filter(|it| it.shmid() == Some(shmid)).collect()
}

/// How the picture writes a line.
fn shown(line: &MapsLine) -> String {
    format!("{:x}-{:x} {}", line.addresses.start, line.addresses.end, line.rights)
}

/// The frame, by a reading of our own: 0 without the right to know it.
fn frame(pid: Pid, address: usize) -> u64 {
    let pagemap = fs::File::open(format!("/proc/{pid}/pagemap")).expect("pagemap");
    let mut entry = [0; 8];
    pagemap.read_exact_at(&mut entry, (address / page_size() * 8) as u64).expect("an entry");
    u64::from_ne_bytes(entry) & ((1 << 55) - 1)
}

fn start_writer(key: &TestKey) -> Running {
    let mut writer = start("shm-sysv-writer", ["-k", &key.arg(), "-i", "20ms", "-n", "100000000"]);
    writer.wait_stdout("count: ");
    writer
}

fn start_reader(key: &TestKey, looks: &str) -> Running {
    let mut reader = start("shm-sysv-reader", ["-k", &key.arg(), "-i", "20ms", "-n", looks]);
    reader.wait_stdout("ip = ");
    reader
}

#[test]
fn what_the_screen_shows_is_what_proc_says() {
    let key = TestKey::new();
    let mut viewer = viewer(&["--key", &key.arg()]);
    viewer.wait("It is awaited. Start a writer in another terminal: cargo run -p shm-sysv-writer");
    let writer = start_writer(&key);
    viewer.wait("nattch 2, one of them this viewer");
    let reader = start_reader(&key, "100000000");
    let pid = reader.pid();
    viewer.wait(&format!("shmat: pid {pid} (shm-sysv-reader) has attached it, r--s: nattch 3"));

    let segment = key.segment().expect("the pair's");
    let id = segment.id();
    assert_eq!(segment.status().expect("status").attached, 3);
    viewer.wait("nattch 3, one of them this viewer");
    viewer.wait(&format!("segment {id}, key {} ", key.arg()));
    viewer.wait(&format!("shm_cpid {} (shm-sysv-writer), shm_lpid {pid}", writer.pid()));
    for (who, role) in [(writer.pid(), "writer, creator"), (pid, "reader")] {
        let lines = lines(who, id);
        assert_eq!(lines.len(), 1, "{lines:?}");
        viewer.wait(role);
        viewer.wait(&format!("pid {who}, shm-sysv-{}", &role[..6]));
        viewer.wait(&shown(&lines[0]));
    }
    let own = lines(viewer.pid(), id);
    viewer.wait(&format!("this viewer, pid {}: {}", viewer.pid(), shown(&own[0])));
    assert_eq!(own[0].rights, "r--s", "it changes nothing");

    // Its whole line.
    viewer.press("\x1b[C");
    let line = &lines(writer.pid(), id)[0].line;
    viewer.wait(&format!("/proc/{}/maps: {line}", writer.pid()));

    // What changes stands out; when nothing changes any more, it fades.
    viewer.wait_until("highlighted bytes", |it| it.highlighted() > 0);
    writer.signal(Signal::SIGSTOP);
    viewer.wait_until("no highlighted bytes", |it| it.highlighted() == 0);
    let stat = segment.attach::<common::SharedConnStat, common::ReadOnly>().expect("ours").load();
    viewer.wait(&format!("count = {}, ip = 127.0.0.1", stat.count));

    // The reader removes it, then the writer is killed: the viewer must not keep it alive.
    reader.signal(Signal::SIGTERM);
    viewer.wait("shmctl(IPC_RMID): segment");
    viewer.wait("SHM_DEST set");
    let _ = reader.finish();
    viewer.wait(&format!("exit: pid {pid} (shm-sysv-reader)"));
    let pid = writer.pid();
    writer.signal(Signal::SIGKILL);
    let _ = writer.finish();
    viewer.wait(&format!("exit: pid {pid} (shm-sysv-writer)"));
    let how = format!("exit: pid {pid} (shm-sysv-writer) was killed by SIGKILL");
    if !viewer.text().contains(&how) {
        viewer.wait(&format!("exit: pid {pid} (shm-sysv-writer) has ended"));
        skip("this kernel does not say how the writer ended");
    }
    viewer.wait(&format!("this viewer was the last to detach segment {id}: it is destroyed"));
    assert!(segment.status().is_err(), "it is gone");
    viewer.press("q");
    assert!(viewer.ended().success());
    viewer.must_be_restored("");
}

#[test]
fn frames_are_equal_and_as_pagemap_says() {
    let key = TestKey::new();
    // The other order: the viewer comes last.
    let reader = start_reader(&key, "100000000");
    let writer = start_writer(&key);
    let id = key.segment().expect("the pair's").id();
    let [one, other] =
        [&writer, &reader].map(|it| frame(it.pid(), lines(it.pid(), id)[0].addresses.start));
    let mut viewer = viewer(&["--key", &key.arg()]);
    viewer.wait("nattch 3, one of them this viewer");
    if one == 0 {
        viewer.wait("frame hidden: needs CAP_SYS_ADMIN (root)");
        skip("frames: only root may know them");
        return;
    }
    assert_eq!(one, other, "it is one page");
    viewer.wait(&format!("frame 0x{one:x} in 3 page tables: it is one page of memory"));
    let boxes = viewer.text().matches(&format!("frame 0x{one:x}; counts 1 in nattch")).count();
    assert_eq!(boxes, 2, "{viewer:?}");
    assert_eq!(one, frame(viewer.pid(), lines(viewer.pid(), id)[0].addresses.start));
}

#[test]
fn a_new_segment_under_the_old_key_is_noticed() {
    let key = TestKey::new();
    let old = Segment::create(key.key(), 68, 0o600).expect("a segment");
    let attached = old.attach::<common::SharedConnStat, ReadWrite>().expect("attached");
    let mut viewer = viewer(&["--key", &key.arg()]);
    viewer.wait(&format!("segment {}, key", old.id()));
    viewer.wait(&format!("pid {}, screen-", std::process::id()));
    old.remove().expect("ours");
    viewer.wait("SHM_DEST set");
    let new = Segment::create(key.key(), 68, 0o600).expect("a new one");
    viewer.wait(&format!("names segment {} now; segment {} is another one", new.id(), old.id()));
    viewer.wait(&format!("segment {}, key", new.id()));
    viewer.wait("Nobody but this viewer");
    assert_eq!(old.status().expect("ours keeps it").attached, 1, "the viewer has let it go");
    drop(attached);
}

#[test]
fn a_large_segment_is_looked_at_without_touching_it() {
    let key = TestKey::new();
    let size = 64 << 20;
    let segment = Segment::create(key.key(), size, 0o600).expect("a segment");
    let words = segment.attach_words::<ReadWrite>().expect("attached");
    let id = segment.id().to_string();
    let mut viewer = viewer(&["--id", &id]);
    viewer.wait("67108864 bytes, in 16384 pages");
    viewer.wait("not in memory: nobody has touched the page yet");
    viewer.wait("0000010 -- -- --");
    words.writer().field(|it| &it[size / 4 - 1]).store(u32::from_be_bytes(*b"END!"), Relaxed);
    words.writer().field(|it| &it[0x20 / 4]).store(0x0102_0304, Relaxed);
    viewer.wait("0000020 04 03 02 01 00");
    for _ in 0..3 {
        viewer.press("\x1b[6~");
    }
    viewer.wait_until("other rows", |it| !it.text().contains(" 0000010 "));
    // Only the two pages that this test has stored to are there.
    let listed = e2e::segments().into_iter().find(|it| it.id == segment.id()).expect("ours");
    assert_eq!(listed.resident, 2 * page_size() as u64);
    viewer.press("q");
    assert!(viewer.ended().success());
}

#[test]
fn sixty_processes_have_their_place() {
    let key = TestKey::new();
    let writer = start_writer(&key);
    let readers: Vec<_> = (0..60).map(|_| start_reader(&key, "100000000")).collect();
    let mut viewer = viewer(&["--key", &key.arg()]);
    viewer.wait("nattch 62, one of them this viewer");
    viewer.wait("59 more");
    // To the left of the first is the last.
    viewer.play("\x1b[D", &format!("/proc/{}/maps: ", readers.last().expect("60").pid()));
    for reader in &readers {
        kill(reader.pid(), Signal::SIGKILL).expect("it runs");
    }
    viewer.wait("nattch 2, one of them this viewer");
    drop(writer);
}

#[test]
fn a_file_may_go_or_be_cut_off() {
    let directory = e2e::workspace().join("target/tmp");
    fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join(format!("viewer-{}", std::process::id()));
    let name = path.to_str().expect("a name");
    let mut viewer = viewer(&["--file", name]);
    viewer.wait("It is awaited.");
    let mut writer = start("mmap-file-writer", [name, "-i", "20ms", "-n", "100000000"]);
    writer.wait_stdout("count: ");
    let pid = writer.pid();
    viewer.wait(&format!("pid {pid}, mmap-file-writer"));
    let all = maps(pid).expect("it runs");
    let line = all.iter().find(|it| it.name == name).expect("mapped");
    viewer.wait(&shown(line));
    viewer.wait("mapped by 1 of the processes that we see");
    viewer.wait("ip = 127.0.0.1");
    kill(pid, Signal::SIGKILL).expect("it runs");
    let _ = writer.finish();
    viewer.wait(&format!("exit: pid {pid} (mmap-file-writer)"));
    // The viewer has it not mapped, so it gets no SIGBUS.
    fs::File::options().write(true).open(&path).expect("ours").set_len(0).expect("cut off");
    viewer.wait("ftruncate: the file has another size now");
    fs::remove_file(&path).expect("ours");
    viewer.wait("unlink: the name has gone");
    viewer.press("q");
    assert!(viewer.ended().success());
}

#[test]
fn the_demo_ends_what_it_has_started() {
    let _ = e2e::program("shm-sysv-writer");
    for kills in [false, true] {
        let mut viewer = viewer(&["--demo"]);
        viewer.wait("nattch 3, one of them this viewer");
        viewer.wait("loads only");
        viewer.wait("loads and stores");
        let text = viewer.text();
        let (_, id) = text.split_once("shm-viewer: segment ").expect("a segment");
        let id: i32 = id.split(',').next().expect("a word").parse().expect("a shmid");
        if kills {
            viewer.signal(Signal::SIGKILL);
            assert_eq!(viewer.ended().signal(), Some(9));
        } else {
            viewer.press("q");
            assert!(viewer.ended().success());
            viewer.must_be_restored("");
        }
        // Their pipes are closed, so the pair ends by itself, at its next count.
        let deadline = std::time::Instant::now() + e2e::DEADLINE;
        while Segment::from_id(id).is_ok() {
            assert!(std::time::Instant::now() < deadline, "segment {id} is left");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

#[test]
fn pages_and_keys() {
    let key = TestKey::new();
    let segment = Segment::create(key.key(), 68, 0o640).expect("a segment");
    let attached = segment.attach::<common::SharedConnStat, ReadWrite>().expect("attached");
    let mut viewer = viewer(&["--key", &key.arg()]);
    viewer.wait("not in memory: nobody has touched the page yet");
    assert_eq!(attached.writer().increment(), 1);
    viewer.wait("count = 1");
    viewer.play("?", "Each box above is a process");
    viewer.play("?", "mode 0640");
    viewer.play("o", "everything shared on this machine");
    viewer.wait(&format!(
        "{} 0x{:08x} 68 0640",
        segment.id(),
        key.arg().parse::<i32>().expect("a key")
    ));
    viewer.play("o", "mode 0640");
    viewer.play("f", "follows: sleeps on the first word (futex)");
    assert_eq!(attached.writer().increment(), 2);
    attached.writer().wake();
    viewer.wait("count = 2");
    viewer.play("f", "looks every 100ms");
    viewer.play("p", "PAUSED");
    assert_eq!(attached.writer().increment(), 3);
    // A key is answered although nothing is looked at.
    viewer.play("?", "Each box above");
    viewer.play("?", "count = 2");
    viewer.play("p", "count = 3");
    viewer.press("q");
    assert!(viewer.ended().success());
}

#[test]
fn a_window_may_change_its_size() {
    let key = TestKey::new();
    let _segment = Segment::create(key.key(), 68, 0o600).expect("a segment");
    let mut viewer = viewer(&["--key", &key.arg()]);
    viewer.wait("nattch 1, one of them this viewer");
    for (columns, rows, text) in [
        (40, 10, "This window is too small: 40x10"),
        (200, 60, "nattch 1, one of them this viewer"),
        (20, 4, "This window is"),
        (80, 24, "0034 -- -- --"),
    ] {
        viewer.resize(rows, columns);
        viewer.wait(text);
    }
    viewer.press("q");
    assert!(viewer.ended().success());
}

#[test]
fn a_signal_or_ctrl_c_leaves_the_terminal_as_it_was() {
    let key = TestKey::new();
    for (signal, says) in [
        (Signal::SIGTERM, "stopped by SIGTERM"),
        (Signal::SIGHUP, "stopped by SIGHUP"),
        (Signal::SIGINT, "stopped by SIGINT"),
    ] {
        let mut viewer = viewer(&["--key", &key.arg()]);
        viewer.wait("It is awaited");
        match signal {
            // A person's Ctrl-C is a key here.
            Signal::SIGINT => viewer.press("\x03"),
            _ => viewer.signal(signal),
        }
        let status = viewer.ended();
        viewer.must_be_restored(says);
        let number = signal as i32;
        assert!(status.code() == Some(128 + number) || status.signal() == Some(number), "{status}");
    }
    assert!(Segment::find(key.key()).is_err(), "it makes no segment");
}

#[test]
fn the_viewer_ends_with_its_terminal() {
    let key = TestKey::new();
    must_end_with_its_terminal(&format!("{VIEWER} --key {}", key.arg()), "awaited");
}

#[test]
fn who_stores_all_the_time_is_changing() {
    let key = TestKey::new();
    let segment = Segment::create(key.key(), 64, 0o600).expect("a segment");
    let words = segment.attach_words::<ReadWrite>().expect("attached");
    let mut viewer = viewer(&["--key", &key.arg()]);
    viewer.wait("nattch 2");
    std::thread::scope(|scope| {
        // An attachment stays in its thread, so the viewer waits in the other one.
        let waits = scope.spawn(|| viewer.wait("changing: no two looks in a row were alike"));
        let mut count = 0_u32;
        while !waits.is_finished() {
            count = count.wrapping_add(1);
            words.writer().field(|it| &it[5]).store(count, Relaxed);
        }
    });
}

/// The page in docs/ shows this program's screen, but for the numbers.
#[test]
fn the_page_shows_the_real_screen() {
    let _ = e2e::program("shm-sysv-writer");
    let page = fs::read_to_string(e2e::workspace().join("docs/shm-viewer.md")).expect("the page");
    let (_, block) = page.split_once("```text\n").expect("a screen");
    let (block, _) = block.split_once("```").expect("its end");
    if block.contains("frame 0x") && !e2e::may_see_frames() {
        skip("the screen of the page: only root may see frame numbers");
        return;
    }
    // Without the events, of which there may be another one.
    let down_to_the_page = |text: &str| -> Vec<String> {
        let lines: Vec<_> = text.lines().map(without_figures).collect();
        let end = lines.iter().position(|it| it.starts_with('┗')).map_or(0, |it| it + 1);
        lines[..end].to_vec()
    };
    let shown = down_to_the_page(block);
    assert!(shown.len() > 10, "{block}");
    let mut viewer = OnScreen::start(&[VIEWER, "--demo"], 24, 80);
    viewer.wait_until("the picture of the page", |it| down_to_the_page(&it.contents()) == shown);
    viewer.press("q");
    assert!(viewer.ended().success());
}

/// The words of a line, those with a digit in front as 0, and without lines and spaces between them.
fn without_figures(line: &str) -> String {
    let words = line.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty());
    let is_figure = |word: &str| word.starts_with(|it: char| it.is_ascii_digit());
    let words: Vec<_> = words.map(|it| if is_figure(it) { "0" } else { it }).collect();
    format!("{}{}", line.chars().next().unwrap_or(' '), words.join(" "))
}
