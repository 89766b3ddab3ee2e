//! Descriptors that travel over a Unix socket, one after the other: see `common::descriptor`.

use std::array;
use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use common::descriptor;

/// Sends descriptors: sendmsg(2). What arrives are new descriptors of the same objects.
///
/// # Panics
///
/// If nobody is there to receive them.
pub fn send_descriptors(to: &UnixStream, descriptors: &[BorrowedFd<'_>]) {
    for it in descriptors {
        let file = File::from(it.try_clone_to_owned().expect("dup"));
        descriptor::send(to, &file).expect("sent");
    }
}

/// Receives so many descriptors: recvmsg(2).
///
/// # Panics
///
/// If something else comes, or nothing.
pub fn receive_descriptors<const N: usize>(from: &UnixStream) -> [OwnedFd; N] {
    array::from_fn(|_| descriptor::receive(from).expect("a descriptor").into())
}
