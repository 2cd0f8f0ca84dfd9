//! The daemon's processes by its own word (`ps`), and how busy each has been (statistics `load:`).
//! Pure.

use hostproc::Pid;
use serde_json::Value;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DaemonProcess {
    /// Its number in the daemon's table, by which statistics name it.
    id: u64,
    /// Its number on this host; of no use where the daemon is in a pid namespace of its own.
    pub(crate) pid: Option<Pid>,
    /// What it does: `attendant`, `SIP receiver udp:192.0.2.10:5060`, `timer` …
    pub(crate) role: String,
}

/// Reads `{"Processes":[{"ID":0,"PID":4711,"Type":"attendant"}, …]}` (`mi_ps()`, mi/mi_core.c of
/// 3.4 to 4.0). What has another form is left out.
pub(crate) fn listed(answer: &Value) -> Vec<DaemonProcess> {
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
    /// How much of the last minute it was busy, in percent: it handled something, whether it
    /// computed or waited for a database. `None` for those that are not measured (attendant,
    /// timers). The daemon counts 100 also for one that has been stuck for so long
    /// (`pt_get_1m_proc_load()`, pt_load.c).
    pub(crate) fn busy(&self, statistics: &Value) -> Option<u64> {
        let percent = statistics.get(format!("load:load1m-proc-{}", self.id))?.as_u64()?;
        // More than all of the time is none.
        Some(percent.min(100))
    }
}

/// Processes that do the same work, and how busy they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Crew {
    pub(crate) role: String,
    pub(crate) processes: u64,
    /// Percent of the last minute, on average.
    pub(crate) busy: u64,
}

/// The busiest of them. An average over all processes would hide that the receivers of one socket
/// can't do more: the others have nothing to do with it.
pub(crate) fn busiest(processes: &[DaemonProcess], statistics: &Value) -> Option<Crew> {
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
        listed(&json!({"Processes": [
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
    fn processes() {
        let roles: Vec<(Option<i32>, String)> =
            four().into_iter().map(|one| (one.pid.map(Pid::get), one.role)).collect();
        assert_eq!(roles.len(), 5);
        assert_eq!(roles[0], (Some(10), "attendant".to_owned()));
        assert_eq!(roles[4], (None, "TCP main".to_owned()));
        assert_eq!(listed(&json!("OK")), []);
    }

    #[test]
    fn the_busiest_crew_counts_not_the_average_of_all() {
        let statistics = json!({
            "load:load1m": 30,
            "load:load1m-proc-1": 0,
            "load:load1m-proc-2": 99,
            "load:load1m-proc-3": 92,
            "load:load1m-proc-4": 5,
        });
        let role = "SIP receiver udp:192.0.2.10:5060".to_owned();
        assert_eq!(busiest(&four(), &statistics), Some(Crew { role, processes: 2, busy: 95 }));
        assert_eq!(busiest(&four(), &json!({"load:load1m": 30})), None);
        assert_eq!(busiest(&[], &statistics), None);
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
            let processes = listed(&json!({"Processes": list}));
            prop_assert!(busiest(&processes, &Value::Object(statistics)).is_some());
        }
    }
}
