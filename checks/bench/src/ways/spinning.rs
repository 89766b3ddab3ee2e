//! Who waits looks again and again. Nobody calls the kernel.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use common::mapping::Mapping;
use common::sync::seqlock::SeqLock;
use common::sync::two_slots::TwoSlots;
use common::{ReadWrite, SharedU32};

use crate::way::{Result, THERE, Way};

/// The floor: one word in one cache line, which goes back and forth by compare-and-swap. It carries
/// nothing but the message's number.
///
/// The first process makes an even number odd, the second makes it even again; each tries until it can.
pub struct CacheLine(Mapping<SharedU32, ReadWrite>);

impl Way for CacheLine {
    fn new(_: usize) -> Result<Self> {
        Ok(Self(Mapping::anonymous()?))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        let now = turn(out, message[0]);
        // `receive` has seen it, so this is the process whose turn it is.
        let taken = self.0.writer().compare_exchange(now.wrapping_sub(1), now, AcqRel, Relaxed);
        taken.map(drop).map_err(|found| format!("{found} is not the turn before {now}").into())
    }

    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()> {
        let awaited = turn(from, number);
        // The compare-and-swap changes nothing, but has the cache line come for a store at once.
        while self.0.writer().compare_exchange(awaited, awaited, Acquire, Relaxed).is_err() {}
        crate::way::fill(message, number);
        Ok(())
    }
}

/// What the word is once message `number` was sent in a direction.
fn turn(out: usize, number: u32) -> u32 {
    number.wrapping_mul(2).wrapping_sub(u32::from(out == THERE))
}

/// Our seqlock: one for each direction.
pub struct Seq<const WORDS: usize>([Mapping<SeqLock<WORDS>, ReadWrite>; 2]);

impl<const WORDS: usize> Way for Seq<WORDS> {
    fn new(_: usize) -> Result<Self> {
        Ok(Self([Mapping::anonymous()?, Mapping::anonymous()?]))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        let message: &[u32; WORDS] = message.try_into()?;
        self.0[out].writer().publish_with(|index| message[index]);
        Ok(())
    }

    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()> {
        let shared = &self.0[from];
        loop {
            // Seen before the snapshot: what is published after it has another number.
            let seen = shared.sequence();
            if let Ok(found) = shared.snapshot(u32::MAX)
                && found[0] == number
            {
                message.copy_from_slice(&found);
                return Ok(());
            }
            // Not yet while it is odd: a look at the words would take their cache lines from the writer.
            loop {
                let now = shared.sequence();
                if now != seen && now.is_multiple_of(2) {
                    break;
                }
            }
        }
    }
}

/// Our two slots: a pair for each direction.
pub struct Two<const WORDS: usize>([Mapping<TwoSlots<WORDS>, ReadWrite>; 2]);

impl<const WORDS: usize> Way for Two<WORDS> {
    fn new(_: usize) -> Result<Self> {
        Ok(Self([Mapping::anonymous()?, Mapping::anonymous()?]))
    }

    fn send(&mut self, out: usize, message: &[u32]) -> Result<()> {
        let message: &[u32; WORDS] = message.try_into()?;
        self.0[out].writer().publish(|index| message[index]);
        Ok(())
    }

    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()> {
        loop {
            if let Ok(found) = self.0[from].snapshot(u32::MAX)
                && found[0] == number
            {
                message.copy_from_slice(&found);
                return Ok(());
            }
        }
    }
}
