//! Descriptors that go from one process to another over a Unix socket: sendmsg(2), recvmsg(2) with
//! `SCM_RIGHTS`, and who is at the other end. See unix(7).
//!
//! So memory without a name is shared by processes that are not parent and child: memfd_create(2).

use std::ffi::c_void;
use std::fs::File;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;

use nix::errno::Errno;

use crate::error::{Error, Refusal, Result};

/// Who is at the other end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The process that has connected or listened. By now another may have this number.
    pub pid: i32,
    /// Its effective user id at that moment. The kernel says so, not the peer.
    pub uid: u32,
}

const UCRED: libc::socklen_t = 12;
const _: () = assert!(size_of::<libc::ucred>() == UCRED as usize);

/// Who has connected to this socket, or listened there: getsockopt(2) `SO_PEERCRED`.
///
/// # Errors
///
/// None that the kernel gives for a connected stream.
pub fn peer(socket: &UnixStream) -> Result<Credentials> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = UCRED;
    // SAFETY: the kernel writes at most `length` bytes, and so many has a `ucred`.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut length,
        )
    };
    Errno::result(done).map_err(|errno| Error::new("getsockopt", "SO_PEERCRED", errno))?;
    Ok(Credentials { pid: found.pid, uid: found.uid })
}

/// One control message with room for `N` descriptors: what `CMSG_DATA` finds is the second field.
#[repr(C)]
struct Control<const N: usize> {
    header: libc::cmsghdr,
    descriptors: [RawFd; N],
}

/// As many as Linux sends in one message (`SCM_MAX_FD`).
const MOST: usize = 253;

const HEADER: usize = size_of::<libc::cmsghdr>();

impl<const N: usize> Control<N> {
    fn empty() -> Self {
        let header = libc::cmsghdr { cmsg_len: 0, cmsg_level: 0, cmsg_type: 0 };
        Self { header, descriptors: [-1; N] }
    }
}

/// A message of the bytes in `bytes` and of `length` bytes of control message.
fn message(bytes: &mut libc::iovec, control: *mut c_void, length: usize) -> libc::msghdr {
    libc::msghdr {
        msg_name: ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: bytes,
        msg_iovlen: 1,
        msg_control: control,
        msg_controllen: length,
        msg_flags: 0,
    }
}

fn one_byte(byte: &mut u8) -> libc::iovec {
    libc::iovec { iov_base: ptr::from_mut(byte).cast(), iov_len: 1 }
}

/// Sends one byte, and a descriptor of `file` with it: sendmsg(2) with `SCM_RIGHTS`. The receiver gets
/// a descriptor of its own for the same open file, with the same rights; `file` stays open here.
///
/// # Errors
///
/// `EPIPE` or `ECONNRESET` if nobody is there any more; `EAGAIN` on a non-blocking socket whose buffer
/// is full.
pub fn send(socket: &UnixStream, file: &File) -> Result<()> {
    send_all(socket, [file.as_raw_fd()])
}

fn send_all<const N: usize>(socket: &UnixStream, descriptors: [RawFd; N]) -> Result<()> {
    let length = HEADER + size_of_val(&descriptors);
    let mut control = Control::<N>::empty();
    control.descriptors = descriptors;
    control.header.cmsg_len = length;
    control.header.cmsg_level = libc::SOL_SOCKET;
    control.header.cmsg_type = libc::SCM_RIGHTS;
    // A message of no bytes would carry no descriptor.
    let mut byte = 0;
    let mut bytes = one_byte(&mut byte);
    let message = message(&mut bytes, (&raw mut control).cast(), length);
    // SAFETY: the header points to one byte and to one control message, which live until the end of
    // this function; the kernel only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    Errno::result(sent).map_err(|errno| Error::new("sendmsg", "a descriptor", errno))?;
    Ok(())
}

