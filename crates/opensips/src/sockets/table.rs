//! The kernel's sockets against the daemon's listeners.

use std::collections::HashSet;
use std::net::SocketAddr;

use deadline::Deadline;
use hostnet::{BoundSocket, Family, Protocol, SockDiag};

use crate::error::{Error, Result};
use crate::sockets::listener::{Listener, Transport};

/// The bound sockets of this network namespace, as far as they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketTable {
    sockets: Vec<BoundSocket>,
    /// Transports that this kernel can't list (built without `udp_diag`, `tcp_diag` or
    /// `sctp_diag`): nothing may be concluded from what is not in the table.
    unknown: Vec<Transport>,
}

impl SocketTable {
    /// The sockets that could be these listeners.
    ///
    /// # Errors
    /// The kernel gives no complete list before the deadline.
    pub fn of<'a>(
        listeners: impl IntoIterator<Item = &'a Listener>,
        until: Deadline,
    ) -> Result<Self> {
        let wanted =
            listeners.into_iter().map(|listener| (listener.transport, family_of(listener.local)));
        Self::read(wanted, until)
    }

    /// Every socket that could stand in the way of these listeners.
    ///
    /// # Errors
    /// As [`SocketTable::of`].
    pub fn around(listeners: &[Listener], until: Deadline) -> Result<Self> {
        let wanted = listeners.iter().flat_map(|listener| {
            // An IPv6 wildcard may have taken IPv4 too.
            [family_of(listener.local), Family::V6].map(|family| (listener.transport, family))
        });
        Self::read(wanted, until)
    }

    /// Every bound UDP socket, and every listening TCP or SCTP socket.
    ///
    /// # Errors
    /// As [`SocketTable::of`].
    pub fn complete(until: Deadline) -> Result<Self> {
        let families = [Family::V4, Family::V6];
        let wanted = Transport::ALL.map(|transport| families.map(|family| (transport, family)));
        Self::read(wanted.into_iter().flatten(), until)
    }

    /// The sockets as listeners that nobody has declared, each with its inode: UDP as SIP's, for
    /// the kernel knows no more.
    pub fn listeners(&self) -> impl Iterator<Item = (Listener, u32)> {
        self.sockets.iter().map(|socket| {
            let (protocol, transport) = match socket.protocol {
                Protocol::Udp => ("udp", Transport::Udp),
                Protocol::Tcp => ("tcp", Transport::Tcp),
                Protocol::Sctp => ("sctp", Transport::Sctp),
            };
            (Listener { protocol, transport, local: socket.local }, socket.inode)
        })
    }

    fn read(wanted: impl Iterator<Item = (Transport, Family)>, until: Deadline) -> Result<Self> {
        let mut table = Self::default();
        let kernel = SockDiag::open()?;
        for (transport, family) in wanted.collect::<HashSet<_>>() {
            match kernel.bound_sockets(transport.into(), family, until) {
                Ok(sockets) => table.sockets.extend(sockets),
                Err(error) if error.errno() == Some(nix::libc::ENOENT) => {
                    // Start says it once; monitor comes every ten seconds.
                    log::debug!("{error}: their absence means nothing");
                    table.unknown.push(transport);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(table)
    }

    /// The sockets that are exactly this listener. More than one where UDP is shared.
    pub fn at<'a>(&'a self, listener: &'a Listener) -> impl Iterator<Item = &'a BoundSocket> {
        self.sockets.iter().filter(move |socket| listener.is(socket))
    }

    /// Whether the absence of a socket of this transport means anything.
    pub fn knows(&self, transport: Transport) -> bool {
        !self.unknown.contains(&transport)
    }

    /// Each listener with the first socket for which `concerns` holds.
    pub fn find<'a>(
        &'a self,
        listeners: &'a [Listener],
        concerns: impl Fn(&Listener, &BoundSocket) -> bool,
    ) -> impl Iterator<Item = (&'a Listener, &'a BoundSocket)> {
        listeners.iter().filter_map(move |listener| {
            let found = self.sockets.iter().find(|socket| concerns(listener, socket))?;
            Some((listener, found))
        })
    }
}

impl FromIterator<BoundSocket> for SocketTable {
    fn from_iter<I: IntoIterator<Item = BoundSocket>>(sockets: I) -> Self {
        Self { sockets: sockets.into_iter().collect(), unknown: Vec::new() }
    }
}

fn family_of(local: SocketAddr) -> Family {
    Family::of(local.ip())
}

impl From<hostnet::Error> for Error {
    fn from(source: hostnet::Error) -> Self {
        Self::Network { source }
    }
}
