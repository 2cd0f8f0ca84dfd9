//! What is spoken on the sockets of an instance that nobody remembers.

use std::io;

use super::local_addresses;
use crate::error::Result;
use crate::params::{Params, ProbeTarget};
use crate::plan;
use crate::sip::message::ExpectedCodes;
use crate::sip::probe::{Outcome, Patience, Silence, ask_each};
use crate::sip::target::{Target, Transport};
use crate::sockets::expected::Expected;
use crate::sockets::listener::{self, Listener};
use deadline::Deadline;

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// SIP.
    Sip,
    /// An alert of TLS: somebody lives there; below TLS it may be SIP.
    Alert,
    /// Something else, or the end of the connection: no SIP, over this transport.
    Other,
    /// Nothing: a protocol that waits for more, or a daemon that hangs.
    Nothing,
}

/// A socket, and how it was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    /// As the kernel shows it: UDP or TCP.
    socket: Target,
    /// TLS, where plain TCP was no success.
    transport: Transport,
    heard: Heard,
}

/// What is spoken on a socket, the kernel does not know: UDP may be HEP's, TCP that of HTTP or of
/// clusterer. So all are asked, and those that speak no SIP are not asked again. Silence tells that
/// only beside an answer, and only where it lasts: a daemon whose SIP hangs looks the same, and
/// its sockets stay SIP's, for the verdict to ask.
pub(super) fn recognise(
    params: &Params,
    opened: &mut [Expected],
    deadline: Deadline,
) -> Result<()> {
    // As much again must be left for the verdict.
    let half = deadline.within(deadline.remaining() / 2);
    let mut targets: Vec<Target> = Vec::new();
    if params.probe.target != ProbeTarget::Nowhere {
        targets.extend(opened.iter().filter_map(|(listener, _)| Target::of(listener)));
        let local = local_addresses(&targets, half)?;
        targets.retain(|target| plan::is_here(*target, &local));
    }
    let asked =
        |socket: Target| Asked { socket, transport: socket.transport, heard: Heard::Nothing };
    let mut asked: Vec<Asked> = targets.into_iter().map(asked).collect();
    let once = Patience { attempts: 1, ..params.probe.patience };
    hear(asked.iter_mut().collect(), once, half);
    // A TLS listener refuses what is no TLS.
    let mut refusing: Vec<&mut Asked> =
        asked.iter_mut().filter(|one| one.heard == Heard::Other).collect();
    refusing.iter_mut().for_each(|one| one.transport = Transport::Tls);
    hear(refusing, once, half);
    // One that was busy for a moment has its whole patience, before it is not asked for good.
    let heard = asked.clone();
    hear(
        asked.iter_mut().filter(|one| is_strange(one, &heard)).collect(),
        params.probe.patience,
        half,
    );
    for (listener, _) in opened {
        *listener = named(listener.clone(), &asked);
    }
    Ok(())
}

/// Asks all of them at the same time.
fn hear(mut asked: Vec<&mut Asked>, patience: Patience, deadline: Deadline) {
    let targets: Vec<Target> =
        asked.iter().map(|one| Target { transport: one.transport, ..one.socket }).collect();
    let outcomes = ask_each(&targets, &ExpectedCodes::Any, patience, deadline);
    for (one, outcome) in asked.iter_mut().zip(outcomes) {
        one.heard = Heard::from(outcome);
    }
}

impl From<io::Result<Outcome>> for Heard {
    fn from(outcome: io::Result<Outcome>) -> Self {
        match outcome {
            Ok(Outcome::Alive { code: Some(_), .. } | Outcome::Unexpected { .. }) => Self::Sip,
            Ok(
                Outcome::Alive { code: None, .. }
                | Outcome::Silent { silence: Silence::TlsRefused, .. },
            ) => Self::Alert,
            Ok(Outcome::Silent { silence: Silence::Closed | Silence::NotSip, .. }) => Self::Other,
            Ok(Outcome::Silent { silence: Silence::NoAnswer | Silence::Refused, .. }) | Err(_) => {
                Self::Nothing
            }
        }
    }
}

/// Whether nothing came from it, while its workers or their like have answered elsewhere: UDP has
/// workers of its own, about which TCP says nothing (see [`Transport`]).
fn is_strange(one: &Asked, all: &[Asked]) -> bool {
    one.heard == Heard::Nothing
        && all.iter().any(|other| match one.socket.transport {
            Transport::Udp => other.heard == Heard::Sip && other.socket.transport == Transport::Udp,
            Transport::Tcp | Transport::Tls => matches!(other.heard, Heard::Sip | Heard::Alert),
        })
}

