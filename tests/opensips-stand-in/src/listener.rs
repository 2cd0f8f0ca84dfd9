//! Sockets that the configuration declares, and the addresses that they stand for on this host.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockProtocol, SockType, SockaddrLike, bind, listen,
    setsockopt, socket, sockopt,
};

use crate::error::Error;
use crate::log;

/// The protocols whose sockets are opened, in the daemon's order. Of TLS and WebSocket there is the
/// TCP socket alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    Udp,
    Tcp,
    Tls,
    Sctp,
    Ws,
    Wss,
    Bin,
}

impl Protocol {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "udp" => Some(Self::Udp),
            "tcp" => Some(Self::Tcp),
            "tls" => Some(Self::Tls),
            "sctp" => Some(Self::Sctp),
            "ws" => Some(Self::Ws),
            "wss" => Some(Self::Wss),
            "bin" => Some(Self::Bin),
            _ => None,
        }
    }

    /// Whether "TCP main" opens and serves it.
    pub(crate) fn is_over_tcp(self) -> bool {
        !matches!(self, Self::Udp | Self::Sctp)
    }

    /// The module without which such a socket is refused.
    pub(crate) fn module(self) -> &'static str {
        match self {
            Self::Udp => "proto_udp",
            Self::Tcp => "proto_tcp",
            Self::Tls => "proto_tls",
            Self::Sctp => "proto_sctp",
            Self::Ws => "proto_ws",
            Self::Wss => "proto_wss",
            Self::Bin => "proto_bin",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Sctp => "sctp",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Bin => "bin",
        })
    }
}

/// `proto:host[:port]` as written; the host may be an interface or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SocketSpec {
    pub(crate) protocol: Protocol,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `use_workers`
    pub(crate) workers: Option<usize>,
    /// `as`: the name that is advertised.
    pub(crate) advertised: Option<String>,
}

impl SocketSpec {
    /// Reads `udp:192.0.2.1:5060`, `udp:[2001:db8::1]`, `tcp:eth0`; no protocol means UDP.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (protocol, rest) = match text.split_once(':') {
            Some((name, rest)) if Protocol::parse(name).is_some() => (Protocol::parse(name)?, rest),
            _ => (Protocol::Udp, text),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']')?;
                (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some("5060"))?)
            }
            None => rest.split_once(':').unwrap_or((rest, "5060")),
        };
        let host = host.trim_matches('"');
        if host.is_empty() {
            return None;
        }
        Some(Self {
            protocol,
            host: host.to_owned(),
            port: port.parse().ok()?,
            workers: None,
            advertised: None,
        })
    }

    fn addresses(&self) -> Result<Vec<IpAddr>, Error> {
        if let Ok(address) = self.host.parse() {
            return Ok(vec![address]);
        }
        let local = local_addresses().map_err(|source| Error::UnknownHost {
            host: self.host.clone(),
            source: source.into(),
        })?;
        let of_interface: Vec<IpAddr> = local
            .into_iter()
            .filter(|(interface, _)| self.host == "*" || *interface == self.host)
            .map(|(_, address)| address)
            .collect();
        if !of_interface.is_empty() {
            return Ok(of_interface);
        }
        Ok(vec![resolved(&self.host)?])
    }

    /// The addresses, if the advertised name resolves, too.
    fn fixed(&self) -> Result<Vec<IpAddr>, Error> {
        let addresses = self.addresses()?;
        if let Some(name) = &self.advertised {
            let unknown = |_| Error::UnknownAdvertised { host: name.clone() };
            resolved(name.trim_matches('"')).map_err(unknown)?;
        }
        Ok(addresses)
    }
}

fn resolved(host: &str) -> Result<IpAddr, Error> {
    let unknown = |source: io::Error| Error::UnknownHost { host: host.to_owned(), source };
    let mut named = (host, 0).to_socket_addrs().map_err(unknown)?;
    let first = named.next().ok_or_else(|| unknown(io::ErrorKind::NotFound.into()))?;
    Ok(first.ip())
}

/// Interface names and addresses, IPv4 first as the daemon lists them, without link-local IPv6.
fn local_addresses() -> nix::Result<Vec<(String, IpAddr)>> {
    let mut found: Vec<(String, IpAddr)> = getifaddrs()?
        .filter_map(|interface| {
            let address = interface.address?;
            let ip = if let Some(v4) = address.as_sockaddr_in() {
                IpAddr::V4(v4.ip())
            } else {
                IpAddr::V6(address.as_sockaddr_in6()?.ip())
            };
            let link_local =
                matches!(ip, IpAddr::V6(v6) if v6.segments().first()? & 0xffc0 == 0xfe80);
            (!link_local).then_some((interface.interface_name, ip))
        })
        .collect();
    found.sort_by_key(|(_, address)| address.is_ipv6());
    Ok(found)
}

