//! Answers requests as the script and the fault switches say, and serves a UDP socket with them.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockaddrStorage, getsockname, recvfrom, sendto};

use crate::error::Error;
use crate::faults::{Faults, SipAnswer};
use crate::log::{self, Level};
use crate::shared::Shared;
use crate::sip::{self, Message, Request};
use crate::worker::Never;

/// What is shorter is no SIP, and dropped without a word.
const MIN_UDP_PACKET: usize = 20;

pub(crate) struct Answerer<'f> {
    faults: &'f Faults,
    shared: Shared,
    id: usize,
    requests: AtomicU64,
}

impl<'f> Answerer<'f> {
    pub(crate) fn new(faults: &'f Faults, shared: Shared, id: usize) -> Self {
        Self { faults, shared, id, requests: AtomicU64::new(0) }
    }

    /// The request and its response, None where there is nothing to answer or it shall not be.
    pub(crate) fn answer(
        &self,
        message: &[u8],
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Option<(Request, String)> {
        let request = match sip::parse(message) {
            Message::Request(request) => request,
            Message::Silent => return None,
            Message::Bad => {
                let text = format!("Unable to parse msg received from [{peer}]");
                log::line(Level::Error, "core:receive_msg", text);
                return None;
            }
        };
        let requests = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        // A statistic that can't be written is no reason not to answer.
        let _ = self.shared.set_requests(self.id, requests);
        if self.faults.sip_silent_port == Some(local.port()) {
            return None;
        }
        let scripted = request.status()?;
        let status = match self.faults.sip_answer {
            SipAnswer::Script => scripted,
            SipAnswer::Nothing => return None,
            SipAnswer::Status(status) => status,
        };
        thread::sleep(self.faults.sip_delay);
        let response = request.response(status, peer, local);
        Some((request, response))
    }

    /// Serves an inherited socket for good.
    pub(crate) fn serve_udp(&self, socket: RawFd) -> Result<Never, Error> {
        let failed = |errno| Error::system("UDP receiver", errno);
        let local = getsockname::<SockaddrStorage>(socket)
            .ok()
            .and_then(|address| socket_address(&address))
            .ok_or(Error::Inheritance("UDP socket"))?;
        let mut buffer = vec![0; 65_535];
        loop {
            let (length, peer) = match recvfrom::<SockaddrStorage>(socket, &mut buffer) {
                Ok((length, peer)) => (length, peer.and_then(|peer| socket_address(&peer))),
                // ICMP errors about earlier answers arrive here.
                Err(Errno::EINTR | Errno::ECONNREFUSED) => continue,
                Err(errno) => return Err(failed(errno)),
            };
            let message = buffer.get(..length).filter(|_| length >= MIN_UDP_PACKET);
            let (Some(message), Some(peer)) = (message, peer) else { continue };
            if let Some((request, response)) = self.answer(message, peer, local) {
                let mut destination = peer;
                destination.set_port(request.response_port(peer));
                let destination = SockaddrStorage::from(destination);
                // As the daemon: an answer that can't be sent (address gone) is logged, no more.
                if let Err(errno) =
                    sendto(socket, response.as_bytes(), &destination, MsgFlags::empty())
                {
                    let text = format!("sendto(sock,{peer}): {}({})", errno.desc(), errno as i32);
                    log::line(Level::Error, "core:udp_send", text);
                }
            }
        }
    }
}

/// None for an address family that is not IP.
fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::V4(SocketAddrV4::from(*v4)));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6)))
}
