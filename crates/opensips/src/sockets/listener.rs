//! A socket on which the daemon listens, as a value.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use hostnet::{BoundSocket, Family, Protocol};

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Listener {
    /// The daemon's name for the protocol: `udp`, `tcp`, `tls`, `ws`, `bin` …
    pub(crate) protocol: &'static str,
    /// The transport below it.
    pub(crate) transport: Transport,
    /// Address and port; an unspecified address stands for all addresses of the host.
    pub(crate) local: SocketAddr,
}

/// A transport that the kernel's socket table can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    Udp,
    /// Also below TLS and WebSocket.
    Tcp,
    Sctp,
}

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Sctp];
}

/// The protocols of OpenSIPS (`proto_*` modules of 2.4 to 4.0) with the transport below them.
/// Sockets of other protocols are ignored.
const PROTOCOLS: [(&str, Transport); 16] = [
    ("udp", Transport::Udp),
    ("hep_udp", Transport::Udp),
    ("sctp", Transport::Sctp),
    ("tcp", Transport::Tcp),
    ("tls", Transport::Tcp),
    ("ws", Transport::Tcp),
    ("wss", Transport::Tcp),
    ("bin", Transport::Tcp),
    ("bins", Transport::Tcp),
    ("hep_tcp", Transport::Tcp),
    ("hep_tls", Transport::Tcp),
    ("smpp", Transport::Tcp),
    ("msrp", Transport::Tcp),
    ("msrps", Transport::Tcp),
    // The agent's own names for sockets that the kernel shows and no configuration declares.
    ("unknown_udp", Transport::Udp),
    ("unknown_tcp", Transport::Tcp),
];

fn known_protocol(name: &str) -> Option<(&'static str, Transport)> {
    PROTOCOLS.into_iter().find(|(known, _)| *known == name)
}

impl From<Transport> for Protocol {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
            Transport::Sctp => Self::Sctp,
        }
    }
}

impl Listener {
    /// The same socket with an unknown protocol.
    #[must_use]
    pub(crate) fn of_unknown_protocol(self) -> Self {
        let protocol = match self.transport {
            Transport::Udp => "unknown_udp",
            Transport::Tcp => "unknown_tcp",
            Transport::Sctp => "sctp",
        };
        Self { protocol, ..self }
    }

    /// The same socket with SIP over TLS.
    #[must_use]
    pub(crate) fn over_tls(self) -> Self {
        Self { protocol: "tls", ..self }
    }

    pub(crate) fn is_of_unknown_protocol(&self) -> bool {
        self.protocol.starts_with("unknown_")
    }

    /// Whether it is bound to an address of its own, not to a wildcard.
    pub(crate) fn is_explicit(&self) -> bool {
        !self.local.ip().is_unspecified()
    }

    /// Whether it is a wildcard that receives what is sent to this address.
    pub(crate) fn is_for_all_of(&self, ip: IpAddr) -> bool {
        !self.is_explicit() && Family::of(self.local.ip()) == Family::of(ip)
    }

    /// The address at which a probe from this host reaches it: loopback for a wildcard.
    pub(crate) fn probe_address(&self) -> SocketAddr {
        let ip = match self.local.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, self.local.port())
    }

    /// Whether both are the same socket to the kernel, like `tcp:` and `tls:` with one address and
    /// port.
    pub(crate) fn is_also(&self, other: &Self) -> bool {
        self.transport == other.transport && self.local == other.local
    }

    /// Whether the kernel's socket has the same transport, address and port.
    pub(crate) fn is(&self, socket: &BoundSocket) -> bool {
        socket.protocol == self.transport.into() && socket.local == self.local
    }

    /// Whether another program's socket keeps the daemon from serving here.
    ///
    /// TCP and SCTP: the kernel refuses a second listening socket on the same address and port, also
    /// where one of them is a wildcard. UDP: OpenSIPS sets SO_REUSEADDR, so the kernel can give both
    /// the same address, and each receives some of the requests; a wildcard next to an explicit
    /// address is harmless where both set the option, else the daemon itself fails.
    pub(crate) fn clashes_with(&self, socket: &BoundSocket) -> bool {
        match self.transport {
            Transport::Udp => self.is(socket),
            Transport::Tcp | Transport::Sctp => self.overlaps(socket),
        }
    }

    /// Whether one datagram or connection could be meant for both.
    pub(crate) fn overlaps(&self, socket: &BoundSocket) -> bool {
        let (ours, theirs) = (self.local.ip(), socket.local.ip());
        // Their `::` may receive IPv4 as well (IPV6_V6ONLY is not in the table). The daemon opens its
        // own sockets per family.
        let same_family =
            Family::of(ours) == Family::of(theirs) || theirs == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        socket.protocol == self.transport.into()
            && socket.local.port() == self.local.port()
            && same_family
            && (ours == theirs || ours.is_unspecified() || theirs.is_unspecified())
    }
}

/// As in the daemon's configuration: `udp:192.0.2.10:5060`, `tcp:[2001:db8::1]:5060`.
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.protocol, self.local)
    }
}

