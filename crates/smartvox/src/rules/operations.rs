//! Monitors and timeouts.

use std::fmt;

use super::{Found, Pair};
use crate::cib::{Operation, Resource, Role};

/// Pacemaker's own, for an operation that is not configured.
const DEFAULT_TIMEOUT_S: u64 = 20;

/// A monitor as pcs is told of it.
struct Monitor<'a> {
    interval_s: u64,
    role: Option<&'static str>,
    check_level: Option<&'a str>,
}

impl<'a> Monitor<'a> {
    fn of(operation: &'a Operation) -> Self {
        Self {
            interval_s: operation.interval.as_secs(),
            role: operation.role.name(),
            check_level: operation.check_level.as_deref(),
        }
    }
}

impl fmt::Display for Monitor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "monitor interval={}s timeout=20s", self.interval_s)?;
        if let Some(role) = self.role {
            write!(f, " role={role}")?;
        }
        if let Some(level) = self.check_level {
            write!(f, " OCF_CHECK_LEVEL={level}")?;
        }
        Ok(())
    }
}

/// The shortest interval in seconds, from this one on, that no monitor of the resource has.
fn free_interval(resource: &Resource, from: u64) -> u64 {
    let taken =
        |seconds: u64| resource.monitors().any(|monitor| monitor.interval.as_secs() == seconds);
    (from..60).find(|seconds| !taken(*seconds)).unwrap_or(60)
}

pub(super) fn monitor_missing(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for resource in pair.cib.ours() {
        let id = &resource.id;
        let has = |role: Role| resource.monitors().any(|monitor| monitor.role == role);
        let mut missing = |which: &str, role: Option<&'static str>| {
            let options =
                Monitor { interval_s: free_interval(resource, 2), role, check_level: None };
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
                let options =
                    Monitor { interval_s: free_interval(resource, 2), ..Monitor::of(monitor) };
                let command = format!(
                    "pcs resource op delete {} && pcs resource op add {} {options}",
                    monitor.id, resource.id
                );
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
            let role = Some("Stopped");
            let options =
                Monitor { interval_s: free_interval(resource, 1), role, check_level: None };
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
            let configured = resource.operations.iter().filter(|operation| operation.name == name);
            let shortest = configured.filter_map(|operation| operation.timeout).min();
            let has = shortest.map_or(DEFAULT_TIMEOUT_S, |timeout| timeout.as_secs());
            let unlimited = shortest.is_some_and(|timeout| timeout.is_zero());
            let needed = needed.as_secs();
            if has < needed && !unlimited {
                let id = &resource.id;
                let sentence = format!(
                    "the timeout of {name} of {id} is {has}s, and the agent needs {needed}s"
                );
                let interval = resource
                    .monitors()
                    .filter(|_| name == "monitor")
                    .find(|monitor| monitor.timeout == shortest)
                    .map(|monitor| format!(" interval={}ms", monitor.interval.as_millis()));
                let command = format!(
                    "pcs resource update {id} op {name}{} timeout={needed}s",
                    interval.unwrap_or_default()
                );
                found.push(Found::of(resource, sentence, command));
            }
        }
    }
    found
}

/// The roles are those of promotable clones; demote takes time only where it restarts the daemon.
fn matters(resource: &Resource, operation: &str) -> bool {
    match operation {
        "promote" => resource.promotable(),
        "demote" => resource.promotable() && resource.parameter("demote") == Some("restart"),
        _ => true,
    }
}
