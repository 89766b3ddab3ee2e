//! The queue itself: messages of any length between one sender and one receiver, in words.
//!
//! A message is its length in bytes, in a word, and its bytes in as many words as they need. It becomes
//! visible as a whole, with one store of `put`; its places are free again with one store of `taken`.
//! Both count words, for ever: past `u32::MAX` comes 0. The place of word n is n mod `WORDS`.
//!
//! Each index has one side that stores it. That side keeps its own copy, in memory of its own, and never
//! loads it again: what the peer stores over it changes nothing. What the peer's index says is checked each
//! time it is loaded, and a length is loaded once and checked: a place is always one of the `WORDS`.
//!
//! The package `model` has loom check the orders, and that each is needed.

use std::sync::atomic::compiler_fence;

use super::atomic::{AtomicU32, Ordering, Place, fence};
use super::lines::{ReceiverLine, SenderLine, Side, SleepersLine};

/// In the place of a length: the stream ends here. No message is as long.
const END: u32 = u32::MAX;

/// A cache line for the sender, one for the receiver, one for who sleeps, and the places.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Queue<const WORDS: usize> {
    sender: SenderLine,
    receiver: ReceiverLine,
    sleepers: SleepersLine,
    places: [Place; WORDS],
}

/// Something stands in the ring that no honest peer stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Impossible {
    pub(crate) field: &'static str,
    pub(crate) found: u32,
}

/// What the sender keeps in memory of its own.
#[derive(Debug)]
pub(crate) struct SenderAt {
    put: u32,
    /// The receiver's index when it was loaded last: it may be further by now.
    taken: u32,
    packed: bool,
}

/// What the receiver keeps in memory of its own.
#[derive(Debug)]
pub(crate) struct ReceiverAt {
    taken: u32,
    /// Where the next message begins.
    next: u32,
    /// The sender's index when it was loaded last: it may be further by now.
    put: u32,
    packed: bool,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Message,
    /// Nothing, now.
    Empty,
    /// The end of the stream.
    End,
}

impl<const WORDS: usize> Default for Queue<WORDS> {
    /// Empty, as is a file of zeros.
    fn default() -> Self {
        Self {
            sender: SenderLine::default(),
            receiver: ReceiverLine::default(),
            sleepers: SleepersLine::default(),
            places: std::array::from_fn(|_| Place::default()),
        }
    }
}

impl<const WORDS: usize> Queue<WORDS> {
    #[allow(clippy::cast_possible_truncation, reason = "the assertion says so")]
    const PLACES: u32 = {
        assert!(WORDS.is_power_of_two() && WORDS >= 2 && WORDS <= 1 << 29, "no such ring");
        WORDS as u32
    };

    /// The bytes of the longest message: it fills the ring, beside its length.
    pub(crate) const LONGEST: u32 = (Self::PLACES - 1) * 4;

    /// Where a new sender goes on. There must be no other.
    pub(super) fn sender_at(&self, packed: bool) -> Result<SenderAt, Impossible> {
        let put = self.sender.put.load(Ordering::Relaxed);
        let taken = self.taken(packed).load(Ordering::Relaxed);
        Self::filled(put, taken, Impossible { field: "put", found: put })?;
        self.sender.begun.store(put, Ordering::Relaxed);
        // As if it were full: so `taken` is loaded again, in the order that it takes, before any store.
        Ok(SenderAt { put, taken: put.wrapping_sub(Self::PLACES), packed })
    }

    /// Where a new receiver goes on. There must be no other.
    pub(super) fn receiver_at(&self, packed: bool) -> Result<ReceiverAt, Impossible> {
        let taken = self.taken(packed).load(Ordering::Relaxed);
        let put = self.sender.put.load(Ordering::Relaxed);
        Self::filled(put, taken, Impossible { field: "taken", found: taken })?;
        self.receiver.received.store(taken, Ordering::Relaxed);
        // As if it were empty: so `put` is loaded again, in the order that it takes, before any place.
        Ok(ReceiverAt { taken, next: taken, put: taken, packed })
    }

    /// Puts a message in, or the end of the stream for `None`. Returns whether there was room.
    ///
    /// The message must not be longer than `LONGEST`.
    pub(super) fn send(
        &self,
        at: &mut SenderAt,
        message: Option<&[u8]>,
    ) -> Result<bool, Impossible> {
        let bytes = message.unwrap_or_default();
        let length = u32::try_from(bytes.len()).unwrap_or(END).min(Self::LONGEST);
        let words = 1 + length.div_ceil(4);
        if Self::PLACES - at.put.wrapping_sub(at.taken) < words {
            // Pairs with the store in `release`: what was there has been loaded.
            let taken = self.taken(at.packed).load(Ordering::Acquire);
            let filled = Self::filled(at.put, taken, Impossible { field: "taken", found: taken })?;
            at.taken = taken;
            if Self::PLACES - filled < words {
                return Ok(false);
            }
        }
        let end = at.put.wrapping_add(words);
        self.sender.begun_bytes.store(length, Ordering::Relaxed);
        self.sender.begun.store(end, Ordering::Relaxed);
        // Who comes after a kill must find the note of what was begun. A kill falls between two
        // instructions, and sees the stores before them all; so only the compiler must keep their order.
        compiler_fence(Ordering::Release);
        let first = message.map_or(END, |_| length);
        self.place(at.put).store(first, Ordering::Relaxed);
        // Whole words apart from the rest: a copy of 4 bytes is one instruction, one of some bytes a call.
        let (whole, rest) = bytes.as_chunks::<4>();
        let mut place = at.put;
        for word in whole {
            place = place.wrapping_add(1);
            self.place(place).store(u32::from_ne_bytes(*word), Ordering::Relaxed);
        }
        if !rest.is_empty() {
            let mut word = [0; 4];
            word[..rest.len()].copy_from_slice(rest);
            self.place(place.wrapping_add(1)).store(u32::from_ne_bytes(word), Ordering::Relaxed);
        }
        // Pairs with the load in `receive`: the message is there.
        self.sender.put.store(end, Ordering::Release);
        at.put = end;
        Ok(true)
    }

