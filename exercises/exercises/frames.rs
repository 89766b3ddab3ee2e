//! Capstone: a camera hands out its newest frame. A slow client must not stop it, and must not see a frame
//! change under its eyes; and a client that it does not trust must not store a single word into a frame.
//!
//! Question: why three frames?

#![forbid(unsafe_code)]

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use common::mapping::{Mapping, RecordFile};
use common::{ReadOnly, ReadWrite, Result, SharedMemory, Writer, shared_record};
// `lab`'s words are those of `common`; a test can have loom run them in all orders.
use lab::{SharedU32, Store as _, fence};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

const WORDS: usize = 4;

shared_record! {
    /// The server's. A client may only look.
    pub struct Frames {
        /// Which of the frames is the newest whole one: 0, 1 or 2.
        newest: SharedU32,
        frames: [[SharedU32; WORDS]; 3],
    }
}

shared_record! {
    /// The client's: the one word that it may store.
    pub struct Claim {
        /// Which frame the client is looking at, plus 1; 0 for none.
        claimed: SharedU32,
    }
}

/// What a client must never be able to do to the two: to the frames, and to the claim.
fn seals() -> (SealFlag, SealFlag) {
    // TODO: nobody may truncate them, or make them longer, or add a seal that shuts out others. Which of the
    // two must a client be able to map for writing, and which not? See fcntl(2), "File Sealing".
    (SealFlag::empty(), SealFlag::empty())
}

/// Shows one more frame.
fn publish(frames: Writer<'_, Frames>, claim: &Claim, frame: [u32; WORDS]) {
    // TODO: fill a frame at which nobody looks or is going to look, and then show it. Never wait for a client.
    // The claim is a word of a stranger: it may be any number.
    let _ = (frames, claim, fence);
    todo!("publish {frame:?}")
}

/// Claims the newest frame, and says which it is. Until `release`, it stays as it is.
fn take(frames: &Frames, claim: Writer<'_, Claim>) -> usize {
    // TODO: the server may have looked at the claim just before you made it. How do you find out? And which
    // order of your store and your load, and of the server's, does that take?
    let _ = (frames, claim);
    todo!("take")
}

/// The client is done with its frame.
fn release(claim: Writer<'_, Claim>) {
    // TODO: the loads from the frame come before this.
    let _ = claim;
    todo!("release")
}

// Given: what follows is right.

/// What the server keeps. The descriptors are for clients.
struct Server {
    frames: Mapping<Frames, ReadWrite>,
    claim: Mapping<Claim, ReadOnly>,
    descriptors: [OwnedFd; 2],
}

impl Server {
    fn new() -> Self {
        let descriptors = [memory(size_of::<Frames>()), memory(size_of::<Claim>())];
        // Before the seals: no writable mapping can be made later.
        let frames = map(&descriptors[0]).expect("mapped");
        let claim = map(&descriptors[1]).expect("mapped");
        let (of_frames, of_claim) = seals();
        for (descriptor, seals) in descriptors.iter().zip([of_frames, of_claim]) {
            fcntl(descriptor, FcntlArg::F_ADD_SEALS(seals)).expect("F_ADD_SEALS");
        }
        Self { frames, claim, descriptors }
    }

    fn show(&self, frame: [u32; WORDS]) {
        publish(self.frames.writer(), &self.claim, frame);
    }

    fn hand_out(&self, to: &UnixStream) {
        lab::send_descriptors(to, &self.descriptors.each_ref().map(|it| it.as_fd()));
    }
}

/// What a client has.
struct Client {
    frames: Mapping<Frames, ReadOnly>,
    claim: Mapping<Claim, ReadWrite>,
}

impl Client {
    fn new(descriptors: &[OwnedFd; 2]) -> Self {
        let frames = map(&descriptors[0]).expect("the frames are mapped for reading");
        let claim = map(&descriptors[1]).expect("the claim is mapped for writing");
        Self { frames, claim }
    }

    fn take(&self) -> usize {
        take(&self.frames, self.claim.writer())
    }

    fn frame(&self, index: usize) -> [u32; WORDS] {
        self.frames.frames[index].each_ref().map(|word| word.load(Relaxed))
    }
}

fn memory(size: usize) -> OwnedFd {
    let flags = MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC;
    let memory = memfd_create(c"frames", flags).expect("a memfd");
    nix::unistd::ftruncate(&memory, size as i64).expect("its length");
    memory
}