/// The text is not a listener.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("give protocol:address:port, like udp:192.0.2.10:5060 or udp:[2001:db8::10]:5060")]
pub(crate) struct ParseListenerError;

impl FromStr for Listener {
    type Err = ParseListenerError;

    fn from_str(text: &str) -> Result<Self, ParseListenerError> {
        let (protocol, local) = text.split_once(':').ok_or(ParseListenerError)?;
        let (protocol, transport) = known_protocol(protocol).ok_or(ParseListenerError)?;
        let local: SocketAddr = local.parse().map_err(|_| ParseListenerError)?;
        if local.port() == 0 {
            return Err(ParseListenerError);
        }
        Ok(Self { protocol, transport, local })
    }
}

/// Reads a list that is separated by commas or spaces.
///
/// # Errors
/// The word that is wrong, and the expected form.
pub(crate) fn parse_list(text: &str) -> Result<Vec<Listener>, String> {
    let words = text.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    let listeners = words.map(|word| {
        word.parse().map_err(|error| format!("{}: {error}", ocf::shown(word.as_bytes())))
    });
    listeners.collect()
}

/// The listeners of the first list, and those that only the second one has.
pub(crate) fn united(first: &[Listener], second: &[Listener]) -> Vec<Listener> {
    let mut all = first.to_vec();
    for listener in second {
        if !all.iter().any(|known| known.is_also(listener)) {
            all.push(listener.clone());
        }
    }
    all
}

/// What the daemon prints of its sockets when it checks its configuration or starts:
///
/// ```text
/// Listening on
///              udp: 127.0.0.1 [127.0.0.1]:5060
///              tcp: 0:0:0:0:0:0:0:1 [[0:0:0:0:0:0:0:1]]:5060 mcast
/// Aliases:
///              *: example.com:*
/// ```
///
/// (`print_all_socket_lists()`, net/trans.c of 3.6 and 4.0; socket_info.c of 2.4.) The daemon has
/// expanded interface names and host names by then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) listeners: Vec<Listener>,
    /// Why these may not be all of them: a list that is not there, or a line of an unknown form.
    pub(crate) unknown: Option<String>,
}

impl Declared {
    pub(crate) fn read(output: &str) -> Self {
        // The lexer prints what it does not know, a byte order mark for example, in front of it.
        let is_head = |line: &str| line.trim_end().ends_with("Listening on");
        let mut lines = output.lines().skip_while(|line| !is_head(line));
        if lines.next().is_none() {
            let unknown = Some("OpenSIPS prints no list of them".to_owned());
            return Self { listeners: Vec::new(), unknown };
        }
        let mut declared = Self::default();
        for line in lines.take_while(|line| line.starts_with(' ')) {
            match declared_listener(line) {
                Some(listener) => declared.listeners.push(listener),
                None => {
                    let why =
                        || format!("\"{}\" is not understood", ocf::shown(line.trim().as_bytes()));
                    declared.unknown.get_or_insert_with(why);
                }
            }
        }
        declared
    }
}

