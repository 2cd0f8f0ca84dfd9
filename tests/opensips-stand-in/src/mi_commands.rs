//! The Management Interface's commands (JSON-RPC 2.0), under the names of 3.6.

use std::path::Path;
use std::time::SystemTime;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::faults::Faults;
use crate::log::{self, ctime};
use crate::shared::Shared;

/// What an idle 3.6.8 with the packaged example configuration uses of its shared memory.
const IDLE_SHARED_MEMORY: u64 = 1_470_000;

/// What the commands tell of.
pub(crate) struct Commands<'p> {
    pub(crate) config: &'p Config,
    pub(crate) config_file: &'p Path,
    pub(crate) faults: &'p Faults,
    pub(crate) started: SystemTime,
    /// Bytes.
    pub(crate) shared_memory: u64,
    pub(crate) shared: Shared,
}

/// A refusal: code, message, and the detail that JSON-RPC calls data.
#[derive(Debug, PartialEq, Eq)]
struct Refusal(i64, &'static str, Option<&'static str>);

const METHOD_NOT_FOUND: Refusal = Refusal(-32601, "Method not found", None);
const PARAMETER_COUNT: Refusal =
    Refusal(-32602, "Invalid params", Some("Too few or too many parameters"));
const PARAMETER_TYPE: Refusal =
    Refusal(-32602, "Invalid params", Some("Bad type for parameter 'statistics'"));
const PARAMETER_NAME: Refusal =
    Refusal(-32602, "Invalid params", Some("Named parameters do not match"));
const RELOAD_FAILED: Refusal = Refusal(500, "reload failed", None);
const INTERNAL: Refusal = Refusal(-32603, "Internal error", None);

/// 4.0 has other names for them (`module:command`), which 3.6 does not know.
const NAMES: [&str; 12] = [
    "get_statistics",
    "uptime",
    "version",
    "pwd",
    "which",
    "ps",
    "kill",
    "reload_routes",
    "sr_list_status",
    "clusterer_list",
    "clusterer_list_shtags",
    "clusterer_shtag_set_active",
];