    /// Copies the next message into `message`. It stays in the ring until `release`.
    pub(super) fn receive(
        &self,
        at: &mut ReceiverAt,
        message: &mut Vec<u8>,
    ) -> Result<Received, Impossible> {
        message.clear();
        if at.put == at.next {
            // Pairs with the store in `send`: what is counted is there.
            let put = self.sender.put.load(Ordering::Acquire);
            let broken = Impossible { field: "put", found: put };
            let filled = Self::filled(put, at.taken, broken)?;
            if filled < at.next.wrapping_sub(at.taken) {
                return Err(broken);
            }
            at.put = put;
            if put == at.next {
                return Ok(Received::Empty);
            }
        }
        let there = at.put.wrapping_sub(at.next);
        // Loaded once: between two loads it could change.
        let length = self.place(at.next).load(Ordering::Relaxed);
        if length == END {
            at.next = at.next.wrapping_add(1);
            self.receiver.received.store(at.next, Ordering::Relaxed);
            return Ok(Received::End);
        }
        let words = 1 + length.div_ceil(4);
        if words > there {
            return Err(Impossible { field: "length", found: length });
        }
        // Room for all words at once: asked after at every word, it would cost more than the word.
        message.resize((words - 1) as usize * 4, 0);
        let mut place = at.next;
        for word in message.as_chunks_mut::<4>().0 {
            place = place.wrapping_add(1);
            *word = self.place(place).load(Ordering::Relaxed).to_ne_bytes();
        }
        message.truncate(length as usize);
        at.next = at.next.wrapping_add(words);
        self.receiver.received.store(at.next, Ordering::Relaxed);
        Ok(Received::Message)
    }

    /// Gives back the places of all that was received.
    pub(super) fn release(&self, at: &mut ReceiverAt) {
        // Pairs with the load in `send`: the places may be stored to.
        self.taken(at.packed).store(at.next, Ordering::Release);
        at.taken = at.next;
    }

    /// Before `side` sleeps: from now on the other one wakes it.
    pub(super) fn will_sleep(&self, side: Side) {
        self.sleeper(side).store(1, Ordering::Relaxed);
        // The note, then the look at the index that futex(2) makes. Pairs with the fence in
        // `must_wake`: there it is the index, then the look at the note. One of the two sees the other.
        fence(Ordering::SeqCst);
    }

    /// After `side` has slept.
    pub(super) fn is_awake(&self, side: Side) {
        self.sleeper(side).store(0, Ordering::Relaxed);
    }

    /// After an index was stored: whether `side` sleeps, or is about to.
    pub(super) fn must_wake(&self, side: Side) -> bool {
        // Pairs with the fence in `will_sleep`.
        fence(Ordering::SeqCst);
        self.sleeper(side).load(Ordering::Relaxed) != 0
    }

    /// What `side` sleeps on: the other one's index, and what it was when it was loaded last.
    pub(super) fn sender_sleeps_on<'a>(&'a self, at: &SenderAt) -> (&'a AtomicU32, u32) {
        (self.taken(at.packed), at.taken)
    }

    /// As [`Queue::sender_sleeps_on`].
    pub(super) fn receiver_sleeps_on<'a>(&'a self, at: &ReceiverAt) -> (&'a AtomicU32, u32) {
        (&self.sender.put, at.put)
    }

    /// The index that `side` stores.
    pub(super) fn index(&self, side: Side, packed: bool) -> &AtomicU32 {
        match side {
            Side::Sender => &self.sender.put,
            Side::Receiver => self.taken(packed),
        }
    }

    /// Where `side` leaves its process id.
    pub(super) fn pid(&self, side: Side) -> &AtomicU32 {
        match side {
            Side::Sender => &self.sender.pid,
            Side::Receiver => &self.receiver.pid,
        }
    }

    /// What `side` has begun and not finished, if it was killed: for the sender the bytes of a message
    /// that nobody has seen, for the receiver those of the words that it has received and not released.
    pub(super) fn unfinished(&self, side: Side, packed: bool) -> u32 {
        let load = |word: &AtomicU32| word.load(Ordering::Relaxed);
        match side {
            Side::Sender if load(&self.sender.begun) == load(&self.sender.put) => 0,
            Side::Sender => load(&self.sender.begun_bytes).min(Self::LONGEST),
            Side::Receiver => {
                let words = load(&self.receiver.received).wrapping_sub(load(self.taken(packed)));
                if words <= Self::PLACES { words * 4 } else { 0 }
            }
        }
    }

    fn taken(&self, packed: bool) -> &AtomicU32 {
        if packed { &self.sender.packed_taken } else { &self.receiver.taken }
    }

    fn sleeper(&self, side: Side) -> &AtomicU32 {
        match side {
            Side::Sender => &self.sleepers.sender,
            Side::Receiver => &self.sleepers.receiver,
        }
    }

    fn place(&self, index: u32) -> &Place {
        &self.places[index as usize & (WORDS - 1)]
    }

    /// How many words there are, if that can be.
    fn filled(put: u32, taken: u32, broken: Impossible) -> Result<u32, Impossible> {
        let filled = put.wrapping_sub(taken);
        if filled <= Self::PLACES { Ok(filled) } else { Err(broken) }
    }
}
