//! Probes the instance with OPTIONS: where, and what the outcome means.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use deadline::Deadline;
use hostproc::Pid;
use ocf::LogLine;

use super::{Error, Result};
use crate::params::{Params, ProbeTarget};
use crate::sip::probe::{Outcome, Patience, Silence, ask_each};
use crate::sip::question::Meaning;
use crate::sip::target::{Target, Transport};
use crate::sockets;
use crate::sockets::addresses::{LocalAddresses, Presence};
use crate::sockets::listener::Listener;
use crate::sockets::nonlocal_bind;

/// Kept back for reading the addresses once more after a silence.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// How many sockets are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// One socket of each group of workers has to answer: each UDP socket, which has workers of its own; one
    /// of each transport over TCP, which share theirs, and those at virtual addresses, which clients use.
    Groups,
    /// Every listener has to answer.
    Every,
}

/// A probe of one instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probing<'a> {
    pub(crate) params: &'a Params,
    pub(crate) main: Pid,
    pub(crate) listeners: &'a [Listener],
    pub(crate) reach: Reach,
}

/// What a probe has found.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What an operator should look at.
    pub(crate) remarks: Vec<String>,
    /// [`Error::Silent`], [`Error::UnexpectedAnswer`] and [`Error::Unasked`], in the order of the sockets.
    pub(crate) failures: Vec<Error>,
    /// The best socket answers: that of the clients, over UDP if it has that.
    pub(crate) best_answers: bool,
    /// Any of them answers.
    pub(crate) one_answers: bool,
}

impl Asked {
    /// The first failure, one of a socket that could be asked before one that could not; the others are logged.
    pub(crate) fn first_failure(mut self) -> Option<Error> {
        self.failures.sort_by_key(|error| matches!(error, Error::Unasked { .. }));
        let mut failures = self.failures.into_iter();
        let first = failures.next();
        for error in failures {
            log::error!("{}", LogLine::new().note(error));
        }
        first
    }
}

impl Probing<'_> {
    /// The addresses of this host, as far as the probe, the sockets that are bound to one and the virtual
    /// addresses need them: none where all of them are loopback or wildcards.
    ///
    /// # Errors
    /// Those of netlink.
    pub(crate) fn addresses(&self, deadline: Deadline) -> sockets::Result<LocalAddresses> {
        let candidates = candidates(self.params, self.listeners, self.reach);
        let asked = candidates.iter().map(|target| target.address.ip());
        let bound = nonlocal_bind::needed(self.params.nonlocal_bind, self.listeners);
        let virtual_ones = self.params.vips.iter().copied();
        LocalAddresses::read(asked.chain(bound).chain(virtual_ones), deadline)
    }

    /// Sends OPTIONS where that is possible.
    pub(crate) fn ask(
        &self,
        local: &LocalAddresses,
        patience: Patience,
        deadline: Deadline,
    ) -> Asked {
        let targets = on_this_host(candidates(self.params, self.listeners, self.reach), local);
        let targets = match (self.reach, self.params.probe.target) {
            (Reach::Groups, ProbeTarget::Auto) => one_of_each_group(targets, &self.params.vips),
            _ => targets,
        };
        self.log_unasked(&targets);
        let asking = deadline.less(SECOND_LOOK.min(deadline.remaining() / 10));
        let outcomes = ask_each(&targets, &self.params.probe.question, patience, asking);
        let answers = |one: &io::Result<Outcome>| matches!(one, Ok(Outcome::Alive { .. }));
        let best_answers = outcomes.first().is_some_and(answers);
        let one_answers = outcomes.iter().any(answers);
        let (mut failures, mut remarks) = (Vec::new(), Vec::new());
        for (target, outcome) in targets.iter().zip(outcomes) {
            remarks.extend(self.remark_on_code(*target, &outcome));
            match self.judge(*target, outcome) {
                Ok(()) => {}
                Err(Error::Silent { silence, .. }) if one_answers && self.is_no_fault(silence) => {
                    let line = LogLine::new().field("probe", target);
                    log::debug!("{}", line.note(silence));
                }
                Err(Error::Silent { silence: Silence::Closed, .. })
                    if one_answers && self.reach == Reach::Groups =>
                {
                    remarks.push(format!(
                        "{target} closes connections without an answer to OPTIONS: raise \
                         tcp_max_connections, or see the log of OpenSIPS"
                    ));
                }
                Err(error) => failures.push((*target, error)),
            }
        }
        if !failures.is_empty() {
            retain_on_this_host(&mut failures, deadline);
        }
        let failures = failures.into_iter().map(|(_, error)| error).collect();
        Asked { remarks, failures, best_answers, one_answers }
    }

    /// An answer that the administrator calls degraded.
    fn remark_on_code(&self, target: Target, outcome: &io::Result<Outcome>) -> Option<String> {
        let Ok(Outcome::Alive { code: Some(code), .. }) = outcome else { return None };
        let degraded = self.params.probe.question.codes.meaning(*code) == Meaning::Degraded;
        degraded
            .then(|| format!("OPTIONS at {target} is answered with {code}: see sip_probe_codes"))
    }

    /// A process of the daemon refuses the transport of the probe, as without a certificate: no code can be
    /// had there, and other sockets answer. It fails where this very socket is named, or every one is asked.
    fn is_no_fault(&self, silence: Silence) -> bool {
        let unnamed = self.reach == Reach::Groups && self.params.probe.target == ProbeTarget::Auto;
        unnamed && silence.is_refusal_of_transport()
    }

    fn log_unasked(&self, targets: &[Target]) {
        let none = LogLine::new().field("probe", "none");
        if self.reach == Reach::Groups && targets.is_empty() {
            log::debug!("{}", none.note("no socket on an address of this host can be probed"));
            return;
        }
        if self.reach == Reach::Groups {
            return;
        }
        for listener in self.listeners {
            if !Target::of(listener).is_some_and(|target| targets.contains(&target)) {
                let line = none.clone().field("listener", listener);
                log::debug!("{}", line.note("not SIP, or not on an address of this host"));
            }
        }
    }

    fn judge(&self, target: Target, outcome: io::Result<Outcome>) -> Result<()> {
        match outcome {
            Ok(Outcome::Alive { code, took }) => {
                let code = code.map_or("none".to_owned(), |code| code.to_string());
                let line = LogLine::new().field("probe", target).field("code", code);
                log::debug!("{}", line.field("took_us", took.as_micros()));
                Ok(())
            }
            Ok(Outcome::Unexpected { code, reason }) => {
                Err(Error::UnexpectedAnswer { target, code, reason })
            }
            Ok(Outcome::Silent { silence, patience }) => {
                Err(Error::Silent { main: self.main, target, silence, patience })
            }
            Err(source) => Err(Error::Unasked { target, source }),
        }
    }
}