impl Commands<'_> {
    /// The response; None for a notification, which has no id.
    pub(crate) fn answer(&self, request: &Value) -> Option<Value> {
        let id = request.get("id");
        let version = request.get("jsonrpc").and_then(Value::as_str);
        let method = request.get("method").and_then(Value::as_str);
        if method.is_some() && method == self.faults.mi_silent_command.as_deref() {
            return None;
        }
        let outcome = match method {
            Some(method) if version == Some("2.0") => self.execute(method, request.get("params")),
            _ => Err(Refusal(-32600, "Invalid Request", None)),
        };
        let id = id?;
        Some(match outcome {
            Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": id}),
            Err(Refusal(code, message, data)) => {
                let mut error = json!({"code": code, "message": message});
                if let (Some(error), Some(data)) = (error.as_object_mut(), data) {
                    error.insert("data".to_owned(), data.into());
                }
                json!({"jsonrpc": "2.0", "error": error, "id": id})
            }
        })
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        let clusterer = self.config.has_module("clusterer");
        NAMES.into_iter().filter(move |name| clusterer || !name.starts_with("clusterer"))
    }

    fn execute(&self, method: &str, parameters: Option<&Value>) -> Result<Value, Refusal> {
        let name = self.names().find(|name| *name == method).ok_or(METHOD_NOT_FOUND)?;
        match name {
            "get_statistics" => return self.statistics(argument(parameters, "statistics")?),
            "clusterer_shtag_set_active" => return self.activate(argument(parameters, "tag")?),
            _ => {}
        }
        let given = parameters.map_or(0, |given| match given {
            Value::Array(values) => values.len(),
            Value::Object(values) => values.len(),
            _ => 1,
        });
        if given > 0 {
            return Err(PARAMETER_COUNT);
        }
        match name {
            "uptime" => Ok(self.uptime()),
            "version" => Ok(json!({"Server": format!("OpenSIPS ({})", crate::VERSION)})),
            "pwd" => std::env::current_dir()
                .map(|directory| json!({"WD": directory.display().to_string()}))
                .map_err(|_| INTERNAL),
            "which" => Ok(self.names().collect()),
            "ps" => self.processes(),
            "kill" => {
                // As the daemon: to its own process group.
                kill(Pid::from_raw(0), Signal::SIGTERM).map_err(|_| INTERNAL)?;
                Ok("OK".into())
            }
            // As the daemon: only the routes count, and a fault in them leaves the old ones.
            "reload_routes" => match Config::read(self.config_file) {
                Ok(_) => Ok("OK".into()),
                Err(error) => {
                    log::error(&error);
                    Err(RELOAD_FAILED)
                }
            },
            "sr_list_status" => Ok(self.readiness()),
            "clusterer_list" => Ok(self.neighbours()),
            _ => self.tags(),
        }
    }

    fn uptime(&self) -> Value {
        let now = SystemTime::now();
        let seconds = now.duration_since(self.started).unwrap_or_default();
        let seconds = (seconds + self.faults.up_before).as_secs();
        json!({
            "Now": ctime(now),
            "Up since": ctime(self.started),
            "Up time": format!("{seconds} [sec]"),
        })
    }

    fn processes(&self) -> Result<Value, Refusal> {
        let processes = self.shared.processes().map_err(|_| INTERNAL)?;
        let list: Value = processes
            .into_iter()
            .map(|process| json!({"ID": process.id, "PID": process.pid, "Type": process.kind}))
            .collect();
        Ok(json!({"Processes": list}))
    }

    /// `names`: statistics, or groups with a colon at the end.
    fn statistics(&self, names: &Value) -> Result<Value, Refusal> {
        let names = names.as_array().ok_or(PARAMETER_TYPE)?;
        let all = self.all_statistics()?;
        let mut found = Map::new();
        for name in names.iter().filter_map(Value::as_str) {
            for (group, statistic, value) in &all {
                let wanted = name == "all"
                    || name == statistic
                    || name.strip_suffix(':') == Some(*group)
                    || name.split_once(':') == Some((group, statistic.as_str()));
                if wanted {
                    found.insert(format!("{group}:{statistic}"), (*value).into());
                }
            }
        }
        Ok(Value::Object(found))
    }

    fn all_statistics(&self) -> Result<Vec<(&'static str, String, u64)>, Refusal> {
        let total = self.shared_memory;
        let used = match self.faults.shared_memory_used_percent {
            Some(percent) => total / 100 * percent,
            None => IDLE_SHARED_MEMORY.min(total),
        };
        let processes = self.shared.processes().map_err(|_| INTERNAL)?;
        let mut all: Vec<(&str, String, u64)> = processes
            .iter()
            // As the daemon: attendant and timers are not measured.
            .filter(|process| !["attendant", "timer", "time_keeper"].contains(&&*process.kind))
            .flat_map(|process| {
                let receiver = process.kind.starts_with("SIP receiver");
                let busy = if receiver { self.faults.load_percent } else { 0 };
                ["load", "load1m", "load10m"]
                    .map(|window| ("load", format!("{window}-proc-{}", process.id), busy))
            })
            .collect();
        let totals = [
            ("shmem", "total_size", total),
            ("shmem", "max_used_size", used),
            ("shmem", "free_size", total - used),
            ("shmem", "used_size", used),
            ("shmem", "real_used_size", used),
            ("core", "rcv_requests", self.shared.requests().map_err(|_| INTERNAL)?),
            ("load", "load", 0),
            ("load", "load1m", 0),
            ("load", "load10m", 0),
            ("load", "load-all", 0),
            ("load", "load1m-all", 0),
            ("load", "load10m-all", 0),
            ("load", "processes_number", processes.len() as u64),
        ];
        all.extend(totals.map(|(group, name, value)| (group, name.to_owned(), value)));
        Ok(all)
    }

    /// As they were left by the last activation, at first as the configuration says.
    fn tags(&self) -> Result<Value, Refusal> {
        let tags = self.shared.tags().map_err(|_| INTERNAL)?;
        if !tags.is_null() {
            return Ok(tags);
        }
        let configured = self.config.parameters("clusterer", "sharing_tag");
        Ok(configured
            .filter_map(|tag| {
                let (name, rest) = tag.split_once('/')?;
                let (cluster, state) = rest.split_once('=')?;
                let cluster: u64 = cluster.trim().parse().ok()?;
                Some(json!({"Tag": name.trim(), "Cluster": cluster, "State": state.trim()}))
            })
            .collect())
    }

    /// Any tag of a cluster that the node is in becomes active; there is no way back but another
    /// node's activation, and there are no other nodes here.
    fn activate(&self, tag: &Value) -> Result<Value, Refusal> {
        let format = Refusal(400, "Bad tag format <name/cluster_id>", None);
        let (name, cluster) = tag.as_str().and_then(|tag| tag.split_once('/')).ok_or(format)?;
        let cluster: u64 =
            cluster.parse().map_err(|_| Refusal(400, "Bad cluster ID in tag", None))?;
        let mut tags = self.tags()?;
        let list = tags.as_array_mut().ok_or(INTERNAL)?;
        if !self.clusters().contains(&cluster)
            && !list.iter().any(|known| known.get("Cluster") == Some(&cluster.into()))
        {
            return Err(Refusal(404, "Cluster ID not found", None));
        }
        list.retain(|known| {
            known.get("Tag") != Some(&name.into()) || known.get("Cluster") != Some(&cluster.into())
        });
        list.insert(0, json!({"Tag": name, "Cluster": cluster, "State": "active"}));
        self.shared.set_tags(&tags).map_err(|_| INTERNAL)?;
        Ok("OK".into())
    }

    /// Everything is ready but for what the fault switch names.
    fn readiness(&self) -> Value {
        let part = |name: &str, readiness: bool| {
            let (status, details) = if readiness { (1, "running") } else { (-2, "no data loaded") };
            json!({"Name": name, "Readiness": readiness, "Status": status, "Details": details})
        };
        let group = |name: &str, part| json!({"Name": name, "Identifiers": [part]});
        let unready = self.faults.unready.iter().map(|name| group(name, part("default", false)));
        unready.chain([group("core", part("main", true))]).collect()
    }

    /// The other nodes of `neighbor_node_info`, which do not exist; the link is as the fault switch says.
    fn neighbours(&self) -> Value {
        let infos = self.config.parameters("clusterer", "neighbor_node_info");
        let clusters: Vec<Value> = infos
            .map(|info| {
                let value = |name: &str| {
                    let mut pairs = info.split(',').filter_map(|pair| pair.split_once('='));
                    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
                };
                let number = |name| value(name).and_then(|value| value.parse::<u64>().ok());
                let link = if self.faults.link_up { "Up" } else { "Probe" };
                json!({"cluster_id": number("cluster_id"), "Nodes": [{
                    "node_id": number("node_id"), "db_id": -1, "url": value("url"),
                    "link_state": link, "state": "enabled", "next_hop": "none", "description": "none",
                }]})
            })
            .collect();
        json!({"Clusters": clusters})
    }

    /// From `my_node_info`: `cluster_id=1, url=bin:…`
    fn clusters(&self) -> Vec<u64> {
        let infos = self.config.parameters("clusterer", "my_node_info");
        infos
            .flat_map(|info| info.split(','))
            .filter_map(|pair| pair.split_once('='))
            .filter(|(name, _)| name.trim() == "cluster_id")
            .filter_map(|(_, id)| id.trim().parse().ok())
            .collect()
    }
}