fn map<T: SharedMemory, A: common::shared::Access>(memory: &OwnedFd) -> Result<Mapping<T, A>> {
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    RecordFile::open(Path::new(&path), size_of::<T>())?.map()
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let server = Server::new();
    let (ours, theirs) = UnixStream::pair().expect("sockets");
    server.hand_out(&ours);
    let client = Client::new(&lab::receive_descriptors(&theirs));
    server.show([1; WORDS]);
    let frame = client.take();
    (2..5).for_each(|number| server.show([number; WORDS]));
    let (slow, newest) = (client.frame(frame), client.frame(client.take()));
    release(client.claim.writer());
    println!("A slow client still has {slow:?}, and then {newest:?}.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab, Process, Reached};
    use nix::errno::Errno;

    fn whole(frame: [u32; WORDS]) -> bool {
        frame == [frame[0]; WORDS]
    }

    #[test]
    fn role() {
        match lab::role().as_str() {
            "server" => {
                let server = Server::new();
                server.show([1; WORDS]);
                server.hand_out(&UnixStream::from(lab::given()));
                lab::one_step_at_a_time(|| {
                    (2..u32::MAX).for_each(|number| server.show([number; WORDS]))
                });
            }
            "client" => {
                let client =
                    Client::new(&lab::receive_descriptors(&UnixStream::from(lab::given())));
                let mut index = 0;
                lab::one_step_at_a_time(|| index = client.take());
                let frame = client.frame(index);
                assert!(whole(frame), "`take` returns a frame that is not whole: {frame:?}");
                lab::stop_here();
                let later = client.frame(index);
                assert!(frame == later, "a claimed frame: {frame:?}, and later: {later:?}");
            }
            _ => {}
        }
    }

    /// A server that shows one frame after the other, one instruction at a time, and what it hands out.
    fn server() -> (Process, [OwnedFd; 2]) {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let mut server = Process::start_with("server", &[], theirs.into());
        // From its first step on, a panic here can end it.
        go(&mut server, 1);
        (server, lab::receive_descriptors(&ours))
    }

    fn go(server: &mut Process, instructions: u32) {
        let reached = server.steps(instructions);
        assert!(reached == Ok(Reached::Instruction), "the server should go on, and: {reached:?}");
    }

    /// Has the server go on until it has shown one more frame, and says how many instructions that took.
    fn until_shown(server: &mut Process, client: &Client) -> u32 {
        let newest = || client.frames.newest.load(Relaxed);
        let before = newest();
        for instruction in 1..20_000 {
            go(server, 1);
            if newest() != before {
                return instruction;
            }
        }
        panic!("20000 instructions, and the server has shown no other frame");
    }

    /// How many instructions a frame takes.
    fn length_of(server: &mut Process, client: &Client) -> u32 {
        until_shown(server, client);
        until_shown(server, client)
    }

    #[test]
    fn a_client_may_look_and_claim_and_nothing_else() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let server = Server::new();
        let [frames, claim] = &server.descriptors;
        let client = Client::new(&server.descriptors);
        let error = map::<Frames, ReadWrite>(frames).err().and_then(|it| it.errno());
        assert!(
            error == Some(Errno::EPERM),
            "a writable mapping of the frames should be EPERM, and is {error:?} (None: it is there)"
        );
        for (what, memory) in [("the frames", frames), ("the claim", claim)] {
            for length in [0, 8192] {
                let answer = nix::unistd::ftruncate(memory, length);
                assert!(answer == Err(Errno::EPERM), "{what}, ftruncate to {length}: {answer:?}");
            }
            let more = FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_FUTURE_WRITE);
            let answer = fcntl(memory, more);
            assert!(answer == Err(Errno::EPERM), "{what}, one more seal: {answer:?}");
        }
        server.show([1; WORDS]);
        let frame = client.frame(client.take());
        assert!(frame == [1; WORDS], "the server has shown [1, ..], and the client has {frame:?}");
    }

    #[test]
    fn a_claim_can_be_any_word() {
        let _dog = lab::watchdog(10, "does `publish` wait for the claim?");
        let server = Server::new();
        let client = Client::new(&server.descriptors);
        let claims = (0..5).chain([1 << 31, u32::MAX - 1, u32::MAX]);
        for (number, claim) in (1..).zip(claims) {
            client.claim.writer().field(|it| &it.claimed).store(claim, Relaxed);
            server.show([number; WORDS]);
            let newest = client.frames.newest.load(Relaxed) as usize;
            let frame = client.frame(newest);
            assert!(frame == [number; WORDS], "claim {claim}, [{number}, ..] shown: {frame:?}");
        }
    }

    #[test]
    fn a_claim_can_change_at_any_moment() {
        let _dog = lab::watchdog(120, "the server waits");
        let (mut server, descriptors) = server();
        let client = Client::new(&descriptors);
        let length = length_of(&mut server, &client);
        for part in 0..40 {
            // First the one of the two that could be filled is claimed, and then the other one.
            until_shown(&mut server, &client);
            let newest = client.frames.newest.load(Relaxed);
            let [first, second] = [[1, 2], [0, 2], [0, 1]][newest as usize];
            for instruction in 0..length {
                let claimed = if instruction < length * part / 40 { first } else { second };
                client.claim.writer().field(|it| &it.claimed).store(claimed + 1, Relaxed);
                go(&mut server, 1);
            }
        }
    }

    #[test]
    fn a_fast_client_always_has_a_whole_frame() {
        let _dog = lab::watchdog(120, "the server or `take` waits");
        let (mut server, descriptors) = server();
        let client = Client::new(&descriptors);
        let length = length_of(&mut server, &client);
        let mut last = 0;
        for instruction in 1..4 * length {
            go(&mut server, 1);
            let frame = client.frame(client.take());
            release(client.claim.writer());
            let claimed = client.claim.claimed.load(Relaxed);
            assert!(claimed == 0, "after `release` the claim is {claimed}");
            assert!(
                whole(frame) && frame[0] >= last,
                "after instruction {instruction} the frame is {frame:?}, the one before was {last}"
            );
            last = frame[0];
        }
        assert!(last > 4, "in {length} instructions times 4 the server has shown {last} frames");
    }

    #[test]
    fn a_slow_client_keeps_its_frame() {
        let _dog = lab::watchdog(120, "the server or `take` waits");
        let (mut server, descriptors) = server();
        let client = Client::new(&descriptors);
        let length = length_of(&mut server, &client);
        for part in 0..5 {
            // Claimed while the server is in another place of `publish` each time.
            let index = client.take();
            let frame = client.frame(index);
            let before = client.frames.newest.load(Relaxed);
            for instruction in 0..length * 5 / 2 + length * part / 5 {
                go(&mut server, 1);
                let now = client.frame(index);
                assert!(
                    now == frame,
                    "claimed {frame:?}, {instruction} instructions later: {now:?}"
                );
            }
            let newest = client.frame(client.take());
            assert!(newest[0] > frame[0], "{before}: the server stands still beside a claim");
        }
    }

    #[test]
    fn a_client_is_stopped_while_it_takes_a_frame() {
        let _dog = lab::watchdog(120, "the server or `take` waits");
        let (mut server, descriptors) = server();
        let ours = Client::new(&descriptors);
        let length = length_of(&mut server, &ours);
        let start = || client(&descriptors);
        let steps = start().step_through(|_| ()).expect("`take` returns");
        for instruction in (1..steps).step_by(steps as usize / 20 + 1) {
            // The client before was killed, or has ended, with its claim.
            let mut client = start();
            client.steps(instruction).expect("it is on its way");
            // One frame is shown, and half of the next is filled.
            until_shown(&mut server, &ours);
            go(&mut server, length / 2);
            let ended = end(client, &mut server, length);
            assert!(
                ended == Ended::Exited(0),
                "stopped after instruction {instruction} of {steps} of `take`, while the server went on: {ended}"
            );
        }
    }

    /// A client that takes a frame, one instruction at a time.
    fn client(descriptors: &[OwnedFd; 2]) -> Process {
        let (to, theirs) = UnixStream::pair().expect("sockets");
        let client = Process::start_with("client", &[], theirs.into());
        lab::send_descriptors(&to, &descriptors.each_ref().map(|it| it.as_fd()));
        client
    }

    /// Has the client come to the end of `take`, look at its frame, and look again when the server has gone on.
    fn end(mut client: Process, server: &mut Process, length: u32) -> Ended {
        if let Err(ended) = client.run_on(libc::SYS_futex) {
            return ended;
        }
        if let Err(ended) = client.until_stopped() {
            return ended;
        }
        go(server, length);
        client.go_on();
        client.end()
    }

    #[test]
    fn a_client_is_stopped_again_and_again() {
        let _dog = lab::watchdog(120, "the server or `take` waits");
        let (mut server, descriptors) = server();
        let ours = Client::new(&descriptors);
        let length = length_of(&mut server, &ours);
        let steps = client(&descriptors).step_through(|_| ()).expect("`take` returns");
        for pause in (1..steps).step_by(steps as usize / 25 + 1) {
            let mut client = client(&descriptors);
            let mut stops = 0;
            while stops < 4 && client.steps(pause) == Ok(Reached::Instruction) {
                until_shown(&mut server, &ours);
                stops += 1;
            }
            if stops < 4 {
                // It has returned from `take`.
                continue;
            }
            go(&mut server, length / 2);
            let ended = end(client, &mut server, length);
            assert!(
                ended == Ended::Exited(0),
                "stopped 4 times, after {pause} instructions of `take` each time, while the server went on: {ended}"
            );
        }
    }

    /// loom tries all that Rust's memory model allows, also what your processor never does. It also sees to it
    /// that nobody stores a word of a frame while another may still be loading it.
    #[test]
    fn server_and_client_may_run_on_any_processor() {
        let _dog = lab::watchdog(120, "the server or `take` waits");
        let (frames, claim) = (Lab::<Frames>::new().for_ever(), Lab::<Claim>::new().for_ever());
        lab::in_all_orders!([&frames.newest, &*claim] watched [&frames.frames], {
            publish(frames, &claim, [1; WORDS]);
            let server = loom::thread::spawn(move || {
                for number in 2..4 {
                    publish(frames, &claim, [number; WORDS]);
                }
            });
            // The second one lets go of the first frame; nobody calls `release` in between.
            for _ in 0..2 {
                let index = take(&frames, claim);
                let frame = frames.frames[index].each_ref().map(|word| word.load(Relaxed));
                assert!(whole(frame), "on a processor that exchanges loads or stores: {frame:?}");
            }
            release(claim);
            server.join().expect("all are shown");
        });
    }
}