/// A socket to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) protocol: Protocol,
    pub(crate) address: SocketAddr,
    pub(crate) workers: Option<usize>,
}

/// Expands the declared sockets, once, for the addresses that the host has now; UDP first. As the daemon
/// does (3.6, 4.0), it leaves out a socket whose name does not resolve, and says so in its log alone.
pub(crate) fn listeners(specs: &[SocketSpec]) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for spec in specs {
        let addresses = spec.fixed().unwrap_or_else(|error| {
            log::error(&error);
            Vec::new()
        });
        for ip in addresses {
            let address = SocketAddr::new(ip, spec.port);
            let known = listeners
                .iter()
                .any(|known| known.protocol == spec.protocol && known.address == address);
            if !known {
                listeners.push(Listener {
                    protocol: spec.protocol,
                    address,
                    workers: spec.workers,
                });
            }
        }
    }
    listeners.sort_by_key(|listener| listener.protocol);
    listeners
}

/// The daemon writes IPv6 in full: `0:0:0:0:0:0:0:1`.
pub(crate) fn ip_text(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.segments().map(|segment| format!("{segment:X}")).join(":"),
    }
}

/// What the daemon prints before it starts, and for `-c`.
pub(crate) fn listening_text(listeners: &[Listener]) -> String {
    let mut text = String::from("Listening on \n");
    for Listener { protocol, address, .. } in listeners {
        let ip = ip_text(address.ip());
        let name = if address.is_ipv6() { format!("[{ip}]") } else { ip.clone() };
        text += &format!("             {protocol}: {ip} [{name}]:{}\n", address.port());
    }
    text + "Aliases: \n\n"
}

/// A datagram socket that the workers inherit; the error comes with the descriptor.
pub(crate) fn bound_socket(
    address: &dyn SockaddrLike,
    reuse: bool,
) -> Result<OwnedFd, (RawFd, Errno)> {
    let family = address.family().unwrap_or(AddressFamily::Inet);
    let socket =
        socket(family, SockType::Datagram, SockFlag::empty(), None).map_err(|errno| (-1, errno))?;
    let descriptor = socket.as_raw_fd();
    if reuse {
        setsockopt(&socket, sockopt::ReuseAddr, &true).map_err(|errno| (descriptor, errno))?;
    }
    bind(descriptor, address).map_err(|errno| (descriptor, errno))?;
    Ok(socket)
}

/// An SCTP socket that listens, and answers nobody.
pub(crate) fn sctp_socket(address: &dyn SockaddrLike) -> nix::Result<OwnedFd> {
    let family = address.family().unwrap_or(AddressFamily::Inet);
    let socket = socket(family, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, SockProtocol::Sctp)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), address)?;
    listen(&socket, Backlog::new(10)?)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_as_the_configuration_writes_them() {
        let parse = |text| SocketSpec::parse(text).map(|s| (s.protocol, s.host, s.port));
        assert_eq!(parse("tcp:192.0.2.1"), Some((Protocol::Tcp, "192.0.2.1".into(), 5060)));
        assert_eq!(parse("udp:[fd77::1]:5070"), Some((Protocol::Udp, "fd77::1".into(), 5070)));
        assert_eq!(parse("bin:[fd77::1]"), Some((Protocol::Bin, "fd77::1".into(), 5060)));
        assert_eq!(parse("udp:\"127.0.0.1\":9"), Some((Protocol::Udp, "127.0.0.1".into(), 9)));
        assert_eq!(parse("eth0:5062"), Some((Protocol::Udp, "eth0".into(), 5062)));
        assert_eq!(parse("udp:*"), Some((Protocol::Udp, "*".into(), 5060)));
        for bad in ["", "udp:", "udp:1.2.3.4:x", "udp:1.2.3.4:70000", "udp:[::1", "udp:[::1]x"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn sockets_as_the_daemon_prints_them() {
        let specs = ["tcp:127.0.0.1:5071", "udp:[::1]:5071", "udp:[::1]:5071"];
        let specs: Vec<_> = specs.into_iter().map(|s| SocketSpec::parse(s).unwrap()).collect();
        assert_eq!(
            listening_text(&listeners(&specs)),
            "Listening on \n             udp: 0:0:0:0:0:0:0:1 [[0:0:0:0:0:0:0:1]]:5071\n\
             \x20            tcp: 127.0.0.1 [127.0.0.1]:5071\nAliases: \n\n"
        );
    }
}
