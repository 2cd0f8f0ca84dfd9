//! Whom OPTIONS is asked, and over which transport.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::sockets::addresses::{LocalAddresses, Presence};
use crate::sockets::listener::Listener;
use deadline::Deadline;

/// What SIP is asked over, as the daemon names its protocols. The order is that of preference.
///
/// UDP first: its workers are processes of their own, about which an answer over TCP, the MI and an
/// open socket say nothing (all of them stopped, TCP and MI still answer). TCP before TLS: both are
/// served by the same workers, and TLS may want a certificate that the agent has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl Transport {
    /// `None` where no SIP is spoken, or not without more (`ws`, `wss`: a handshake of HTTP first).
    pub fn of(protocol: &str) -> Option<Self> {
        match protocol {
            "udp" => Some(Self::Udp),
            "tcp" => Some(Self::Tcp),
            "tls" => Some(Self::Tls),
            _ => None,
        }
    }

    /// As in Via (RFC 3261, 20.42).
    pub(super) const fn in_via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// The parameter of a URI, where it is not what a URI means anyway (RFC 3261, 19.1.1).
    pub(super) const fn in_uri(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
        }
    }
}

/// As in a listener.
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}

/// Whom OPTIONS is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Over what.
    pub transport: Transport,
    /// Where: an address of a host, never a wildcard.
    pub address: SocketAddr,
}

impl Target {
    /// Where a listener can be asked; `None` where OPTIONS can't be asked at all.
    ///
    /// A link-local address means nothing without its link, which the daemon does not tell; a
    /// group is not one host.
    pub fn of(listener: &Listener) -> Option<Self> {
        let transport = Transport::of(listener.protocol)?;
        let address = listener.probe_address();
        let link_local = matches!(address.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local());
        let one_host = !link_local && !address.ip().is_multicast();
        one_host.then_some(Self { transport, address })
    }

    /// Whether its address is on this host now; in doubt it is.
    pub(super) fn is_here(&self, until: Deadline) -> bool {
        let ip = self.address.ip();
        LocalAddresses::read([ip], until)
            .map_or(true, |local| local.presence(ip) != Presence::Absent)
    }
}

/// As a listener is written: `tcp:192.0.2.12:5060`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport, self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_that_can_be_asked() {
        let target = |text: &str| {
            let listener = text.parse::<Listener>().unwrap();
            Target::of(&listener).map(|target| target.to_string())
        };
        for same in ["udp:192.0.2.1:5060", "tcp:[2001:db8::1]:5060", "tls:192.0.2.1:5061"] {
            assert_eq!(target(same).as_deref(), Some(same));
        }
        assert_eq!(target("tls:0.0.0.0:5061").unwrap(), "tls:127.0.0.1:5061");
        assert_eq!(target("tcp:[::]:5060").unwrap(), "tcp:[::1]:5060");
        for never in [
            "ws:192.0.2.1:80",
            "wss:192.0.2.1:443",
            "bin:192.0.2.1:5555",
            "hep_udp:192.0.2.1:9060",
            "smpp:192.0.2.1:2775",
            "udp:[fe80::1]:5060",
            "udp:224.0.1.75:5060",
        ] {
            assert_eq!(target(never), None, "{never}");
        }
    }

    #[test]
    fn udp_is_preferred() {
        assert!(Transport::Udp < Transport::Tcp && Transport::Tcp < Transport::Tls);
    }
}
