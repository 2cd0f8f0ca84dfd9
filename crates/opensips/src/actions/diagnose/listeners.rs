//! The sockets: their addresses, the processes that hold them, and what answers.

use std::collections::HashSet;
use std::time::Duration;

use deadline::Deadline;
use hostnet::{Address, Family, Link, Netlink, Sysctl};
use hostproc::ProcFs;
use ocf::{Diagnosis, Value};

use super::known as known_or_why;
use crate::error::Result;
use crate::health::probe::is_on_this_host;
use crate::instance::Instance;
use crate::mi::Endpoint;
use crate::params::{Params, ProbeTarget};
use crate::process::survey::Survey;
use crate::sip::probe::{Outcome, Patience, ask_each};
use crate::sip::question::Question;
use crate::sip::target::Target;
use crate::sockets::addresses::{LocalAddresses, Presence};
use crate::sockets::listener::Listener;
use crate::sockets::nonlocal_bind::{on_absent_addresses, setting};
use crate::sockets::owner::{Owner, inodes_of_all};
use crate::sockets::table::SocketTable;

/// How long the answer to OPTIONS may take.
const ANSWER: Patience = Patience { attempts: 1, timeout: Duration::from_secs(2) };

/// What is shown of them.
pub(super) struct Listeners {
    pub(super) shown: Value,
    pub(super) nonlocal_bind: Value,
}

/// The sockets that the configuration declares now, those that are remembered, and those that the
/// processes hold.
pub(super) fn known(
    params: &Params,
    instance: &Instance<'_>,
    survey: Option<&Survey>,
    declared: &[Listener],
    deadline: Deadline,
) -> Listeners {
    match observe(params, instance, survey, declared, deadline) {
        Ok(listeners) => listeners,
        Err(error) => {
            let unknown = Value::Unknown(error.to_string());
            Listeners { shown: unknown.clone(), nonlocal_bind: unknown }
        }
    }
}

fn observe(
    params: &Params,
    instance: &Instance<'_>,
    survey: Option<&Survey>,
    declared: &[Listener],
    deadline: Deadline,
) -> Result<Listeners> {
    let until = deadline;
    let members = survey.into_iter().flat_map(|survey| &survey.members);
    let table = SocketTable::complete(until)?;
    let own = inodes_of_all(&instance.proc, members.map(|stat| stat.process.pid));
    let host = Host::read(until)?;
    let listeners = united(params, instance, declared, &table, &own);
    let answers = answers(params, &listeners, &table, &own, &host.local, until);
    let shown: Vec<Diagnosis> = listeners
        .iter()
        .zip(answers)
        .map(|(listener, answer)| {
            Diagnosis::default()
                .with("socket", listener.to_string())
                .with("address", host.place_of(listener))
                .with("held_by", holder(&instance.proc, listener, &table, &own))
                .with("options", answer)
        })
        .collect();
    Ok(Listeners { shown: shown.into(), nonlocal_bind: nonlocal_bind(&listeners, &host.local) })
}

/// Each once, by transport and address: the kernel does not know the protocol of a socket.
fn united(
    params: &Params,
    instance: &Instance<'_>,
    declared: &[Listener],
    table: &SocketTable,
    own: &HashSet<u32>,
) -> Vec<Listener> {
    let remembered = instance.state.iter().flat_map(|state| &state.listeners);
    let held = table
        .listeners()
        .filter(|(listener, inode)| {
            own.contains(inode)
                && params.endpoints().all(|mi| *mi != Endpoint::Datagram(listener.local))
        })
        .map(|(listener, _)| listener);
    let mut seen = HashSet::new();
    let all = declared.iter().chain(remembered.map(|(listener, _)| listener)).cloned().chain(held);
    all.filter(|listener| seen.insert((listener.transport, listener.local))).collect()
}

/// Whether the instance has a socket there.
fn is_own(listener: &Listener, table: &SocketTable, own: &HashSet<u32>) -> bool {
    table.at(listener).any(|socket| own.contains(&socket.inode))
}

fn holder(proc: &ProcFs, listener: &Listener, table: &SocketTable, own: &HashSet<u32>) -> Value {
    let others: Vec<String> = table
        .at(listener)
        .filter(|socket| !own.contains(&socket.inode))
        .map(|socket| Owner::of(proc, socket).to_string())
        .collect();
    let is_own = is_own(listener, table, own);
    if !is_own && others.is_empty() && !table.knows(listener.transport) {
        return Value::Unknown("this kernel can't list such sockets".to_owned());
    }
    let own = is_own.then(|| "this instance".to_owned());
    let all: Vec<String> = own.into_iter().chain(others.iter().cloned()).collect();
    let text = if all.is_empty() { "no process: not open".to_owned() } else { all.join(", ") };
    let parts = Diagnosis::default().with("this_instance", is_own).with("others", others);
    Value::told(text, parts)
}

