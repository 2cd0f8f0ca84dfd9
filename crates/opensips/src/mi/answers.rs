//! What the daemon answers to the commands, as plain values. Pure.

use std::collections::HashMap;
use std::time::Duration;

use hostproc::Pid;
use serde_json::Value;

/// Group of statistics: shared memory.
pub(crate) const SHARED_MEMORY: &str = "shmem:";
/// A statistic: how many requests have been received.
pub(crate) const REQUESTS: &str = "rcv_requests";
/// Group of statistics: how busy the processes are; three statistics for each.
pub(crate) const LOAD: &str = "load:";

/// Reads `{"Up time":"21 [sec]", …}`.
pub(super) fn up_time(answer: &Value) -> Option<Duration> {
    let text = answer.get("Up time")?.as_str()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_secs)
}

/// Statistics; `None` or empty where the answer does not have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    /// In bytes.
    pub(crate) shared_memory_total: Option<u64>,
    /// In bytes, with the overhead of the allocator.
    pub(crate) shared_memory_used: Option<u64>,
    /// How many requests have been received.
    pub(crate) requests: Option<u64>,
    /// Percent of the last minute, by the process's number in the daemon's table.
    pub(crate) load: HashMap<u64, u64>,
}

impl Statistics {
    /// Reads `{"shmem:total_size":33554432, "load:load1m-proc-1":0, …}`.
    pub(super) fn read(answer: &Value) -> Self {
        let number = |name| answer.get(name).and_then(Value::as_u64);
        let load = answer.as_object().into_iter().flatten().filter_map(|(name, value)| {
            let id = name.strip_prefix("load:load1m-proc-")?.parse().ok()?;
            Some((id, value.as_u64()?))
        });
        Self {
            shared_memory_total: number("shmem:total_size"),
            shared_memory_used: number("shmem:real_used_size"),
            requests: number("core:rcv_requests"),
            load: load.collect(),
        }
    }
}

/// A sharing tag as the daemon lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedTag {
    pub(crate) name: String,
    pub(crate) cluster: u64,
    /// `active` or `backup`; empty where the answer does not have it.
    pub(crate) state: String,
}

/// Reads `[{"Tag":"vip","Cluster":1,"State":"active"}, …]` (`shtag_mi_list()`, modules/clusterer);
/// `None` for another form.
pub(super) fn tags(answer: &Value) -> Option<Vec<ListedTag>> {
    let tag = |entry: &Value| {
        let state = entry.get("State").and_then(Value::as_str).unwrap_or_default();
        Some(ListedTag {
            name: entry.get("Tag")?.as_str()?.to_owned(),
            cluster: entry.get("Cluster")?.as_u64()?,
            state: state.to_owned(),
        })
    };
    Some(answer.as_array()?.iter().filter_map(tag).collect())
}

/// Data that the nodes of a cluster exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Capability {
    /// Id of the cluster.
    pub(crate) cluster: u64,
    /// Fit for a message.
    pub(crate) name: String,
    /// `Ok` where this node has the data of the others.
    pub(crate) state: String,
}

/// Reads `{"Clusters":[{"cluster_id":1,"Capabilities":[{"name":"dialog-dlg-repl","state":"Ok", …}]}]}`
/// (`cl_mi_list_cap()`, modules/clusterer). Ignores entries of another form.
pub(super) fn capabilities(answer: &Value) -> Vec<Capability> {
    let clusters = answer.get("Clusters").and_then(Value::as_array);
    let mut found = Vec::new();
    for cluster in clusters.into_iter().flatten() {
        let id = cluster.get("cluster_id").and_then(Value::as_u64);
        let list = cluster.get("Capabilities").and_then(Value::as_array);
        let (Some(id), Some(list)) = (id, list) else { continue };
        found.extend(list.iter().filter_map(|entry| {
            let state = entry.get("state").and_then(Value::as_str).unwrap_or_default();
            Some(Capability {
                cluster: id,
                name: ocf::shown(entry.get("name")?.as_str()?.as_bytes()),
                state: state.to_owned(),
            })
        }));
    }
    found
}

/// Another node of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    /// Id of the cluster.
    pub(crate) cluster: u64,
    /// Whether this node sees its link to that one as up.
    pub(crate) is_up: bool,
}

/// Reads `{"Clusters":[{"cluster_id":1,"Nodes":[{"node_id":2,"link_state":"Up","state":"enabled", …}]}]}`
/// (`clusterer_list()`, modules/clusterer), without disabled nodes and entries of another form.
pub(super) fn neighbours(answer: &Value) -> Vec<Neighbour> {
    let clusters = answer.get("Clusters").and_then(Value::as_array);
    let mut found = Vec::new();
    for cluster in clusters.into_iter().flatten() {
        let id = cluster.get("cluster_id").and_then(Value::as_u64);
        let nodes = cluster.get("Nodes").and_then(Value::as_array);
        let (Some(cluster), Some(nodes)) = (id, nodes) else { continue };
        found.extend(nodes.iter().filter_map(|node| {
            let text = |name| node.get(name).and_then(Value::as_str);
            let link = text("link_state").filter(|_| text("state") != Some("disabled"))?;
            Some(Neighbour { cluster, is_up: link == "Up" })
        }));
    }
    found
}