/// Waits for one byte with one descriptor: recvmsg(2) with `MSG_CMSG_CLOEXEC`. What the descriptor
/// leads to is the sender's choice, and can be anything: look before you use it. The socket must be
/// one without `SO_PASSCRED` and its kin, whose messages would come first.
///
/// # Errors
///
/// `EAGAIN` on a socket that does not block, or whose time-out is over. Refused: the end of the stream, a
/// byte without a descriptor, and more than one descriptor; all that came are closed then.
pub fn receive(socket: &UnixStream) -> Result<File> {
    // Room for as many as the kernel sends, so that each that it has opened here is seen, and closed.
    let mut control = Control::<MOST>::empty();
    let mut byte = 0;
    let mut bytes = one_byte(&mut byte);
    let mut message = message(&mut bytes, (&raw mut control).cast(), size_of_val(&control));
    let received = loop {
        // SAFETY: the header points to one byte and to the control message, which live until the end
        // of this function and may be written; the lengths are theirs.
        let received =
            unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        match Errno::result(received) {
            Err(Errno::EINTR) => {}
            received => break received,
        }
    };
    let received = received.map_err(|errno| Error::new("recvmsg", "a descriptor", errno))?;
    let mut descriptors = descriptors(&control);
    let why = match (received, descriptors.pop(), descriptors.is_empty()) {
        (0, ..) => "the other side has closed the connection",
        (_, Some(file), true) => return Ok(File::from(file)),
        (_, None, _) => "a byte came without a descriptor",
        (..) => "more than one descriptor came",
    };
    Err(Error::refused("recvmsg", "a descriptor", Refusal::Other(why.into())))
}

/// The descriptors that recvmsg(2) has opened. Nobody else has them.
fn descriptors(control: &Control<MOST>) -> Vec<OwnedFd> {
    let Control { header, descriptors } = control;
    // Without a control message the kernel leaves the header as it was: of no level and no type.
    let is_rights = (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS);
    if !is_rights {
        return Vec::new();
    }
    let bytes = header.cmsg_len.saturating_sub(HEADER);
    let count = (bytes / size_of::<RawFd>()).min(descriptors.len());
    descriptors[..count]
        .iter()
        // SAFETY: the kernel has just opened it for this process, and nobody else knows it.
        .map(|&descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::c_int;
    use std::io::{Read as _, Write as _};

    fn pair() -> (UnixStream, UnixStream, File) {
        let (one, other) = UnixStream::pair().expect("sockets");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        // How many descriptors of the writing end there are is seen by the end of the stream.
        send(&one, &File::from(OwnedFd::from(writer))).expect("sent");
        (one, other, File::from(OwnedFd::from(reader)))
    }

    #[test]
    fn the_same_open_file_arrives() {
        let (_one, other, mut reader) = pair();
        let mut received = receive(&other).expect("a descriptor");
        received.write_all(b"hello").expect("written");
        drop(received);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("the end: nobody else has the writing end");
        assert_eq!(text, "hello");
    }

    #[test]
    fn what_is_not_one_descriptor_is_refused_and_closed() {
        let (one, other, mut reader) = pair();
        let writer = receive(&other).expect("a descriptor");
        // As somebody does who keeps to no rule.
        send_all(&one, [writer.as_raw_fd(); 2]).expect("sent");
        send_all(&one, [writer.as_raw_fd(); MOST]).expect("sent");
        (&one).write_all(&[0]).expect("a byte alone");
        drop((one, writer));
        for why in ["more than one", "more than one", "without a descriptor", "closed"] {
            let error = receive(&other).expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(reader.read(&mut [0]).expect("the end: all have been closed"), 0);
    }

    #[test]
    fn the_kernel_says_who_is_there() {
        let (one, _other, _reader) = pair();
        let peer = peer(&one).expect("a peer");
        assert_eq!(peer.pid.cast_unsigned(), std::process::id());
    }

    #[test]
    fn what_else_a_control_message_holds_is_no_descriptor() {
        let (one, other) = UnixStream::pair().expect("sockets");
        let on: c_int = 1;
        // SAFETY: the pointer is to an int, as SO_PASSCRED wants it, which outlives the call.
        let done = unsafe {
            let (level, name) = (libc::SOL_SOCKET, libc::SO_PASSCRED);
            libc::setsockopt(other.as_raw_fd(), level, name, (&raw const on).cast(), 4)
        };
        assert_eq!(done, 0);
        // It comes with the sender's pid, uid and gid: three numbers.
        (&one).write_all(&[0]).expect("a byte");
        let error = receive(&other).expect_err("refused").to_string();
        assert!(error.contains("without a descriptor"), "{error}");
    }
}
