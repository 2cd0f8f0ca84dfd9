//! What administrators call: pcs and crm_resource with our agents.

use std::time::{Duration, Instant};

use suites::scenario;

use crate::Cluster;

/// The order constraint of the example: on the node that has both, the address came first.
pub(crate) fn start_order(cluster: &Cluster) -> Result<(), String> {
    let node = cluster.active()?;
    let (vip, opensips) =
        (start_call(cluster, &node, "vip")?, start_call(cluster, &node, "opensips")?);
    if vip < opensips { Ok(()) } else { Err(format!("vip call {vip}, opensips call {opensips}")) }
}

/// The number of the last start in a node's history. A reload-agent that ended well is recorded as a
/// start, too (Pacemaker's controller does that for its scheduler).
fn start_call(cluster: &Cluster, node: &str, resource: &str) -> Result<u32, String> {
    let xml = cluster.run(node, &["crm_mon", "-1", "--output-as=xml", "--include=operations"])?;
    let document = roxmltree::Document::parse(&xml).map_err(|error| error.to_string())?;
    document
        .descendants()
        .filter(|n| n.has_tag_name("resource_history") && n.attribute("id") == Some(resource))
        .filter(|n| n.parent().and_then(|p| p.attribute("name")) == Some(node))
        .flat_map(|n| n.children())
        .filter(|n| n.attribute("task") == Some("start"))
        .find_map(|n| n.attribute("call")?.parse::<u32>().ok())
        .ok_or_else(|| format!("no start of {resource} on {node} in\n{xml}"))
}

/// `pcs resource describe` and `list` show what the meta-data says.
pub(crate) fn describe(cluster: &Cluster) -> Result<(), String> {
    for (agent, parameter) in [("opensips-vip", "cidr_netmask"), ("opensips", "sip_probe")] {
        let name = format!("ocf:smartvox:{agent}");
        let text = cluster.run("node1", &["pcs", "resource", "describe", &name])?;
        if !text.contains(parameter) || !text.contains("Default operations") {
            return Err(format!("{parameter} is missing in\n{text}"));
        }
    }
    let list = cluster.run("node1", &["pcs", "resource", "list", "ocf:smartvox"])?;
    let agents: Vec<_> = list.lines().filter(|line| line.starts_with("ocf:smartvox:")).collect();
    if agents.len() == 2 { Ok(()) } else { Err(list) }
}

/// `pcs resource update`: a parameter of the agent alone takes effect beneath the running daemon, one
/// of the daemon's restarts it.
pub(crate) fn new_values(cluster: &Cluster) -> Result<(), String> {
    let node = cluster.active()?;
    let pid = || cluster.run(&node, &["cat", "/run/opensips/opensips.pid"]);
    let update = |value: &str| {
        cluster.run(&node, &["pcs", "resource", "update", "opensips", value, "--wait=240"])
    };
    let (before, start) = (pid()?, start_call(cluster, &node, "opensips")?);
    update("sip_probe_attempts=4")?;
    let begun = Instant::now();
    while start_call(cluster, &node, "opensips")? == start {
        if begun.elapsed() > crate::PATIENCE {
            return Err(format!("no reload-agent\n{}", scenario::status(&cluster.lab)));
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    cluster.serves(|now| now == node)?;
    let after = pid()?;
    if after != before {
        return Err(format!("reload-agent: pid {} is now {}", before.trim(), after.trim()));
    }
    update("open_files=65536")?;
    cluster.serves(|now| now == node)?;
    if pid()? == after {
        return Err(format!("open_files is new, the daemon is not (pid {})", after.trim()));
    }
    Ok(())
}

/// The night shift: the cluster holds still, `crm_resource` runs the agents by hand.
pub(crate) fn by_hand(cluster: &Cluster) -> Result<(), String> {
    let node = cluster.active()?;
    let idle = scenario::peer(&node);
    let validate = |options: &[&str]| {
        let mut command = vec!["crm_resource", "--validate", "--class", "ocf"];
        command.extend(["--provider", "smartvox", "--agent", "opensips-vip"]);
        options.iter().for_each(|option| command.extend(["--option", option]));
        scenario::output(&cluster.lab, idle, &command)
    };
    // On a node that has neither the address nor the interface named.
    let good = validate(&["ip=192.0.2.77", "nic=no-such-nic"])?;
    if !good.status.success() {
        return Err(format!("validate of good parameters: {good:?}"));
    }
    let bad = validate(&["ip=192.0.2.777"])?;
    let said = format!("{}{}", text(&bad.stdout), text(&bad.stderr));
    if bad.status.success() || !said.contains("192.0.2.777") {
        return Err(format!("validate of a bad address: {}\n{said}", bad.status));
    }

    cluster.run(&node, &["pcs", "property", "set", "maintenance-mode=true"])?;
    // Otherwise a recurring monitor could still run between two of the steps.
    cluster.run(&node, &["crm_resource", "--wait", "--timeout=240s"])?;
    let force = |action: &str, resource: &str, on: &str| {
        let option = format!("--force-{action}");
        scenario::output(&cluster.lab, on, &["crm_resource", &option, "-r", resource])
    };
    let expect = |action: &str, resource: &str, on: &str, code: i32| {
        let output = force(action, resource, on)?;
        if output.status.code() == Some(code) {
            Ok(())
        } else {
            let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
            Err(format!(
                "--force-{action} {resource} on {on}: {}, not {code}\n{said}",
                output.status
            ))
        }
    };
    let steps = || {
        expect("check", "vip", &node, 0)?;
        expect("check", "opensips", &node, 0)?;
        expect("check", "vip", idle, 7)?;
        expect("check", "opensips", idle, 7)?;
        expect("stop", "opensips", &node, 0)?;
        expect("stop", "opensips", &node, 0)?;
        expect("check", "opensips", &node, 7)?;
        expect("stop", "vip", &node, 0)?;
        expect("check", "vip", &node, 7)?;
        if !scenario::owners(&cluster.lab)?.is_empty() {
            return Err("the address is still answered for after --force-stop".to_owned());
        }
        expect("start", "vip", &node, 0)?;
        expect("start", "vip", &node, 0)?;
        expect("start", "opensips", &node, 0)?;
        expect("check", "vip", &node, 0)?;
        expect("check", "opensips", &node, 0)
    };
    let result = steps();
    cluster.run(&node, &["pcs", "property", "set", "maintenance-mode=false"])?;
    result?;
    cluster.serves(|now| now == node).map(drop)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
