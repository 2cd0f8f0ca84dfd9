//! MI over datagrams: a JSON request in one, the reply in another.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::path::Path;

use nix::sys::socket::sockopt::PassCred;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, UnixAddr, UnixCredentials, recvmsg, setsockopt,
};
use serde_json::Value;

use super::Exchange;
use super::error::{Error, Result};
use super::fifo::{kind_of, look_at};
use super::message::Fault;

/// In bytes; more than the daemon ever sends (`DATAGRAM_SOCK_BUF_SIZE`, 65457).
const LONGEST: usize = 65_536;

impl Exchange<'_> {
    pub(super) fn over_datagram(&self, address: SocketAddr) -> Result<Value> {
        let own = match address {
            SocketAddr::V4(_) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
            SocketAddr::V6(_) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
        };
        let failed = |source| self.unreachable(source);
        let socket = UdpSocket::bind(own).map_err(failed)?;
        // The kernel then delivers from this address alone, and reports that no socket is there.
        socket.connect(address).map_err(failed)?;
        socket.send(self.request).map_err(failed)?;
        self.receive(|buffer| {
            socket.set_read_timeout(Some(self.left().max(SHORTEST)))?;
            socket.recv(buffer).map(Some)
        })
    }

    pub(super) fn over_unix_datagram(&self, path: &Path) -> Result<Value> {
        let failed = |source: io::Error| self.unreachable(source);
        let (file, metadata) = look_at(path).map_err(failed)?;
        if !metadata.file_type().is_socket() {
            let found = kind_of(metadata.file_type());
            return Err(Error::WrongKind { path: path.to_owned(), found, expected: "socket" });
        }
        self.trust(path, metadata.uid())?;
        // An address in the abstract name space leaves no file behind. Every user can read it in
        // /proc/net/unix and send to it, so it must not be the id, which identifies the answer.
        let name = format!("smartvox-mi-{}", hostproc::token());
        let own = UnixAddress::from_abstract_name(name).map_err(failed)?;
        let socket = UnixDatagram::bind_addr(&own).map_err(failed)?;
        // Not connected, because the daemon answers from a second socket, which has no name. So the
        // kernel adds the sender's user to each datagram (unix(7), SO_PASSCRED).
        setsockopt(&socket, PassCred, &true).map_err(|errno| failed(errno.into()))?;
        socket.set_write_timeout(Some(self.left().max(SHORTEST))).map_err(failed)?;
        // The file that was checked, whatever has its name by now.
        let checked = format!("/proc/self/fd/{}", file.as_raw_fd());
        match socket.send_to(self.request, checked) {
            Ok(_) => {}
            Err(error) if is_timeout(&error) => return Err(self.timed_out(0)),
            Err(error) => return Err(failed(error)),
        }
        self.receive(|buffer| {
            socket.set_read_timeout(Some(self.left().max(SHORTEST)))?;
            let (length, sender) = receive_from_user(&socket, buffer)?;
            Ok(sender.is_some_and(|user| self.is_trusted(user)).then_some(length))
        })
    }

    /// Receives the answer. Other datagrams are skipped, because every user can send one; the fault
    /// of the last one is returned if no answer comes. `next` returns the length of a datagram, or
    /// nothing for one of another user.
    fn receive(
        &self,
        mut next: impl FnMut(&mut [u8]) -> io::Result<Option<usize>>,
    ) -> Result<Value> {
        let mut buffer = vec![0; LONGEST];
        let mut fault = None;
        while !self.left().is_zero() {
            let length = match next(&mut buffer) {
                Ok(Some(length)) => length,
                Ok(None) => {
                    fault = Some(self.fault(Fault::Garbled(STRANGER)));
                    continue;
                }
                Err(error) if is_timeout(&error) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.unreachable(error)),
            };
            match self.judge(buffer.get(..length).unwrap_or_default()) {
                Err(error @ (Error::Garbled { .. } | Error::OldForm { .. })) => {
                    fault = Some(error);
                }
                judged => return judged,
            }
        }
        Err(fault.unwrap_or_else(|| self.timed_out(0)))
    }
}

/// The fault of a datagram of another user.
const STRANGER: &str = "it comes from a user that is neither root nor the daemon's";

/// The next datagram: its length, and the user that has sent it.
fn receive_from_user(socket: &UnixDatagram, buffer: &mut [u8]) -> io::Result<(usize, Option<u32>)> {
    // There is room for nothing else, so that the kernel closes descriptors that are sent along.
    let mut control = nix::cmsg_space!(UnixCredentials);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let sender = message.cmsgs()?.find_map(|one| match one {
        ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.uid()),
        _ => None,
    });
    Ok((message.bytes, sender))
}

/// Sockets take zero as no limit.
const SHORTEST: std::time::Duration = std::time::Duration::from_millis(1);

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
