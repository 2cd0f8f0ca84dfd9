//! The kernel's table of sockets, compared with the daemon's listeners.

use std::collections::HashSet;
use std::net::SocketAddr;

use deadline::Deadline;
use hostnet::{BoundSocket, Family, Protocol, SockDiag};

use crate::sockets::Result;
use crate::sockets::listener::{Listener, Transport};

/// The bound sockets of this network namespace, of the transports and families that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SocketTable {
    sockets: Vec<BoundSocket>,
    /// Transports that this kernel can't list (built without `udp_diag`, `tcp_diag` or
    /// `sctp_diag`): that a socket is not in the table means nothing.
    unknown: Vec<Transport>,
}

impl SocketTable {
    /// The sockets that could be these listeners.
    ///
    /// # Errors
    /// The kernel does not return a complete list before the deadline.
    pub(crate) fn of<'a>(
        listeners: impl IntoIterator<Item = &'a Listener>,
        until: Deadline,
    ) -> Result<Self> {
        let wanted =
            listeners.into_iter().map(|listener| (listener.transport, family_of(listener.local)));
        Self::read(wanted, until)
    }

    /// Every socket that could clash with these listeners.
    ///
    /// # Errors
    /// As [`SocketTable::of`].
    pub(crate) fn around(listeners: &[Listener], until: Deadline) -> Result<Self> {
        let wanted = listeners.iter().flat_map(|listener| {
            // An IPv6 wildcard may receive IPv4 too.
            [family_of(listener.local), Family::V6].map(|family| (listener.transport, family))
        });
        Self::read(wanted, until)
    }

    /// Every bound UDP socket, and every listening TCP or SCTP socket.
    ///
    /// # Errors
    /// As [`SocketTable::of`].
    pub(crate) fn complete(until: Deadline) -> Result<Self> {
        let families = [Family::V4, Family::V6];
        let wanted = Transport::ALL.map(|transport| families.map(|family| (transport, family)));
        Self::read(wanted.into_iter().flatten(), until)
    }

    /// The sockets as listeners, each with its inode. The kernel knows the transport alone, so that
    /// UDP counts as SIP over UDP.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = (Listener, u32)> {
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
                    // Start warns once; monitor runs every ten seconds.
                    log::debug!("{error}: such sockets are not watched");
                    table.unknown.push(transport);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(table)
    }

    /// The sockets with exactly this address and port. More than one where UDP is shared.
    pub(crate) fn at<'a>(
        &'a self,
        listener: &'a Listener,
    ) -> impl Iterator<Item = &'a BoundSocket> {
        self.sockets.iter().filter(move |socket| listener.is(socket))
    }

    /// Whether the kernel can list the sockets of this transport.
    pub(crate) fn knows(&self, transport: Transport) -> bool {
        !self.unknown.contains(&transport)
    }

    /// Each listener with the first socket for which `matches` holds.
    pub(crate) fn find<'a>(
        &'a self,
        listeners: &'a [Listener],
        matches: impl Fn(&Listener, &BoundSocket) -> bool,
    ) -> impl Iterator<Item = (&'a Listener, &'a BoundSocket)> {
        listeners.iter().filter_map(move |listener| {
            let found = self.sockets.iter().find(|socket| matches(listener, socket))?;
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
