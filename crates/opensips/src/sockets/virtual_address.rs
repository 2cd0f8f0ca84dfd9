//! Whether the virtual addresses are served by sockets of their own. Pure.

use std::fmt;
use std::net::IpAddr;

use crate::sockets::listener::Listener;

/// A virtual address that is not served as it should be, though the daemon starts and runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// A UDP wildcard stands in: it receives there, and its answers leave from the address that
    /// the kernel's routes choose, which the client does not know.
    AnswersFromElsewhere {
        /// The virtual address.
        vip: IpAddr,
        /// The wildcard.
        wildcard: Listener,
    },
    /// A wildcard of TCP or SCTP stands in: it answers from the right address, and takes a request
    /// to it for one to somebody else (`myself` knows the addresses of sockets).
    NotItself {
        /// The virtual address.
        vip: IpAddr,
        /// The wildcard.
        wildcard: Listener,
    },
    /// No socket serves it. `*` and names of interfaces are expanded once, at start, to the
    /// addresses that are there then.
    Unserved {
        /// The virtual address.
        vip: IpAddr,
    },
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnswersFromElsewhere { vip, wildcard } => write!(
                f,
                "vip {vip} has no UDP socket of its own: {wildcard} receives there and answers from \
                 another address; declare udp:{}",
                ServerAddress(*vip, wildcard)
            ),
            Self::NotItself { vip, wildcard } => write!(
                f,
                "vip {vip} has no socket of its own: {wildcard} answers there and does not take it \
                 for itself; declare {}:{}",
                wildcard.protocol,
                ServerAddress(*vip, wildcard)
            ),
            Self::Unserved { vip } => write!(
                f,
                "vip {vip} is served by no socket of the configuration: declare one at the address, \
                 for * and interface names mean the addresses that are there at start"
            ),
        }
    }
}

struct ServerAddress<'a>(IpAddr, &'a Listener);

impl fmt::Display for ServerAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::net::SocketAddr::new(self.0, self.1.local.port()).fmt(f)
    }
}

/// What is amiss with each of these addresses.
pub fn gaps(vips: &[IpAddr], listeners: &[Listener]) -> Vec<Gap> {
    vips.iter().filter_map(|vip| gap(*vip, listeners)).collect()
}

fn gap(vip: IpAddr, listeners: &[Listener]) -> Option<Gap> {
    let own = |listener: &&Listener| listener.local.ip() == vip;
    let wildcard =
        |listener: &&Listener| !listener.is_explicit() && listener.local.is_ipv4() == vip.is_ipv4();
    // Not HEP, which answers nobody.
    let of_udp = || listeners.iter().filter(|listener| listener.protocol == "udp");
    if let (Some(found), None) = (of_udp().find(wildcard), of_udp().find(own)) {
        return Some(Gap::AnswersFromElsewhere { vip, wildcard: found.clone() });
    }
    if listeners.iter().any(|listener| own(&listener)) {
        return None;
    }
    Some(match listeners.iter().find(wildcard) {
        Some(found) => Gap::NotItself { vip, wildcard: found.clone() },
        None => Gap::Unserved { vip },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(vip: &str, listeners: &[&str]) -> String {
        let listeners: Vec<Listener> = listeners.iter().map(|text| text.parse().unwrap()).collect();
        let gaps = gaps(&[vip.parse().unwrap()], &listeners);
        gaps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn sockets_of_their_own_are_well() {
        assert_eq!(told("192.0.2.10", &["udp:192.0.2.10:5060"]), "");
        assert_eq!(told("192.0.2.10", &["tls:192.0.2.10:5061"]), "");
        assert_eq!(told("2001:db8::10", &["udp:0.0.0.0:5060", "udp:[2001:db8::10]:5060"]), "");
        // Beside an explicit one a wildcard takes nothing at that address and port.
        assert_eq!(told("192.0.2.10", &["udp:0.0.0.0:5060", "udp:192.0.2.10:5060"]), "");
    }

    #[test]
    fn what_stands_in_is_told() {
        let udp = told("192.0.2.10", &["tcp:192.0.2.10:5060", "udp:0.0.0.0:5060"]);
        assert!(udp.contains("udp:0.0.0.0:5060 receives there and answers from another"), "{udp}");
        assert!(udp.ends_with("declare udp:192.0.2.10:5060"), "{udp}");
        let tcp = told("2001:db8::10", &["tcp:[::]:5060", "udp:0.0.0.0:5060"]);
        assert!(tcp.ends_with("declare tcp:[2001:db8::10]:5060"), "{tcp}");
        let none = told("192.0.2.10", &["udp:198.51.100.1:5060", "udp:[::]:5060"]);
        assert!(none.starts_with("vip 192.0.2.10 is served by no socket"), "{none}");
    }
}
