//! What `lab status` shows.

use serde_json::{Value, json};

use crate::{ClusterStatus, NodeStatus, ResourceStatus, Result, message::text};

/// The cluster's state for programs.
pub(crate) fn cluster_json(cluster: &ClusterStatus) -> Value {
    let node = |node: &NodeStatus| {
        json!({
            "name": node.name,
            "online": node.online,
            "pending": node.pending,
            "unclean": node.unclean,
            "standby": node.standby,
        })
    };
    let resource = |resource: &ResourceStatus| {
        json!({
            "id": resource.id,
            "role": resource.role,
            "failed": resource.failed,
            "nodes": resource.nodes,
        })
    };
    json!({
        "dc": cluster.dc,
        "with_quorum": cluster.with_quorum,
        "nodes": cluster.nodes.iter().map(node).collect::<Vec<_>>(),
        "resources": cluster.resources.iter().map(resource).collect::<Vec<_>>(),
    })
}

/// Hosts, power, cables and membership for people.
pub(crate) fn table(hosts: &Value, cluster: Option<&ClusterStatus>) -> Result<String> {
    let mut lines = vec![line("HOST", "POWER", "PID", "NETWORKS", "CLUSTER")];
    for host in hosts.as_array().into_iter().flatten() {
        let name = text(host, "name")?;
        let pid = host.pointer("/process/pid").map_or_else(|| "-".to_owned(), Value::to_string);
        let cables = host.get("cables").and_then(Value::as_array);
        let networks: Result<Vec<_>> = cables.into_iter().flatten().map(cable_words).collect();
        let node = cluster.and_then(|cluster| cluster.nodes.iter().find(|node| node.name == name));
        let member = match (node, cluster.and_then(|cluster| cluster.dc.as_deref())) {
            (None, _) => "-",
            (Some(node), _) if !node.online && node.unclean => "offline, unclean",
            (Some(node), _) if !node.online => "offline",
            (Some(node), _) if node.pending => "pending",
            (Some(node), _) if node.standby => "standby",
            (Some(_), Some(dc)) if dc == name => "online, DC",
            (Some(_), _) => "online",
        };
        lines.push(line(name, text(host, "power")?, &pid, &networks?.join("  "), member));
    }
    Ok(lines.concat())
}

fn line(host: &str, power: &str, pid: &str, networks: &str, member: &str) -> String {
    format!("{host:<8}{power:<9}{pid:<9}{networks:<44}  {member}\n")
}

fn cable_words(cable: &Value) -> Result<String> {
    let flag = |key| cable.get(key) == Some(&Value::Bool(true));
    let state = match (flag("plugged"), flag("split")) {
        (false, _) => " unplugged",
        (true, true) => " split",
        (true, false) => "",
    };
    Ok(format!("{} {}{state}", text(cable, "interface")?, text(cable, "ipv4")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_what_is_wrong() {
        let hosts = json!([{"name": "node1", "power": "off", "process": null, "cables": [
            {"interface": "eth0", "ipv4": "192.0.2.11", "plugged": false, "split": false},
            {"interface": "eth1", "ipv4": "198.51.100.11", "plugged": true, "split": true},
        ]}]);
        let table = table(&hosts, None).unwrap();
        assert!(table.contains(
            "node1   off      -        eth0 192.0.2.11 unplugged  eth1 198.51.100.11 split"
        ));
    }
}