fn declared_listener(line: &str) -> Option<Listener> {
    let (protocol, rest) = line.trim().split_once(": ")?;
    let (protocol, transport) = known_protocol(protocol)?;
    // NAME [ADDRESS]:PORT FLAGS, with an IPv6 address in brackets of its own. The name may contain
    // brackets too, so the last ones count.
    let (before, after) = rest.rsplit_once("]:")?;
    let (_, address) = before.split_once(" [")?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let port = after.split(' ').next()?.parse().ok().filter(|port| *port != 0)?;
    let local = SocketAddr::new(address.parse().ok()?, port);
    Some(Listener { protocol, transport, local })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn listener(text: &str) -> Listener {
        text.parse().unwrap()
    }

    fn socket(text: &str) -> BoundSocket {
        let Listener { transport, local, .. } = listener(text);
        BoundSocket { protocol: transport.into(), local, inode: 1, uid: 0 }
    }

    // As 3.6.8 and 4.0.1 print it.
    const OUTPUT: &str = "Listening on \n\
        \x20            udp: 127.0.0.1 [127.0.0.1]:5960\n\
        \x20            udp: 0:0:0:0:0:0:0:1 [[0:0:0:0:0:0:0:1]]:5960\n\
        \x20            udp: 0.0.0.0 [0.0.0.0]:5961 mcast\n\
        \x20            udp: localhost [127.0.0.1]:5964\n\
        \x20            sctp: 127.0.0.1 [127.0.0.1]:5960\n\
        \x20            tcp: 127.0.0.1 [127.0.0.1]:5960 anycast\n\
        Aliases: \n\
        \x20            udp: x [127.0.0.9]:1\n\n";

    #[test]
    fn declared_listeners_of_real_daemons() {
        let declared: Vec<String> =
            Declared::read(OUTPUT).listeners.iter().map(ToString::to_string).collect();
        assert_eq!(
            declared,
            [
                "udp:127.0.0.1:5960",
                "udp:[::1]:5960",
                "udp:0.0.0.0:5961",
                "udp:127.0.0.1:5964",
                "sctp:127.0.0.1:5960",
                "tcp:127.0.0.1:5960"
            ]
        );
        assert_eq!(Declared::read(OUTPUT).unknown, None);
        // What the lexer does not know is printed in front of it.
        assert_eq!(Declared::read(&format!("\u{feff}{OUTPUT}")), Declared::read(OUTPUT));
        for none in ["", "Aliases:\n  udp: a [127.0.0.1]:1\n"] {
            let found = Declared::read(none);
            assert_eq!(found.listeners, []);
            assert_eq!(found.unknown.unwrap(), "OpenSIPS prints no list of them");
        }
        let strange =
            Declared::read("Listening on \n   quic: a [127.0.0.1]:1\n   udp: a [::1]:2\n");
        assert_eq!(strange.listeners, [listener("udp:[::1]:2")]);
        assert_eq!(strange.unknown.unwrap(), "\"quic: a [127.0.0.1]:1\" is not understood");
    }

    #[test]
    fn clashes() {
        let clash = |ours: &str, theirs: &str| listener(ours).clashes_with(&socket(theirs));
        assert!(clash("udp:192.0.2.1:5060", "udp:192.0.2.1:5060"));
        assert!(!clash("udp:192.0.2.1:5060", "tcp:192.0.2.1:5060"));
        assert!(!clash("udp:192.0.2.1:5060", "udp:192.0.2.1:5061"));
        assert!(!clash("udp:192.0.2.1:5060", "udp:0.0.0.0:5060"));
        assert!(clash("tcp:192.0.2.1:5060", "tcp:0.0.0.0:5060"));
        assert!(clash("tcp:0.0.0.0:5060", "tcp:192.0.2.1:5060"));
        assert!(clash("tcp:192.0.2.1:5060", "tcp:[::]:5060"));
        assert!(!clash("tcp:[2001:db8::1]:5060", "tcp:0.0.0.0:5060"));
        assert!(!clash("tcp:192.0.2.1:5060", "tcp:192.0.2.2:5060"));
        assert!(clash("tls:192.0.2.1:5061", "tcp:192.0.2.1:5061"));
        assert!(clash("sctp:192.0.2.1:5060", "sctp:0.0.0.0:5060"));
        assert!(!clash("sctp:192.0.2.1:5060", "tcp:192.0.2.1:5060"));
        assert!(listener("udp:192.0.2.1:5060").overlaps(&socket("udp:0.0.0.0:5060")));
    }

    #[test]
    fn lists() {
        let texts = |listeners: &[Listener]| -> Vec<String> {
            listeners.iter().map(ToString::to_string).collect()
        };
        let given = parse_list("tcp:192.0.2.1:5061, udp:192.0.2.1:5060,,sctp:[::1]:5060").unwrap();
        assert_eq!(texts(&given), ["tcp:192.0.2.1:5061", "udp:192.0.2.1:5060", "sctp:[::1]:5060"]);
        assert_eq!(parse_list(" , "), Ok(vec![]));
        let error = parse_list("udp:192.0.2.1:5060 x").unwrap_err();
        assert!(error.starts_with("x: give protocol:address:port"), "{error}");
        let declared = [listener("udp:192.0.2.1:5060"), listener("tls:192.0.2.1:5061")];
        assert_eq!(
            texts(&united(&declared, &given)),
            ["udp:192.0.2.1:5060", "tls:192.0.2.1:5061", "sctp:[::1]:5060"]
        );
        assert_eq!(united(&[], &declared), declared);
    }

    #[test]
    fn a_wildcard_is_probed_on_loopback() {
        assert_eq!(listener("udp:0.0.0.0:5060").probe_address().to_string(), "127.0.0.1:5060");
        assert_eq!(listener("udp:[::]:5060").probe_address().to_string(), "[::1]:5060");
        assert_eq!(listener("udp:192.0.2.1:5060").probe_address().to_string(), "192.0.2.1:5060");
    }

    #[test]
    fn texts() {
        for bad in ["", "udp", "udp:", "udp:1", "udp:192.0.2.1", "dccp:192.0.2.1:5060"] {
            assert_eq!(bad.parse::<Listener>(), Err(ParseListenerError), "{bad}");
        }
        assert_eq!("udp:192.0.2.1:0".parse::<Listener>(), Err(ParseListenerError));
        assert_eq!("udp:::1:5060".parse::<Listener>(), Err(ParseListenerError));
    }

    proptest! {
        #[test]
        fn any_output_is_read(lines: Vec<String>) {
            let _ = Declared::read(&format!("Listening on \n {}", lines.join("\n ")));
        }

        #[test]
        fn texts_lead_back(ip: IpAddr, port in 1u16.., tcp: bool) {
            let protocol = if tcp { "tcp" } else { "udp" };
            let text = format!("{protocol}:{}", SocketAddr::new(ip, port));
            prop_assert_eq!(listener(&text).to_string(), text);
        }
    }
}