/// A socket of the instance by what was heard.
fn named(listener: Listener, all: &[Asked]) -> Listener {
    let target = Target::of(&listener);
    let is_sip = match all.iter().find(|one| Some(one.socket) == target) {
        Some(one) => match one.heard {
            Heard::Sip => true,
            Heard::Alert | Heard::Other => false,
            Heard::Nothing => !is_strange(one, all),
        }
        .then_some(one.transport),
        // It can't be asked, or not now.
        None => (listener.transport == listener::Transport::Udp).then_some(Transport::Udp),
    };
    match is_sip {
        Some(Transport::Tls) => listener.over_tls(),
        Some(Transport::Udp | Transport::Tcp) => listener,
        None => listener.of_unknown_protocol(),
    }
}

#[cfg(test)]
mod tests {
    use super::Heard::{Alert, Nothing, Other, Sip};
    use super::Transport::{Tcp, Tls, Udp};
    use super::*;

    /// The sockets as they are named, port by port, after this was heard from them.
    fn all_named(heard: &[(Transport, Heard)]) -> Vec<&'static str> {
        let asked: Vec<Asked> = (1..)
            .zip(heard)
            .map(|(port, (transport, heard))| {
                let kernel = if *transport == Udp { Udp } else { Tcp };
                let socket = Target { transport: kernel, address: ([127, 0, 0, 1], port).into() };
                Asked { socket, transport: *transport, heard: *heard }
            })
            .collect();
        let listener = |one: &Asked| one.socket.to_string().parse::<Listener>().unwrap();
        asked.iter().map(|one| named(listener(one), &asked).protocol).collect()
    }

    #[test]
    fn silence_alone_is_no_evidence() {
        assert_eq!(all_named(&[(Tcp, Nothing)]), ["tcp"]);
        assert_eq!(all_named(&[(Udp, Nothing), (Tcp, Nothing)]), ["udp", "tcp"]);
        // The handshake was made, and nothing followed; HTTP lives.
        assert_eq!(all_named(&[(Tls, Nothing), (Tls, Other)]), ["tls", "unknown_tcp"]);
        assert_eq!(all_named(&[(Tcp, Nothing), (Tls, Other)]), ["tcp", "unknown_tcp"]);
    }

    #[test]
    fn silence_beside_an_answer_is_no_sip() {
        assert_eq!(all_named(&[(Tcp, Sip), (Tcp, Nothing)]), ["tcp", "unknown_tcp"]);
        assert_eq!(all_named(&[(Udp, Sip), (Udp, Nothing)]), ["udp", "unknown_udp"]);
        assert_eq!(all_named(&[(Udp, Sip), (Tcp, Nothing)]), ["udp", "unknown_tcp"]);
        assert_eq!(all_named(&[(Tls, Alert), (Tls, Nothing)]), ["unknown_tcp", "unknown_tcp"]);
        // The workers of UDP are others.
        assert_eq!(all_named(&[(Udp, Nothing), (Tcp, Sip)]), ["udp", "tcp"]);
    }

    #[test]
    fn what_is_heard_names_the_socket() {
        let heard = [(Udp, Sip), (Tcp, Sip), (Tls, Sip), (Tls, Other), (Tls, Alert)];
        assert_eq!(all_named(&heard), ["udp", "tcp", "tls", "unknown_tcp", "unknown_tcp"]);
    }

    #[test]
    fn what_was_not_asked() {
        let named = |text: &str| named(text.parse().unwrap(), &[]).protocol;
        assert_eq!(named("udp:192.0.2.1:5060"), "udp");
        assert_eq!(named("tcp:192.0.2.1:5060"), "unknown_tcp");
    }

    #[test]
    fn what_was_heard() {
        let patience = Patience { attempts: 1, timeout: std::time::Duration::ZERO };
        let of = |silence| Heard::from(Ok(Outcome::Silent { silence, patience }));
        assert_eq!(of(Silence::NoAnswer), Nothing);
        assert_eq!(of(Silence::Refused), Nothing);
        assert_eq!(of(Silence::Closed), Other);
        assert_eq!(of(Silence::NotSip), Other);
        assert_eq!(Heard::from(Err(io::ErrorKind::PermissionDenied.into())), Nothing);
        let alive = |code| Heard::from(Ok(Outcome::Alive { code, took: patience.timeout }));
        assert_eq!((alive(Some(503)), alive(None)), (Sip, Alert));
    }
}
