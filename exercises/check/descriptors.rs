//! Descriptors that travel over a Unix socket: unix(7), `SCM_RIGHTS`.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Sends descriptors: sendmsg(2). What arrives are new descriptors of the same objects.
///
/// # Panics
///
/// If nobody is there to receive them.
pub fn send_descriptors(to: &UnixStream, descriptors: &[BorrowedFd<'_>]) {
    let raw: Vec<RawFd> = descriptors.iter().map(|it| it.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    // One byte, because a message without any carries no descriptors.
    let byte = [IoSlice::new(&[0])];
    sendmsg::<()>(to.as_raw_fd(), &byte, &rights, MsgFlags::MSG_NOSIGNAL, None).expect("sendmsg");
}

/// Receives descriptors: recvmsg(2).
///
/// # Panics
///
/// If a message comes without any, or none comes.
pub fn receive_descriptors(from: &UnixStream) -> Vec<OwnedFd> {
    let mut room = cmsg_space!([RawFd; 8]);
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(from.as_raw_fd(), &mut bytes, Some(&mut room), flags);
    let message = message.expect("recvmsg");
    let mut received = message.cmsgs().expect("a whole message");
    let Some(ControlMessageOwned::ScmRights(descriptors)) = received.next() else {
        panic!("a message without descriptors")
    };
    // SAFETY: the kernel has just made these descriptors for this process, and nobody else knows them.
    descriptors.into_iter().map(|it| unsafe { OwnedFd::from_raw_fd(it) }).collect()
}