/// The answer of each listener to OPTIONS; none where it is not sent: the socket is not this
/// instance's, or its address is on another host, or `sip_probe` forbids it.
fn answers(
    params: &Params,
    listeners: &[Listener],
    table: &SocketTable,
    own: &HashSet<u32>,
    local: &LocalAddresses,
    until: Deadline,
) -> Vec<Value> {
    let targets: Vec<Option<Target>> = listeners
        .iter()
        .map(|listener| {
            Target::of(listener)
                .filter(|target| is_on_this_host(*target, local) && is_own(listener, table, own))
                .filter(|_| params.probe.target != ProbeTarget::Nowhere)
        })
        .collect();
    let asked: Vec<Target> = targets.iter().flatten().copied().collect();
    let mut outcomes = ask_each(&asked, &Question::default(), ANSWER, until).into_iter();
    let answer = |target: Option<Target>| match target.and_then(|_| outcomes.next()) {
        None => Value::None,
        Some(Ok(outcome)) => told(&outcome),
        Some(Err(error)) => Value::Unknown(error.to_string()),
    };
    targets.into_iter().map(answer).collect()
}

/// `200 in 0.4 ms`; for programs the code, the time and what is said besides.
fn told(outcome: &Outcome) -> Value {
    let parts = |code: Option<u16>, took: Option<Duration>, reason: Option<String>| {
        let took = took.and_then(|took| i64::try_from(took.as_micros()).ok());
        Diagnosis::default()
            .with("code", code.map(i64::from))
            .with("took_us", took)
            .with("reason", reason)
    };
    match outcome {
        Outcome::Alive { code, took } => {
            let refused = || "TLS refused".to_owned();
            let text = code.map_or_else(refused, |code| code.to_string());
            let text = format!("{text} in {:.1} ms", took.as_secs_f64() * 1000.0);
            let reason = code.is_none().then(refused);
            Value::told(text, parts(*code, Some(*took), reason))
        }
        Outcome::Unexpected { code, reason } => {
            let reason = ocf::shown(reason.as_bytes());
            Value::told(format!("{code} {reason}"), parts(Some(*code), None, Some(reason)))
        }
        Outcome::Silent { silence, .. } => {
            let silence = silence.to_string();
            Value::told(silence.clone(), parts(None, None, Some(silence)))
        }
    }
}

/// `ip_nonlocal_bind` of each family in which there is a socket.
fn nonlocal_bind(listeners: &[Listener], local: &LocalAddresses) -> Value {
    let absent = on_absent_addresses(listeners, local);
    let is_of =
        |family: Family| move |listener: &Listener| Family::of(listener.local.ip()) == family;
    let used =
        [Family::V4, Family::V6].into_iter().filter(|family| listeners.iter().any(is_of(*family)));
    used.map(|family| {
        let needed = absent.iter().any(|listener| is_of(family)(listener));
        let text = if needed { "to start here without the address" } else { "no" };
        Diagnosis::default()
            .with("setting", setting(family))
            .with("allowed", known_or_why(Sysctl::default().ip_nonlocal_bind(family)))
            .with("needed", Value::told(text, needed))
    })
    .collect::<Vec<_>>()
    .into()
}

/// The addresses of this host, with the interfaces that have them.
struct Host {
    addresses: Vec<Address>,
    links: Vec<Link>,
    local: LocalAddresses,
}

impl Host {
    fn read(until: Deadline) -> Result<Self> {
        let netlink = Netlink::open()?;
        let mut addresses = netlink.addresses(Family::V4, None, until)?;
        addresses.extend(netlink.addresses(Family::V6, None, until)?);
        let links = netlink.links(until)?;
        Ok(Self { local: addresses.iter().cloned().collect(), addresses, links })
    }

    /// The place of a listener's address.
    fn place_of(&self, listener: &Listener) -> Value {
        let ip = listener.local.ip();
        if ip.is_unspecified() {
            return place("all of this host", "all", &[]);
        }
        let names: Vec<&str> = self
            .addresses
            .iter()
            .filter(|address| address.ip == ip)
            .filter_map(|address| self.links.iter().find(|link| link.index == address.link))
            .map(|link| link.name.as_str())
            .collect();
        match self.local.presence(ip) {
            Presence::Usable => place("here", "usable", &names),
            Presence::Tentative => place("tentative", "tentative", &names),
            Presence::Absent if names.is_empty() => place("not on this host", "absent", &names),
            Presence::Absent => {
                place("duplicate: another host has it (dadfailed)", "duplicate", &names)
            }
        }
    }
}

/// `here on eth0`; for programs a word and the interfaces.
fn place(text: &str, state: &str, interfaces: &[&str]) -> Value {
    let on = if interfaces.is_empty() { "" } else { " on " };
    let text = format!("{text}{on}{}", interfaces.join(", "));
    let parts = Diagnosis::default().with("state", state).with("interfaces", interfaces.to_vec());
    Value::told(text, parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_words() {
        let text = |outcome| match told(&outcome) {
            Value::Told { text, .. } => text,
            other => panic!("{other:?}"),
        };
        let took = Duration::from_micros(1_250);
        assert_eq!(text(Outcome::Alive { code: Some(200), took }), "200 in 1.2 ms");
        assert_eq!(text(Outcome::Alive { code: None, took }), "TLS refused in 1.2 ms");
        let odd = Outcome::Unexpected { code: 503, reason: "No\nway".to_owned() };
        assert_eq!(text(odd), "503 No\\nway");
        assert_eq!(place("here", "usable", &["lo"]), {
            let parts = Diagnosis::default().with("state", "usable").with("interfaces", vec!["lo"]);
            Value::told("here on lo", parts)
        });
    }
}
