//! What happens when a mapped file is truncated: SIGBUS, and a message instead of a core dump.
//!
//! A page of a mapping that lies wholly beyond the end of its file has no memory behind it, so a
//! load or store there cannot be carried out, and the kernel sends SIGBUS. No check beforehand
//! helps: the file can be truncated between the check and the access. See mmap(2).

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

use crate::error::{Error, Result};

/// The mapping that the handler speaks for, and its last words.
struct Watched {
    addresses: Range<usize>,
    message: String,
    /// False once it is unmapped.
    mapped: AtomicBool,
}

static WATCHED: AtomicPtr<Watched> = AtomicPtr::new(ptr::null_mut());

/// Makes a SIGBUS at one of `addresses` print `message` on stderr and end the process with exit
/// status 1: sigaction(2). Any other SIGBUS still dumps core.
///
/// # Errors
///
/// None that sigaction(2) gives for SIGBUS.
pub(crate) fn explain(addresses: Range<usize>, message: String) -> Result<()> {
    // Never freed: a signal may arrive at any moment until the process ends.
    let watched =
        Box::leak(Box::new(Watched { addresses, message, mapped: AtomicBool::new(true) }));
    WATCHED.store(watched, Ordering::Release);
    let action =
        SigAction::new(SigHandler::SigAction(on_sigbus), SaFlags::SA_SIGINFO, SigSet::empty());
    // SAFETY: the handler makes only async-signal-safe calls: write, _exit, sigaction and raise.
    unsafe { sigaction(Signal::SIGBUS, &action) }
        .map_err(|errno| Error::new("sigaction", "SIGBUS", errno))?;
    Ok(())
}

/// Ends the watch over the mapping that starts at `address`, if it is the one.
pub(crate) fn forget(address: usize) {
    // SAFETY: the pointer is null or comes from `Box::leak`.
    if let Some(watched) = unsafe { WATCHED.load(Ordering::Acquire).as_ref() }
        && watched.addresses.start == address
    {
        watched.mapped.store(false, Ordering::Relaxed);
    }
}

extern "C" fn on_sigbus(_signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a siginfo_t that is valid while the handler runs.
    let info = unsafe { &*info };
    // Above 0 for a fault; not if a process has sent the signal, which has no address then.
    let is_fault = info.si_code > 0;
    // SAFETY: for SIGBUS the address is there, if only as other bytes where it is not a fault.
    let address = unsafe { info.si_addr() };
    // SAFETY: the pointer is null or comes from `Box::leak`.
    let watched = unsafe { WATCHED.load(Ordering::Acquire).as_ref() };
    match watched {
        Some(watched)
            if is_fault
                && watched.mapped.load(Ordering::Relaxed)
                && watched.addresses.contains(&address.addr()) =>
        {
            let message = watched.message.as_bytes();
            // SAFETY: the pointer and the length are those of a slice that lives for ever.
            unsafe { libc::write(libc::STDERR_FILENO, message.as_ptr().cast(), message.len()) };
            // SAFETY: _exit takes a number and does not return; unlike exit it runs no handlers.
            unsafe { libc::_exit(1) }
        }
        _ => {
            let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
            // SAFETY: the default action runs none of our code.
            let _ = unsafe { sigaction(Signal::SIGBUS, &default) };
            // It takes effect when this handler returns, whoever has sent the first one.
            let _ = raise(Signal::SIGBUS);
        }
    }
}