/// The one parameter of a command that has one, given by place or by name.
fn argument<'p>(parameters: Option<&'p Value>, name: &str) -> Result<&'p Value, Refusal> {
    match parameters {
        Some(Value::Array(values)) => match values.as_slice() {
            [value] => Ok(value),
            _ => Err(PARAMETER_COUNT),
        },
        Some(Value::Object(values)) if values.len() == 1 => values.get(name).ok_or(PARAMETER_NAME),
        _ => Err(PARAMETER_COUNT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(request: &Value) -> Option<Value> {
        let text = "loadmodule \"clusterer.so\"\n\
                    modparam(\"clusterer\", \"my_node_info\", \"cluster_id=1, url=bin:127.0.0.1\")\n\
                    modparam(\"clusterer\", \"sharing_tag\", \"vip/1=backup\")\n";
        let config = Config::inherited(text.into()).unwrap();
        let commands = Commands {
            config: &config,
            config_file: Path::new("/no/such/file"),
            faults: &Faults::default(),
            started: SystemTime::now(),
            shared_memory: 32 << 20,
            shared: Shared::create().unwrap(),
        };
        let answer = commands.answer(request);
        if answer.as_ref().is_some_and(|answer| answer["result"] == "OK") {
            let list = json!({"jsonrpc": "2.0", "method": "clusterer_list_shtags", "id": 1});
            return commands.answer(&list);
        }
        answer
    }

    fn call(method: &str, parameters: &Value) -> Value {
        let id = "a";
        ask(&json!({"jsonrpc": "2.0", "method": method, "params": parameters, "id": id})).unwrap()
    }

    #[test]
    fn answers_that_a_real_daemon_gave() {
        assert_eq!(
            call("no_such", &json!([])),
            json!({"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"},
                   "id": "a"})
        );
        assert_eq!(
            call("uptime", &json!(["x"]))["error"]["data"],
            "Too few or too many parameters"
        );
        assert_eq!(call("get_statistics", &json!([["nosuch"]]))["result"], json!({}));
        assert_eq!(
            call("get_statistics", &json!({"statistics": ["shmem:total_size"]}))["result"],
            json!({"shmem:total_size": 33_554_432})
        );
        assert_eq!(call("reload_routes", &json!([]))["error"]["message"], "reload failed");
        assert_eq!(ask(&json!({"id": 1})).unwrap()["error"]["code"], -32600);
        assert_eq!(ask(&json!({"jsonrpc": "2.0", "method": "uptime"})), None);
    }

    #[test]
    fn sharing_tags() {
        let backup = json!([{"Tag": "vip", "Cluster": 1, "State": "backup"}]);
        assert_eq!(call("clusterer_list_shtags", &json!([]))["result"], backup);
        let active = json!([{"Tag": "vip", "Cluster": 1, "State": "active"}]);
        let set = "clusterer_shtag_set_active";
        assert_eq!(call(set, &json!(["vip/1"]))["result"], active);
        assert_eq!(call(set, &json!({"tag": "vip/1"}))["result"], active);
        for (tag, code) in [("vip", 400), ("vip/x", 400), ("vip/9", 404)] {
            assert_eq!(call(set, &json!([tag]))["error"]["code"], code, "{tag}");
        }
    }
}
