//! What every way to hand over a message has in common.
//!
//! A message is 32-bit words. The first is its number, and all others follow from it: so whoever
//! receives a message can tell whether it is the right one, and whole.

use std::error::Error;

/// The error of a measurement: whatever the crate that is measured says.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many words the record of the lessons has: 68 bytes.
pub const RECORD: usize = 17;

/// From the process that asks to the one that answers.
pub const THERE: usize = 0;
/// And back.
pub const BACK: usize = 1;

/// A way to hand over messages between two processes, in both directions.
///
/// It is made before the fork, and both processes have their copy of it.
pub trait Way: Sized {
    /// Makes what both processes inherit, for messages of `words` words.
    ///
    /// # Errors
    ///
    /// Those of the calls that it makes.
    fn new(words: usize) -> Result<Self>;

    /// Called in each process after the fork; `out` is the direction in which it sends.
    ///
    /// # Errors
    ///
    /// Those of the calls that it makes.
    fn open(&mut self, _out: usize) -> Result<()> {
        Ok(())
    }

    /// Hands over `message` in the direction `out`.
    ///
    /// # Errors
    ///
    /// Those of the calls that it makes.
    fn send(&mut self, out: usize, message: &[u32]) -> Result<()>;

    /// Waits for message `number` from the direction `from`, and takes it.
    ///
    /// # Errors
    ///
    /// Those of the calls that it makes.
    fn receive(&mut self, from: usize, number: u32, message: &mut [u32]) -> Result<()>;

    /// Makes message `number` and hands it over. A way that lets a process write where the other reads
    /// needs no `buffer`.
    ///
    /// # Errors
    ///
    /// Those of [`Way::send`].
    fn produce(&mut self, out: usize, number: u32, buffer: &mut [u32]) -> Result<()> {
        fill(buffer, number);
        self.send(out, buffer)
    }

    /// Waits for message `number` and checks every word of it.
    ///
    /// # Errors
    ///
    /// Those of [`Way::receive`], and a message that is not whole.
    fn consume(&mut self, from: usize, number: u32, buffer: &mut [u32]) -> Result<()> {
        self.receive(from, number, buffer)?;
        check(buffer, number)
    }

    /// Called in each process at its end, which drops nothing.
    fn close(&mut self) {}
}

/// Word `index` of message `number`.
#[inline]
#[must_use]
pub fn word(number: u32, index: u32) -> u32 {
    number.wrapping_add(index.wrapping_mul(0x9E37_79B9))
}

/// Makes message `number`.
#[inline]
pub fn fill(message: &mut [u32], number: u32) {
    for (word_of_it, index) in message.iter_mut().zip(0..) {
        *word_of_it = word(number, index);
    }
}

/// Whether `message` is message `number`, and whole.
///
/// # Errors
///
/// If it is not.
#[inline]
pub fn check(message: &[u32], number: u32) -> Result<()> {
    // No early end: then the compiler can compare many words at once.
    let wrong =
        message.iter().zip(0..).fold(0, |wrong, (found, at)| wrong | (found ^ word(number, at)));
    if wrong == 0 { Ok(()) } else { Err(torn(message, number)) }
}

#[cold]
fn torn(message: &[u32], number: u32) -> Box<dyn Error> {
    let at = message.iter().zip(0..).position(|(found, at)| *found != word(number, at));
    format!("message {number} is not whole: word {at:?} of {} is wrong", message.len()).into()
}
