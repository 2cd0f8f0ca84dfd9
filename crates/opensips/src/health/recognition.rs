//! Which protocol the sockets of an instance have of which nothing is remembered.

use std::io;

use deadline::Deadline;

use super::Result;
use super::probe::{addresses_of, is_on_this_host};
use crate::params::{Params, ProbeTarget};
use crate::sip::probe::{Outcome, Patience, Silence, ask_each};
use crate::sip::question::Question;
use crate::sip::target::{Target, Transport};
use crate::sockets::expected::Expected;
use crate::sockets::listener::{self, Listener};

/// What a socket has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Sip,
    /// A TLS alert: a process is alive there, and below TLS it may be SIP.
    Alert,
    /// Something else, or the end of the connection: not SIP over this transport.
    Other,
    /// Nothing: a protocol that waits for more data, or a daemon that hangs.
    Nothing,
}

/// A socket, and how it was probed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    /// As the kernel shows it: UDP or TCP.
    socket: Target,
    /// TLS after plain TCP had no success.
    transport: Transport,
    heard: Heard,
}

/// Names the protocol of each socket, which the kernel does not know: UDP may be HEP, TCP may be HTTP
/// or clusterer. So all are probed, and those that are not SIP are not probed again. A silent socket
/// counts as another protocol only if another socket answers, and only if it stays silent: a daemon
/// whose SIP hangs looks the same, and its sockets remain SIP for the verdict to probe.
pub(super) fn recognise(
    params: &Params,
    opened: &mut [Expected],
    deadline: Deadline,
) -> Result<()> {
    // The other half of the time is for the verdict.
    let half = deadline.share(2);
    let mut targets: Vec<Target> = Vec::new();
    if params.probe.target != ProbeTarget::Nowhere {
        targets.extend(opened.iter().filter_map(|(listener, _)| Target::of(listener)));
        let local = addresses_of(&targets, half)?;
        targets.retain(|target| is_on_this_host(*target, &local));
    }
    let asked =
        |socket: Target| Asked { socket, transport: socket.transport, heard: Heard::Nothing };
    let mut asked: Vec<Asked> = targets.into_iter().map(asked).collect();
    let once = Patience { attempts: 1, ..params.probe.patience };
    hear(asked.iter_mut().collect(), once, half);
    // A TLS listener refuses what is not TLS.
    let mut refusing: Vec<&mut Asked> =
        asked.iter_mut().filter(|one| one.heard == Heard::Other).collect();
    refusing.iter_mut().for_each(|one| one.transport = Transport::Tls);
    hear(refusing, once, half);
    // A socket that was busy for a moment gets all attempts, before it is never probed again.
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

/// Probes all of them at the same time.
fn hear(mut asked: Vec<&mut Asked>, patience: Patience, deadline: Deadline) {
    let targets: Vec<Target> =
        asked.iter().map(|one| Target { transport: one.transport, ..one.socket }).collect();
    let outcomes = ask_each(&targets, &Question::default(), patience, deadline);
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
                | Outcome::Silent { silence: Silence::TlsRefused | Silence::UpgradeRefused, .. },
            ) => Self::Alert,
            Ok(Outcome::Silent { silence: Silence::Closed | Silence::NotSip, .. }) => Self::Other,
            Ok(Outcome::Silent { silence: Silence::NoAnswer | Silence::Refused, .. }) | Err(_) => {
                Self::Nothing
            }
        }
    }
}

/// Whether a socket is silent while the same kind of workers has answered elsewhere: UDP has workers
/// of its own, about which TCP says nothing (see [`Transport`]).
fn is_strange(one: &Asked, all: &[Asked]) -> bool {
    one.heard == Heard::Nothing
        && all.iter().any(|other| match one.socket.transport {
            Transport::Udp => other.heard == Heard::Sip && other.socket.transport == Transport::Udp,
            _ => matches!(other.heard, Heard::Sip | Heard::Alert),
        })
}

/// Names the protocol of a socket by what was heard.
fn named(listener: Listener, all: &[Asked]) -> Listener {
    let target = Target::of(&listener);
    let is_sip = match all.iter().find(|one| Some(one.socket) == target) {
        Some(one) => match one.heard {
            Heard::Sip => true,
            Heard::Alert | Heard::Other => false,
            Heard::Nothing => !is_strange(one, all),
        }
        .then_some(one.transport),
        // It can't be probed, or not now.
        None => (listener.transport == listener::Transport::Udp).then_some(Transport::Udp),
    };
    match is_sip {
        Some(Transport::Tls) => listener.over_tls(),
        Some(_) => listener,
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
        // The handshake succeeds, and nothing follows; HTTP answers.
        assert_eq!(all_named(&[(Tls, Nothing), (Tls, Other)]), ["tls", "unknown_tcp"]);
        assert_eq!(all_named(&[(Tcp, Nothing), (Tls, Other)]), ["tcp", "unknown_tcp"]);
    }

    #[test]
    fn silence_beside_an_answer_is_no_sip() {
        assert_eq!(all_named(&[(Tcp, Sip), (Tcp, Nothing)]), ["tcp", "unknown_tcp"]);
        assert_eq!(all_named(&[(Udp, Sip), (Udp, Nothing)]), ["udp", "unknown_udp"]);
        assert_eq!(all_named(&[(Udp, Sip), (Tcp, Nothing)]), ["udp", "unknown_tcp"]);
        assert_eq!(all_named(&[(Tls, Alert), (Tls, Nothing)]), ["unknown_tcp", "unknown_tcp"]);
        // UDP has other workers.
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
