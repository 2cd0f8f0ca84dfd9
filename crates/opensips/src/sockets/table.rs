//! The kernel's sockets against the daemon's listeners, and whose they are.

use std::collections::HashSet;
use std::fmt;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Instant;

use hostnet::{BoundSocket, Family, Protocol, bound_sockets};
use hostproc::{Pid, ProcFs};

use crate::error::{Error, Result};
use crate::process::instance::program_name;
use crate::sockets::listener::{Listener, Transport};

/// The bound sockets of this network namespace, as far as they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketTable {
    sockets: Vec<BoundSocket>,
    /// Transports that this kernel can't list (built without `udp_diag` or `tcp_diag`): nothing
    /// may be concluded from what is not in the table.
    unknown: Vec<Transport>,
}

impl SocketTable {
    /// The sockets that could be these listeners.
    ///
    /// # Errors
    /// The kernel gives no complete list before the deadline.
    pub fn of<'a>(
        listeners: impl IntoIterator<Item = &'a Listener>,
        until: Instant,
    ) -> Result<Self> {
        let wanted =
            listeners.into_iter().map(|listener| (listener.transport, family_of(listener.local)));
        Self::read(wanted, until)
    }

    /// Every socket that could stand in the way of these listeners.
    ///
    /// # Errors
    /// As [`SocketTable::of`].
    pub fn around(listeners: &[Listener], until: Instant) -> Result<Self> {
        let wanted = listeners.iter().flat_map(|listener| {
            // An IPv6 wildcard may have taken IPv4 too.
            [family_of(listener.local), Family::V6].map(|family| (listener.transport, family))
        });
        Self::read(wanted, until)
    }

    /// Every bound UDP socket and listening TCP socket.
    ///
    /// # Errors
    /// As [`SocketTable::of`].
    pub fn complete(until: Instant) -> Result<Self> {
        let families = [Family::V4, Family::V6];
        let transports = [Transport::Udp, Transport::Tcp];
        let wanted = transports.map(|transport| families.map(|family| (transport, family)));
        Self::read(wanted.into_iter().flatten(), until)
    }

    /// The sockets as listeners that nobody has declared, each with its inode: UDP as SIP's, for
    /// the kernel knows no more.
    pub fn listeners(&self) -> impl Iterator<Item = (Listener, u32)> {
        self.sockets.iter().map(|socket| {
            let (protocol, transport) = match socket.protocol {
                Protocol::Udp => ("udp", Transport::Udp),
                Protocol::Tcp => ("tcp", Transport::Tcp),
            };
            (Listener { protocol, transport, local: socket.local }, socket.inode)
        })
    }

    fn read(wanted: impl Iterator<Item = (Transport, Family)>, until: Instant) -> Result<Self> {
        let mut table = Self::default();
        for (transport, family) in wanted.collect::<HashSet<_>>() {
            match bound_sockets(transport.into(), family, until) {
                Ok(sockets) => table.sockets.extend(sockets),
                Err(error) if error.errno() == Some(nix::libc::ENOENT) => {
                    log::warn!("this kernel can't list {transport:?} sockets: {error}");
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

    /// The first socket, with the listener it concerns, for which `concerns` holds.
    pub fn find<'a>(
        &'a self,
        listeners: &'a [Listener],
        concerns: impl Fn(&Listener, &BoundSocket) -> bool,
    ) -> Option<(&'a Listener, &'a BoundSocket)> {
        let pairs = listeners
            .iter()
            .flat_map(|listener| self.sockets.iter().map(move |socket| (listener, socket)));
        pairs.into_iter().find(|(listener, socket)| concerns(listener, socket))
    }
}

impl FromIterator<BoundSocket> for SocketTable {
    fn from_iter<I: IntoIterator<Item = BoundSocket>>(sockets: I) -> Self {
        Self { sockets: sockets.into_iter().collect(), unknown: Vec::new() }
    }
}

/// Who holds a socket, as far as `/proc` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Where the socket is bound.
    pub local: SocketAddr,
    /// The process and the name of its program; `None` where it can't be found, as for one in
    /// another pid namespace.
    pub process: Option<(Pid, String)>,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some((pid, name)) => write!(f, "{name} (pid {pid})"),
            None => write!(f, "a process that can't be seen from here"),
        }
    }
}

impl Owner {
    /// Looks through the descriptors of every process.
    pub fn of(proc: &ProcFs, socket: &BoundSocket) -> Self {
        let holder = pids().find(|pid| inodes_of(*pid).contains(&socket.inode));
        let process = holder.map(|pid| {
            let executable = proc.exe(pid).ok().flatten();
            (pid, executable.map_or_else(|| "?".into(), |found| program_name(&found.path)))
        });
        Self { local: socket.local, process }
    }
}

fn pids() -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The inodes of all sockets that a process holds; none if it is gone or hidden.
fn inodes_of(pid: Pid) -> HashSet<u32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let target = std::fs::read_link(entry.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

/// The inodes of all sockets that these processes hold.
pub fn inodes_of_all(pids: impl IntoIterator<Item = Pid>) -> HashSet<u32> {
    pids.into_iter().flat_map(inodes_of).collect()
}

/// Fails if a socket of somebody else is where the daemon wants to listen. Nothing of the
/// instance may be alive, or it would find its own.
///
/// # Errors
/// [`Error::ForeignSocket`], [`Error::Network`]
pub fn refuse_foreign(proc: &ProcFs, listeners: &[Listener], until: Instant) -> Result<()> {
    let table = SocketTable::around(listeners, until)?;
    match table.find(listeners, Listener::clashes_with) {
        None => Ok(()),
        Some((listener, socket)) => {
            Err(Error::ForeignSocket { listener: listener.clone(), owner: Owner::of(proc, socket) })
        }
    }
}

/// Why a listener can't be opened, from our own trial; `None` if it can.
pub fn why_not_opened(listener: &Listener) -> Option<std::io::Error> {
    match listener.transport {
        Transport::Udp => UdpSocket::bind(listener.local).err(),
        // std sets SO_REUSEADDR, as OpenSIPS does.
        Transport::Tcp => TcpListener::bind(listener.local).err(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(text: &str) -> Listener {
        text.parse().unwrap()
    }

    #[test]
    fn a_socket_is_found_with_its_owner() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let until = Instant::now() + std::time::Duration::from_secs(60);
        for listener in [
            listener(&format!("udp:{}", udp.local_addr().unwrap())),
            listener(&format!("tcp:{}", tcp.local_addr().unwrap())),
        ] {
            let table = SocketTable::of([&listener], until).unwrap();
            let found: Vec<_> = table.at(&listener).collect();
            assert_eq!(found.len(), 1, "{listener}");
            assert!(inodes_of_all([Pid::own()]).contains(&found[0].inode));
            let proc = ProcFs::default();
            let error = refuse_foreign(&proc, std::slice::from_ref(&listener), until).unwrap_err();
            let expected = format!("(pid {})", Pid::own());
            assert!(error.to_string().contains(&expected), "{error}");
            assert!(why_not_opened(&listener).is_some());
        }
    }

    #[test]
    fn a_free_port_is_nobodys() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = listener(&format!("tcp:{free}"));
        let until = Instant::now() + std::time::Duration::from_secs(60);
        refuse_foreign(&ProcFs::default(), std::slice::from_ref(&listener), until).unwrap();
        assert!(why_not_opened(&listener).is_none());
    }

    #[test]
    fn absent_addresses_can_not_be_opened() {
        let error = why_not_opened(&listener("udp:192.0.2.1:5060")).unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrNotAvailable);
    }
}