/// An address that was on this host a moment ago and has left: a failover, not a failure.
fn retain_on_this_host(failures: &mut Vec<(Target, Error)>, deadline: Deadline) {
    let targets: Vec<Target> = failures.iter().map(|(target, _)| *target).collect();
    let Ok(local) = addresses_of(&targets, deadline) else { return };
    failures.retain(|(target, error)| {
        let here = is_on_this_host(*target, &local);
        if !here {
            let line = LogLine::new().field("probe", target).field("ignored", error);
            log::info!("{}", line.note("the address has left this host"));
        }
        here
    });
}

/// Where OPTIONS can be sent, the best place first: UDP before TCP before TLS (see [`Transport`]);
/// among those, the virtual addresses, which the clients use, before the others.
///
/// [`Transport`]: crate::sip::target::Transport
fn candidates(params: &Params, listeners: &[Listener], reach: Reach) -> Vec<Target> {
    let mut targets: Vec<Target> = match (params.probe.target, reach) {
        (ProbeTarget::Nowhere, _) => return Vec::new(),
        (ProbeTarget::At(target), Reach::Groups) => return vec![target],
        (ProbeTarget::At(target), Reach::Every) => {
            std::iter::once(target).chain(listeners.iter().filter_map(Target::of)).collect()
        }
        (ProbeTarget::Auto, _) => listeners.iter().filter_map(Target::of).collect(),
    };
    targets.sort_by_key(|target| (target.transport, !params.vips.contains(&target.address.ip())));
    let mut known = HashSet::new();
    targets.retain(|target| known.insert(*target));
    targets
}

/// The candidates that are on addresses of this host; there may be none. At an address that is
/// elsewhere another node would answer.
fn on_this_host(mut candidates: Vec<Target>, local: &LocalAddresses) -> Vec<Target> {
    candidates.retain(|target| is_on_this_host(*target, local));
    candidates
}

/// One of each group of workers (see [`Reach::Groups`]), in the same order.
fn one_of_each_group(mut targets: Vec<Target>, vips: &[IpAddr]) -> Vec<Target> {
    let mut asked = HashSet::new();
    targets.retain(|target| {
        let first = asked.insert(target.transport);
        first || target.transport == Transport::Udp || vips.contains(&target.address.ip())
    });
    targets
}

pub(crate) fn is_on_this_host(target: Target, local: &LocalAddresses) -> bool {
    local.presence(target.address.ip()) == Presence::Usable
}

