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
        let (mut failures, asked) = self.weigh(&targets, outcomes);
        if !failures.is_empty() {
            retain_on_this_host(&mut failures, deadline);
        }
        Asked { failures: failures.into_iter().map(|(_, error)| error).collect(), ..asked }
    }

    /// What the outcomes mean, the best target first: the failures, and the rest. Pure.
    fn weigh(
        &self,
        targets: &[Target],
        outcomes: Vec<io::Result<Outcome>>,
    ) -> (Vec<(Target, Error)>, Asked) {
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
        (failures, Asked { remarks, failures: Vec::new(), best_answers, one_answers })
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
mod tests;
