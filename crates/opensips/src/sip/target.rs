//! Where a probe sends OPTIONS.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::sockets::addresses::{LocalAddresses, Presence};
use crate::sockets::listener::Listener;
use deadline::Deadline;

/// The transports of a probe, in the order of preference.
///
/// UDP is first: its workers are processes of their own, whose health neither an answer over TCP nor
/// the MI nor an open socket shows (TCP and MI still answer when all of them are stopped). TCP is
/// before TLS: the same workers serve both, and TLS may demand a certificate, which the agent does
/// not have. WebSocket comes last: it needs a handshake of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Transport {
    Udp,
    Tcp,
    Tls,
    Ws,
    Wss,
}

impl Transport {
    /// `None` for a protocol that is not SIP.
    pub(crate) fn of(protocol: &str) -> Option<Self> {
        match protocol {
            "udp" => Some(Self::Udp),
            "tcp" => Some(Self::Tcp),
            "tls" => Some(Self::Tls),
            "ws" => Some(Self::Ws),
            "wss" => Some(Self::Wss),
            _ => None,
        }
    }

    /// As in Via (RFC 3261, 20.42; RFC 7118, 5.1).
    pub(super) const fn in_via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The parameter of a URI; none for the default transport (RFC 3261, 19.1.1).
    pub(super) const fn in_uri(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
            // RFC 7118, 5.2.1: also where TLS is below it.
            Self::Ws | Self::Wss => ";transport=ws",
        }
    }
}

/// As the daemon names its protocols.
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        })
    }
}

/// A transport address of the daemon that a probe can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) transport: Transport,
    /// The address of one host, never a wildcard.
    pub(crate) address: SocketAddr,
}

impl Target {
    /// Where a probe reaches a listener; `None` where it can't be probed: a link-local address needs
    /// its interface, which the daemon does not print, and a multicast group is not one host.
    pub(crate) fn of(listener: &Listener) -> Option<Self> {
        let transport = Transport::of(listener.protocol)?;
        let address = listener.probe_address();
        let link_local = matches!(address.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local());
        let one_host = !link_local && !address.ip().is_multicast();
        one_host.then_some(Self { transport, address })
    }

    /// Whether its address is on this host now, also where that can't be found out.
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
    fn listeners_that_can_be_probed() {
        let target = |text: &str| {
            let listener = text.parse::<Listener>().unwrap();
            Target::of(&listener).map(|target| target.to_string())
        };
        for same in [
            "udp:192.0.2.1:5060",
            "tcp:[2001:db8::1]:5060",
            "tls:192.0.2.1:5061",
            "ws:192.0.2.1:80",
            "wss:192.0.2.1:443",
        ] {
            assert_eq!(target(same).as_deref(), Some(same));
        }
        assert_eq!(target("tls:0.0.0.0:5061").unwrap(), "tls:127.0.0.1:5061");
        assert_eq!(target("tcp:[::]:5060").unwrap(), "tcp:[::1]:5060");
        for never in [
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
