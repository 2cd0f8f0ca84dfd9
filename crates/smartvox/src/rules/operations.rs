//! Monitors and timeouts.

use std::fmt;
use std::time::Duration;

use super::{Found, Pair};
use crate::cib::{Operation, Resource, Role};

/// A monitor as pcs is told of it.
struct Monitor<'a> {
    interval: Duration,
    timeout_s: u64,
    role: Option<&'static str>,
    check_level: Option<&'a str>,
}

/// The timeout of each monitor in the agents' meta-data.
const MONITOR_TIMEOUT_S: u64 = 20;

impl<'a> Monitor<'a> {
    fn of(operation: &'a Operation) -> Self {
        Self {
            interval: operation.interval,
            timeout_s: MONITOR_TIMEOUT_S,
            role: operation.role.name(),
            check_level: operation.check_level.as_deref(),
        }
    }
}

impl fmt::Display for Monitor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.interval.as_secs(), self.interval.as_millis());
        match self.interval.subsec_millis() {
            0 => write!(f, "monitor interval={seconds}s")?,
            _ => write!(f, "monitor interval={millis}ms")?,
        }
        write!(f, " timeout={}s", self.timeout_s)?;
        if let Some(role) = self.role {
            write!(f, " role={role}")?;
        }
        if let Some(level) = self.check_level {
            write!(f, " OCF_CHECK_LEVEL={level}")?;
        }
        Ok(())
    }
}

/// A new monitor in a role, with the shortest interval in seconds, from this one on, that no monitor of the
/// resource has.
fn new_monitor<'a>(resource: &Resource, from: u64, role: Option<&'static str>) -> Monitor<'a> {
    let taken =
        |seconds: u64| resource.monitors().any(|monitor| monitor.interval.as_secs() == seconds);
    let seconds = (from..60).find(|seconds| !taken(*seconds)).unwrap_or(60);
    let interval = Duration::from_secs(seconds);
    Monitor { interval, timeout_s: MONITOR_TIMEOUT_S, role, check_level: None }
}

/// The command that puts one monitor in place of another. `pcs resource update … op monitor` would take the
/// first one with the same role for it.
fn replace(resource: &Resource, former: &Operation, monitor: &Monitor<'_>) -> String {
    let (id, former) = (&resource.id, &former.id);
    format!("pcs resource op delete {former} && pcs resource op add {id} {monitor}")
}

pub(super) fn monitor_missing(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for resource in pair.cib.ours() {
        let id = &resource.id;
        let has = |role: Role| resource.monitors().any(|monitor| monitor.role == role);
        let mut missing = |which: &str, role: Option<&'static str>| {
            let options = new_monitor(resource, 2, role);
            let sentence =
                format!("{id} has no recurring monitor{which}: a failure is not noticed");
            found.push(Found::of(
                resource,
                sentence,
                format!("pcs resource op add {id} {options}"),
            ));
        };
        if !has(Role::Started) {
            missing(if resource.promotable() { " for its standby" } else { "" }, None);
        }
        if resource.promotable() && !has(Role::Promoted) {
            missing(" with role=Promoted", Some("Promoted"));
        }
    }
    found
}

pub(super) fn monitor_interval(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for resource in pair.cib.ours() {
        let monitors: Vec<&Operation> = resource.monitors().collect();
        for (at, monitor) in monitors.iter().enumerate() {
            let earlier = monitors.iter().take(at);
            if earlier.clone().any(|one| one.interval == monitor.interval) {
                let sentence = format!(
                    "two monitors of {} have the interval {:?}: Pacemaker runs one of them",
                    resource.id, monitor.interval
                );
                let interval = new_monitor(resource, 2, None).interval;
                let options = Monitor { interval, ..Monitor::of(monitor) };
                let command = replace(resource, monitor, &options);
                found.push(Found::of(resource, sentence, command));
            }
        }
    }
    found
}

pub(super) fn monitor_stopped(pair: &Pair<'_>) -> Vec<Found> {
    let lacks =
        |resource: &&Resource| !resource.monitors().any(|monitor| monitor.role == Role::Stopped);
    pair.cib
        .of_agent("opensips-vip")
        .filter(lacks)
        .map(|resource| {
            let id = &resource.id;
            let sentence = format!(
                "{id} has no monitor with role=Stopped: the carrier of the other node is not \
                 known, and an address that is on both nodes is found late"
            );
            let options = new_monitor(resource, 1, Some("Stopped"));
            let command = format!("pcs resource op add {id} {options}");
            Found::of(resource, sentence, command)
        })
        .collect()
}

pub(super) fn timeout(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for resource in pair.cib.ours() {
        let Some(Ok(meta_data)) = pair.host.agents.get(&resource.agent) else { continue };
        for name in ["start", "stop", "promote", "demote", "monitor"] {
            let Some(needed) = meta_data.timeout(name) else { continue };
            if !matters(resource, name) {
                continue;
            }
            let Some((operation, has)) = shortest(pair, resource, name) else { continue };
            let (has, needed) = (has.as_secs(), needed.as_secs());
            if has < needed {
                let id = &resource.id;
                let sentence = format!(
                    "the timeout of {name} of {id} is {has}s, and the agent needs {needed}s"
                );
                let monitor = operation.filter(|_| name == "monitor");
                let command = monitor.map_or_else(
                    || format!("pcs resource update {id} op {name} timeout={needed}s"),
                    |former| {
                        let options = Monitor { timeout_s: needed, ..Monitor::of(former) };
                        replace(resource, former, &options)
                    },
                );
                found.push(Found::of(resource, sentence, command));
            }
        }
    }
    found
}

/// The operation of this name with the shortest timeout, and that timeout; the cluster's default where the
/// operation is not configured. `None` where no timeout ends it.
fn shortest<'a>(
    pair: &Pair<'a>,
    resource: &'a Resource,
    name: &str,
) -> Option<(Option<&'a Operation>, Duration)> {
    let configured = resource.operations.iter().filter(|operation| operation.name == name);
    let timed = configured.filter_map(|operation| Some((operation, operation.timeout?)));
    let (operation, timeout) = match timed.min_by_key(|(_, timeout)| *timeout) {
        Some((operation, timeout)) => (Some(operation), timeout),
        None => (None, pair.cib.default_timeout?),
    };
    (!timeout.is_zero()).then_some((operation, timeout))
}

/// The roles are those of promotable clones; demote takes time only where it restarts the daemon.
fn matters(resource: &Resource, operation: &str) -> bool {
    match operation {
        "promote" => resource.promotable(),
        "demote" => resource.promotable() && resource.parameter("demote") == Some("restart"),
        _ => true,
    }
}