/// A part of a module that is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unready {
    /// The module.
    pub(crate) group: String,
    /// `dispatcher/default (no data loaded)`, fit for a message.
    pub(crate) name: String,
}

/// Reads `[{"Name":"dispatcher","Identifiers":[{"Name":"default","Readiness":false,"Details":"…"}]}]`
/// (`mi_sr_list_status()`, status_report.c). Ignores entries of another form.
pub(super) fn unready(answer: &Value) -> Vec<Unready> {
    let shown = |text: &str| ocf::shown(text.as_bytes());
    let mut found = Vec::new();
    for entry in answer.as_array().into_iter().flatten() {
        let group = entry.get("Name").and_then(Value::as_str);
        let parts = entry.get("Identifiers").and_then(Value::as_array);
        let (Some(group), Some(parts)) = (group, parts) else { continue };
        let not_ready =
            parts.iter().filter(|part| part.get("Readiness") == Some(&Value::Bool(false)));
        found.extend(not_ready.map(|part| {
            let text = |name| part.get(name).and_then(Value::as_str);
            let name = match text("Name") {
                None | Some("main") => shown(group),
                Some(part) => format!("{}/{}", shown(group), shown(part)),
            };
            let details = text("Details").map(|details| format!(" ({})", shown(details)));
            Unready { group: group.to_owned(), name: name + &details.unwrap_or_default() }
        }));
    }
    found
}

/// A process of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DaemonProcess {
    /// Its number in the daemon's table, by which statistics name it.
    id: u64,
    /// Its pid on this host; meaningless where the daemon is in a pid namespace of its own.
    pub(crate) pid: Option<Pid>,
    /// What it does: `attendant`, `SIP receiver udp:192.0.2.10:5060`, `timer` …
    pub(crate) role: String,
}

/// Reads `{"Processes":[{"ID":0,"PID":4711,"Type":"attendant"}, …]}` (`mi_ps()`, mi/mi_core.c of
/// 3.4 to 4.0). Ignores entries of another form.
pub(super) fn processes(answer: &Value) -> Vec<DaemonProcess> {
    let list = answer.get("Processes").and_then(Value::as_array);
    let process = |entry: &Value| {
        let pid = entry.get("PID").and_then(Value::as_i64);
        let role = entry.get("Type").and_then(Value::as_str)?;
        Some(DaemonProcess {
            id: entry.get("ID")?.as_u64()?,
            pid: pid.and_then(|pid| Pid::new(i32::try_from(pid).ok()?)),
            role: ocf::shown(role.as_bytes()),
        })
    };
    list.into_iter().flatten().filter_map(process).collect()
}

impl DaemonProcess {
    /// How much of the last minute it was busy, in percent, including time spent waiting for a
    /// database. `None` for processes that are not measured (attendant, timers). The daemon counts
    /// 100 also for a process that is stuck (`pt_get_1m_proc_load()`, pt_load.c).
    pub(crate) fn busy(&self, statistics: &Statistics) -> Option<u64> {
        statistics.load.get(&self.id).map(|percent| (*percent).min(100))
    }
}

/// The processes that do the same work, and how busy they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Crew {
    pub(crate) role: String,
    pub(crate) processes: u64,
    /// Percent of the last minute, on average.
    pub(crate) busy: u64,
}