/// The addresses of this host, as far as these targets need them.
pub(super) fn addresses_of(
    targets: &[Target],
    deadline: Deadline,
) -> sockets::Result<LocalAddresses> {
    LocalAddresses::read(targets.iter().map(|target| target.address.ip()), deadline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocf::InstanceName;
    use std::ffi::OsStr;

    fn params(pairs: &[(&str, &str)]) -> Params {
        let values = pairs.iter().copied().collect();
        Params::read(&values, &InstanceName::new(OsStr::new("x"))).unwrap()
    }

    fn texts(targets: &[Target]) -> Vec<String> {
        targets.iter().map(ToString::to_string).collect()
    }

    fn listeners(texts: &[&str]) -> Vec<Listener> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_failure_of_a_socket_that_was_asked_is_told_first() {
        let target = Target::of(&"udp:192.0.2.10:5060".parse().unwrap()).unwrap();
        let unasked = || Error::Unasked { target, source: io::Error::other("x") };
        let answered = || Error::UnexpectedAnswer { target, code: 503, reason: String::new() };
        let first = |failures| {
            let asked =
                Asked { remarks: vec![], failures, best_answers: false, one_answers: false };
            asked.first_failure()
        };
        assert!(first(vec![]).is_none());
        assert!(matches!(first(vec![unasked()]), Some(Error::Unasked { .. })));
        for failures in [vec![unasked(), answered()], vec![answered(), unasked()]] {
            assert!(matches!(first(failures), Some(Error::UnexpectedAnswer { .. })));
        }
    }

    #[test]
    fn a_refused_transport_is_no_fault_where_no_socket_is_named() {
        let no_fault = |pairs: &[(&str, &str)], reach, silence| {
            let probing =
                Probing { params: &params(pairs), main: Pid::own(), listeners: &[], reach };
            probing.is_no_fault(silence)
        };
        let refused = Silence::TlsRefused;
        assert!(no_fault(&[], Reach::Groups, refused));
        assert!(!no_fault(&[], Reach::Every, refused));
        assert!(!no_fault(&[("sip_probe", "tls:127.0.0.1:5061")], Reach::Groups, refused));
        assert!(!no_fault(&[], Reach::Groups, Silence::NoAnswer));
    }

    #[test]
    fn the_order_of_the_candidates() {
        let listeners = listeners(&[
            "tls:127.0.0.1:5061",
            "tcp:127.0.0.1:5060",
            "udp:0.0.0.0:5062",
            "hep_udp:127.0.0.1:9060",
            "tcp:192.0.2.10:5060",
            "udp:192.0.2.10:5060",
            "ws:127.0.0.1:80",
        ]);
        let candidates =
            |pairs: &[(&str, &str)], reach| texts(&candidates(&params(pairs), &listeners, reach));
        let all = [
            "udp:127.0.0.1:5062",
            "udp:192.0.2.10:5060",
            "tcp:127.0.0.1:5060",
            "tcp:192.0.2.10:5060",
            "tls:127.0.0.1:5061",
            "ws:127.0.0.1:80",
        ];
        assert_eq!(candidates(&[], Reach::Groups), all);
        assert_eq!(candidates(&[], Reach::Every), all);
        // The virtual address is what the clients use; UDP is still the first.
        assert_eq!(
            candidates(&[("vip", "192.0.2.10")], Reach::Groups),
            [
                "udp:192.0.2.10:5060",
                "udp:127.0.0.1:5062",
                "tcp:192.0.2.10:5060",
                "tcp:127.0.0.1:5060",
                "tls:127.0.0.1:5061",
                "ws:127.0.0.1:80",
            ]
        );
        let named = [("sip_probe", "tcp:127.0.0.1:5060")];
        assert_eq!(candidates(&named, Reach::Groups), ["tcp:127.0.0.1:5060"]);
        assert_eq!(candidates(&named, Reach::Every), all);
        for reach in [Reach::Groups, Reach::Every] {
            assert!(candidates(&[("sip_probe", "none")], reach).is_empty());
        }
    }

    #[test]
    fn one_socket_of_each_group() {
        let targets = |texts: &[&str]| -> Vec<Target> {
            listeners(texts).iter().filter_map(Target::of).collect()
        };
        let all = [
            "udp:192.0.2.10:5060",
            "udp:127.0.0.1:5060",
            "tcp:192.0.2.10:5060",
            "tcp:192.0.2.11:5060",
            "tcp:127.0.0.1:5060",
            "tls:127.0.0.1:5061",
            "tls:127.0.0.1:5062",
            "ws:127.0.0.1:80",
            "wss:127.0.0.1:443",
        ];
        let vips = ["192.0.2.10", "192.0.2.11"].map(|ip| ip.parse().unwrap());
        assert_eq!(
            texts(&one_of_each_group(targets(&all), &vips)),
            [&all[..4], &["tls:127.0.0.1:5061", "ws:127.0.0.1:80", "wss:127.0.0.1:443"]].concat()
        );
        let without = texts(&one_of_each_group(targets(&all), &[]));
        assert_eq!(without[..4], [all[0], all[1], all[2], all[5]]);
    }

    #[test]
    fn a_standby_never_probes_the_active_node() {
        let listeners = listeners(&["udp:192.0.2.10:5060", "tcp:127.0.0.1:5060"]);
        let nothing = LocalAddresses::default();
        let targets = |pairs: &[(&str, &str)], listeners: &[Listener], reach| {
            let candidates = candidates(&params(pairs), listeners, reach);
            texts(&on_this_host(candidates, &nothing))
        };
        for reach in [Reach::Groups, Reach::Every] {
            // The virtual address is elsewhere: the other socket is probed.
            let vip = [("vip", "192.0.2.10")];
            assert_eq!(targets(&vip, &listeners, reach), ["tcp:127.0.0.1:5060"]);
            assert_eq!(targets(&vip, &listeners[..1], reach), [""; 0]);
        }
        let elsewhere = [("sip_probe", "udp:192.0.2.10:5060")];
        assert_eq!(targets(&elsewhere, &listeners, Reach::Groups), [""; 0]);
    }
}
