//! What the cluster and the power switch have written since a mark: stops that failed, fencing.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use lab::Lab;

/// How long each log was.
#[derive(Clone, Debug)]
pub struct Mark {
    logs: Vec<(String, PathBuf, u64)>,
    power_switch: (PathBuf, u64),
}

impl Mark {
    /// Notes how long the logs are now.
    #[must_use]
    pub fn now(lab: &Lab, nodes: &[String]) -> Self {
        let long = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let of_node = |node: &String| {
            let paths = lab.log_paths(node).unwrap_or_default();
            paths.into_iter().map(|path| (node.clone(), path)).collect::<Vec<_>>()
        };
        let logs = nodes.iter().flat_map(of_node);
        let rack = lab.state_directory().join("rack.log");
        Self {
            logs: logs
                .map(|(node, path)| {
                    let length = long(&path);
                    (node, path, length)
                })
                .collect(),
            power_switch: (rack.clone(), long(&rack)),
        }
    }

    /// Stops that Pacemaker has noted as failed.
    #[must_use]
    pub fn failed_stops(&self) -> Vec<String> {
        let pacemaker = self.logs.iter().filter(|(_, path, _)| path.ends_with("pacemaker.log"));
        pacemaker.flat_map(|(_, path, from)| failed_stops(&read(path, *from))).collect()
    }

    /// Nodes whose power the switch has cut at the cluster's request.
    #[must_use]
    pub fn fenced(&self) -> Vec<String> {
        fenced(&read(&self.power_switch.0, self.power_switch.1))
    }

    /// Everything written since, for a round that needs an explanation.
    #[must_use]
    pub fn written(&self) -> String {
        let (rack, from) = &self.power_switch;
        let mut text = format!("== power switch and lab\n{}", read(rack, *from));
        for (node, path, from) in &self.logs {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            text += &format!("== {node} {name}\n{}", read(path, *from));
        }
        text
    }
}

fn read(path: &Path, from: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = std::fs::File::open(path)
        && file.seek(SeekFrom::Start(from)).is_ok()
    {
        // What can be read of it.
        let _ = file.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A line: `… pacemaker-controld  [29] (log_executor_event) \tnotice: Result of stop operation for vip on
/// node1: ok | CIB update 16, …`.
fn failed_stops(log: &str) -> Vec<String> {
    let results = log.lines().filter_map(|line| line.split_once("Result of stop operation for "));
    let results = results.map(|(_, result)| result.split(" | ").next().unwrap_or(result));
    results.filter(|result| !result.ends_with(": ok")).map(str::to_owned).collect()
}

/// A line: `power switch: {"do":"reboot","host":"node1"}: {"ok":null}`.
fn fenced(log: &str) -> Vec<String> {
    let requests = log.lines().filter_map(|line| line.strip_prefix("power switch: "));
    let done = requests.filter_map(|request| request.strip_suffix(": {\"ok\":null}"));
    done.filter_map(|request| {
        let request: serde_json::Value = serde_json::from_str(request).ok()?;
        let action = request.get("do")?.as_str()?;
        let host = request.get("host")?.as_str()?;
        ["off", "reboot"].contains(&action).then(|| host.to_owned())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_and_fencing_are_found() {
        let log = "\
Nov 29 12:23:12.361 node2 pacemaker-controld  [29] (log_executor_event) \tnotice: Result of stop operation for vip on node2: ok | CIB update 16, graph action confirmed
Nov 29 12:23:13.361 node2 pacemaker-controld  [29] (log_executor_event) \terror: Result of stop operation for opensips on node2: Timed Out after 90s (x) | CIB update 17
Nov 29 12:23:14.361 node2 pacemaker-controld  [29] (log_executor_event) \tnotice: Result of start operation for vip on node2: error | CIB update 18
";
        assert_eq!(failed_stops(log), ["opensips on node2: Timed Out after 90s (x)"]);
        let log = "\
power switch: {\"do\":\"list\",\"host\":null}: {\"ok\":[\"node1\",\"node2\"]}
power switch: {\"do\":\"reboot\",\"host\":\"node1\"}: {\"ok\":null}
power switch: {\"do\":\"off\",\"host\":\"node2\"}: {\"error\":\"off node2: the asker is dead: ignored\"}
power switch: {\"do\":\"on\",\"host\":\"node2\"}: {\"ok\":null}
control: {\"do\":\"kill\",\"host\":\"node1\"}
";
        assert_eq!(fenced(log), ["node1"]);
    }
}