/// The busiest crew. An average over all processes hides that the receivers of one socket are at
/// their limit: the others do not help them.
pub(crate) fn busiest(processes: &[DaemonProcess], statistics: &Statistics) -> Option<Crew> {
    let mut crews: Vec<Crew> = Vec::new();
    for process in processes {
        let Some(busy) = process.busy(statistics) else { continue };
        match crews.iter_mut().find(|crew| crew.role == process.role) {
            Some(crew) => {
                crew.processes += 1;
                crew.busy += busy;
            }
            None => crews.push(Crew { role: process.role.clone(), processes: 1, busy }),
        }
    }
    for crew in &mut crews {
        crew.busy /= crew.processes.max(1);
    }
    crews.into_iter().max_by_key(|crew| crew.busy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn four() -> Vec<DaemonProcess> {
        processes(&json!({"Processes": [
            {"ID": 0, "PID": 10, "Type": "attendant"},
            {"ID": 1, "PID": 11, "Type": "MI FIFO"},
            {"ID": 2, "PID": 12, "Type": "SIP receiver udp:192.0.2.10:5060"},
            {"ID": 3, "PID": 13, "Type": "SIP receiver udp:192.0.2.10:5060"},
            {"ID": 4, "Type": "TCP main"},
            {"PID": 15},
            "timer",
        ]}))
    }

    #[test]
    fn neighbours_and_readiness() {
        // 3.6.8, as answered.
        let answer = json!({"Clusters": [{"cluster_id": 1, "Nodes": [
            {"node_id": 2, "link_state": "Probe", "state": "enabled", "next_hop": "none"},
            {"node_id": 3, "link_state": "Up", "state": "enabled"},
            {"node_id": 4, "link_state": "Down", "state": "disabled"},
            {"node_id": 5},
        ]}]});
        let up = |is_up| Neighbour { cluster: 1, is_up };
        assert_eq!(neighbours(&answer), [up(false), up(true)]);
        let answer = json!([
            {"Name": "clusterer", "Identifiers": [
                {"Name": "cap:dialog-dlg-repl", "Readiness": false, "Details": "sync pending"},
                {"Name": "sharing_tags", "Readiness": true, "Status": 1},
            ]},
            {"Name": "mine", "Identifiers": [{"Name": "main", "Readiness": false, "Status": -2}]},
            {"Name": "core"},
        ]);
        let names: Vec<(String, String)> =
            unready(&answer).into_iter().map(|one| (one.group, one.name)).collect();
        let cap = "clusterer/cap:dialog-dlg-repl (sync pending)";
        assert_eq!(
            names,
            [("clusterer", cap), ("mine", "mine")].map(|(a, b)| (a.into(), b.into()))
        );
        assert_eq!(neighbours(&json!("OK")), []);
        assert_eq!(unready(&json!("OK")), []);
    }

    #[test]
    fn listed_processes() {
        let roles: Vec<(Option<i32>, String)> =
            four().into_iter().map(|one| (one.pid.map(Pid::get), one.role)).collect();
        assert_eq!(roles.len(), 5);
        assert_eq!(roles[0], (Some(10), "attendant".to_owned()));
        assert_eq!(roles[4], (None, "TCP main".to_owned()));
        assert_eq!(processes(&json!("OK")), []);
    }

    #[test]
    fn the_busiest_crew_counts_not_the_average_of_all() {
        let statistics = Statistics::read(&json!({
            "load:load1m": 30,
            "load:load1m-proc-1": 0,
            "load:load1m-proc-2": 99,
            "load:load1m-proc-3": 92,
            "load:load1m-proc-4": 5,
        }));
        let role = "SIP receiver udp:192.0.2.10:5060".to_owned();
        assert_eq!(busiest(&four(), &statistics), Some(Crew { role, processes: 2, busy: 95 }));
        let unmeasured = Statistics::read(&json!({"load:load1m": 30}));
        assert_eq!(busiest(&four(), &unmeasured), None);
        assert_eq!(busiest(&[], &statistics), None);
    }

    #[test]
    fn up_times() {
        let up = |text: &str| up_time(&json!({"Up time": text}));
        assert_eq!(up("21 [sec]"), Some(Duration::from_secs(21)));
        assert_eq!(up("soon"), None);
        assert_eq!(up_time(&json!("OK")), None);
    }

    #[test]
    fn memory() {
        let answer = json!({"shmem:real_used_size": 90, "shmem:total_size": 100, "other": 1});
        let read = Statistics::read(&answer);
        assert_eq!((read.shared_memory_used, read.shared_memory_total), (Some(90), Some(100)));
        assert_eq!(Statistics::read(&json!("OK")), Statistics::default());
    }

    #[test]
    fn sharing_tags() {
        let list = json!([
            {"Tag": "vip", "Cluster": 1, "State": "active"},
            {"Tag": "vip", "Cluster": 2},
            {"Tag": "vip"},
            7,
        ]);
        let tag = |cluster, state: &str| ListedTag {
            name: "vip".to_owned(),
            cluster,
            state: state.to_owned(),
        };
        assert_eq!(tags(&list), Some(vec![tag(1, "active"), tag(2, "")]));
        assert_eq!(tags(&json!("OK")), None);
    }

    #[test]
    fn capabilities_of_clusters() {
        let answer = json!({"Clusters": [{"cluster_id": 1, "Capabilities": [
            {"name": "dialog-dlg-repl", "state": "not synced", "enabled": "yes"},
            {"state": "Ok"},
        ]}, {"cluster_id": 2}]});
        let (name, state) = ("dialog-dlg-repl".to_owned(), "not synced".to_owned());
        assert_eq!(capabilities(&answer), [Capability { cluster: 1, name, state }]);
        assert_eq!(capabilities(&json!("OK")), []);
    }

    proptest! {
        #[test]
        fn any_numbers_are_judged(busy: [u64; 4], pid: i64) {
            let ids = [0_u64, 1, 1, 2];
            let list: Vec<Value> =
                ids.iter().map(|id| json!({"ID": id, "PID": pid, "Type": "x"})).collect();
            let mut statistics = serde_json::Map::new();
            for (id, busy) in ids.iter().zip(busy) {
                statistics.insert(format!("load:load1m-proc-{id}"), busy.into());
            }
            let processes = processes(&json!({"Processes": list}));
            let statistics = Statistics::read(&Value::Object(statistics));
            prop_assert!(busiest(&processes, &statistics).is_some());
        }
    }
}
