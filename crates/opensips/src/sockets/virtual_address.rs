//! Whether the virtual addresses have sockets of their own. Pure.

use std::fmt;
use std::net::IpAddr;

use crate::sockets::listener::Listener;

/// A virtual address that is not served properly, though the daemon starts and runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// A UDP wildcard socket receives there, and its answers leave from the address that the
    /// kernel's routes choose, which the client does not know.
    AnswersFromElsewhere { vip: IpAddr, wildcard: Listener },
    /// A wildcard socket of TCP or SCTP answers from the right address, but `myself` in the routing
    /// script, which knows the addresses of sockets, is false for requests to this one.
    NotItself { vip: IpAddr, wildcard: Listener },
    /// No socket serves it. `*` and names of interfaces are expanded once, at start, to the
    /// addresses that are present then.
    Unserved { vip: IpAddr },
    /// The next start was to open a socket there, and did not.
    RestartedInVain { vip: IpAddr },
}

/// How many sockets a remark names.
const SHOWN: usize = 4;

impl Gap {
    pub(crate) fn vip(&self) -> IpAddr {
        match self {
            Self::AnswersFromElsewhere { vip, .. }
            | Self::NotItself { vip, .. }
            | Self::Unserved { vip }
            | Self::RestartedInVain { vip } => *vip,
        }
    }

    /// With the sockets that there are where none serves the address.
    pub(crate) fn told_with(&self, listeners: &[Listener]) -> String {
        let Self::Unserved { .. } = self else { return self.to_string() };
        let mut shown: Vec<String> =
            listeners.iter().take(SHOWN).map(ToString::to_string).collect();
        if listeners.len() > SHOWN {
            shown.push(format!("{} more", listeners.len() - SHOWN));
        }
        format!("{self}; OpenSIPS has {}", shown.join(", "))
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnswersFromElsewhere { vip, wildcard } => write!(
                f,
                "vip {vip} has no UDP socket of its own, {wildcard} receives there and answers from \
                 another address: declare udp:{}",
                ServerAddress(*vip, wildcard)
            ),
            Self::NotItself { vip, wildcard } => write!(
                f,
                "vip {vip} has no socket of its own, {wildcard} answers there and \"myself\" is false \
                 for it: declare {}:{}",
                wildcard.protocol,
                ServerAddress(*vip, wildcard)
            ),
            Self::Unserved { vip } => write!(
                f,
                "vip {vip} is served by no socket of the configuration: declare one at this address \
                 (* and interface names stand for the addresses that are present at start)"
            ),
            Self::RestartedInVain { vip } => write!(
                f,
                "vip {vip} is on this host, and OpenSIPS has no socket there though it was restarted: \
                 start the address before OpenSIPS, or declare a socket at this address"
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

pub(crate) fn gaps(vips: &[IpAddr], listeners: &[Listener]) -> Vec<Gap> {
    vips.iter().filter_map(|vip| gap(*vip, listeners)).collect()
}

fn gap(vip: IpAddr, listeners: &[Listener]) -> Option<Gap> {
    let own = |listener: &&Listener| listener.local.ip() == vip;
    let wildcard =
        |listener: &&Listener| !listener.is_explicit() && listener.local.is_ipv4() == vip.is_ipv4();
    // HEP never answers.
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

    fn gap_of(vip: &str, listeners: &[&str]) -> String {
        let listeners: Vec<Listener> = listeners.iter().map(|text| text.parse().unwrap()).collect();
        let gaps = gaps(&[vip.parse().unwrap()], &listeners);
        gaps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_address_with_a_socket_of_its_own_has_no_gap() {
        assert_eq!(gap_of("192.0.2.10", &["udp:192.0.2.10:5060"]), "");
        assert_eq!(gap_of("192.0.2.10", &["tls:192.0.2.10:5061"]), "");
        assert_eq!(gap_of("2001:db8::10", &["udp:0.0.0.0:5060", "udp:[2001:db8::10]:5060"]), "");
        // Next to an explicit socket, a wildcard receives nothing at that address and port.
        assert_eq!(gap_of("192.0.2.10", &["udp:0.0.0.0:5060", "udp:192.0.2.10:5060"]), "");
    }

    #[test]
    fn a_wildcard_is_reported() {
        let udp = gap_of("192.0.2.10", &["tcp:192.0.2.10:5060", "udp:0.0.0.0:5060"]);
        assert!(udp.contains("udp:0.0.0.0:5060 receives there and answers from another"), "{udp}");
        assert!(udp.ends_with("declare udp:192.0.2.10:5060"), "{udp}");
        let tcp = gap_of("2001:db8::10", &["tcp:[::]:5060", "udp:0.0.0.0:5060"]);
        assert!(tcp.ends_with("declare tcp:[2001:db8::10]:5060"), "{tcp}");
        let none = gap_of("192.0.2.10", &["udp:198.51.100.1:5060", "udp:[::]:5060"]);
        assert!(none.starts_with("vip 192.0.2.10 is served by no socket"), "{none}");
        let vip = "192.0.2.10".parse().unwrap();
        let listeners: Vec<Listener> =
            (1..=6).map(|port| format!("udp:127.0.0.1:{port}").parse().unwrap()).collect();
        let told = Gap::Unserved { vip }.told_with(&listeners);
        assert!(told.ends_with("udp:127.0.0.1:4, 2 more"), "{told}");
    }
}
