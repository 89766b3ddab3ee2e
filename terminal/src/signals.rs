//! The signals that end a program, caught so that it can clean up first.

use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, raise, sigaction,
};

use crate::stop::Stop;

/// The signal that has asked this process to end, or 0.
pub(crate) static ENDING: AtomicU32 = AtomicU32::new(0);

/// The signals that end a wait.
const AWAITED: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD];

extern "C" fn note_signal(signal: i32) {
    // An atomic store, which is all that a handler may safely do. SIGCHLD is caught only to
    // interrupt a wait.
    if signal != Signal::SIGCHLD as i32 {
        ENDING.store(signal.cast_unsigned(), Ordering::Relaxed);
    }
}

/// Catches and blocks the signals that end a wait: sigaction(2), sigprocmask(2). Returns the mask that
/// lets them through, for the waits.
pub(crate) fn catch() -> nix::Result<SigSet> {
    let action =
        SigAction::new(SigHandler::Handler(note_signal), SaFlags::empty(), SigSet::empty());
    let mut blocked = SigSet::empty();
    for signal in AWAITED {
        // SAFETY: the handler makes a single store to an atomic, which is async-signal-safe.
        let before = unsafe { sigaction(signal, &action) }?;
        if matches!(before.handler(), SigHandler::SigIgn) && signal != Signal::SIGCHLD {
            // Whoever started us wants it ignored, as nohup does with SIGHUP.
            // SAFETY: this puts back what was in force a moment ago.
            unsafe { sigaction(signal, &before) }?;
        }
        blocked.add(signal);
    }
    // Blocked for good: a write beyond `ulimit -f` then fails with EFBIG instead of killing us.
    blocked.add(Signal::SIGXFSZ);
    let mut while_waiting = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    for signal in AWAITED {
        while_waiting.remove(signal);
    }
    while_waiting.add(Signal::SIGXFSZ);
    Ok(while_waiting)
}

/// Whether it is time to end.
pub(crate) fn ending() -> Result<(), Stop> {
    match ENDING.load(Ordering::Relaxed) {
        0 => Ok(()),
        signal => {
            Err(Stop::Signal(Signal::try_from(signal.cast_signed()).unwrap_or(Signal::SIGTERM)))
        }
    }
}

/// Ends this process by `signal`, as it would have ended without a handler: so whoever waits for it,
/// such as a shell with a loop, sees the truth.
pub(crate) fn end_by(signal: Signal) {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs none of our code.
    let _ = unsafe { sigaction(signal, &default) };
    let _ = raise(signal);
    let mut let_through = SigSet::empty();
    let_through.add(signal);
    let _ = let_through.thread_unblock();
}
