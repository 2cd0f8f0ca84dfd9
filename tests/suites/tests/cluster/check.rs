//! `smartvox` on a real cluster.

// A member that is missing in JSON is null.
#![allow(clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use serde_json::Value;
use suites::{scenario, schema};

use crate::{Cluster, PATIENCE};

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))
}

/// The parameters are those of the cluster.
pub(crate) fn diagnose(cluster: &Cluster) -> Result<(), String> {
    let node = cluster.active()?;
    let said = cluster.run(&node, &["smartvox", "diagnose", "--format", "json"])?;
    let told = json(&said)?;
    schema::fits("smartvox-diagnose", &told)?;
    let of = |resource: &str| {
        let all = told["resources"].as_array().into_iter().flatten();
        let mut found = all.filter(|one| one["resource"] == resource);
        found.next().map(|one| &one["diagnosis"]).ok_or_else(|| format!("no {resource}: {said}"))
    };
    let (vip, opensips) = (of("vip")?, of("opensips")?);
    schema::fits("opensips-vip-diagnose", vip)?;
    schema::fits("opensips-diagnose", opensips)?;
    if told["origin"] != "cluster" || vip["vip"] != "192.0.2.10" || vip["monitor"]["code"] != 0 {
        return Err(said);
    }
    if opensips["monitor"]["code"] != 0 || opensips["config"] != "/etc/opensips/opensips.cfg" {
        return Err(said);
    }
    // On the other node, of one resource, for people.
    let idle = scenario::peer(&node);
    let said = cluster.run(idle, &["smartvox", "diagnose", "vip"])?;
    if !said.starts_with("vip (ocf:smartvox:opensips-vip)") || !said.contains("OCF_NOT_RUNNING") {
        return Err(said);
    }
    let none = scenario::output(&cluster.lab, idle, &["smartvox", "diagnose", "no-such"])?;
    let why = String::from_utf8_lossy(&none.stderr).into_owned();
    if none.status.code() == Some(2) && why.contains("vip, opensips") { Ok(()) } else { Err(why) }
}

/// What an administrator does wrong, and the rule that finds it.
const MISTAKES: [(&str, &str); 7] = [
    ("pcs property set stonith-enabled=false", "fencing"),
    ("pcs stonith update fence-node1 pcmk_delay_base=0", "fencing-delay"),
    ("pcs resource op delete vip-monitor-interval-1s", "monitor-stopped"),
    ("pcs resource update opensips op start timeout=10s", "timeout"),
    ("pcs resource meta vip migration-threshold=1", "migration-threshold"),
    ("pcs resource unmanage opensips", "maintenance"),
    ("pcs constraint remove order-vip-opensips-mandatory", "order"),
];

/// The example has none; each is found, and the command that check prints ends it.
pub(crate) fn mistakes(cluster: &Cluster) -> Result<(), String> {
    scenario::nothing_to_find(&cluster.lab, PATIENCE)?;
    let node = cluster.active()?;
    let typed = |line: &str| {
        let came = scenario::typed(&cluster.lab, &node, line)?;
        if came.exit == Some(0) { Ok(()) } else { Err(format!("{line}: {}", came.output)) }
    };
    for (mistake, _) in MISTAKES {
        typed(mistake)?;
    }
    for finding in found(cluster, &node)? {
        typed(finding["command"].as_str().unwrap_or_default())?;
    }
    scenario::nothing_to_find(&cluster.lab, PATIENCE)?;
    // As the other steps have it.
    typed("pcs stonith update fence-node1 pcmk_delay_base=1s")?;
    cluster.serves(|now| now == node).map(drop)
}

/// A configuration file that is changed on one node alone is found on the other one, and on each until it is
/// the same again there.
pub(crate) fn nodes_that_differ(cluster: &Cluster) -> Result<(), String> {
    const CONFIG: &str = "/etc/opensips/opensips.cfg";
    scenario::nothing_to_find(&cluster.lab, PATIENCE)?;
    let rules = |node: &str| -> Result<Vec<String>, String> {
        let command = ["smartvox", "check", "--format", "json"];
        let output = scenario::output(&cluster.lab, node, &command)?;
        let told = json(&String::from_utf8_lossy(&output.stdout))?;
        let findings = told["findings"].as_array().cloned().unwrap_or_default();
        Ok(findings.iter().filter_map(|one| Some(one["rule"].as_str()?.to_owned())).collect())
    };
    // What one node tells, the other one knows a moment later. On a slow machine a monitor can be late, and is
    // degraded until the next one.
    let expect = |node: &str, expected: &[&str]| {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = rules(node)?;
            if found == expected {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("{node}: {found:?}"));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    };
    // The file belongs to the repository: another one is put over it on node2.
    let other = format!(
        "cp {CONFIG} /run/other.cfg && echo '# other' >> /run/other.cfg && mount --bind /run/other.cfg {CONFIG}"
    );
    cluster.run("node2", &["sh", "-ec", &other])?;
    let differ = || {
        // node2 has not told of the change yet.
        expect("node1", &[])?;
        expect("node2", &["configurations"])?;
        expect("node1", &["configurations"])
    };
    let came = differ();
    cluster.run("node2", &["sh", "-ec", &format!("umount {CONFIG}; rm /run/other.cfg")])?;
    came?;
    expect("node2", &[])?;
    expect("node1", &[])
}

/// Waits until the findings on a node are those of the mistakes: its copy of the configuration can be a
/// moment behind.
fn found(cluster: &Cluster, node: &str) -> Result<Vec<Value>, String> {
    let mut expected = MISTAKES.map(|(_, rule)| rule);
    expected.sort_unstable();
    let end = Instant::now() + PATIENCE;
    loop {
        let command = ["smartvox", "check", "--format", "json"];
        let output = scenario::output(&cluster.lab, node, &command)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = json(&said)?;
        schema::fits("smartvox-check", &told)?;
        let findings = told["findings"].as_array().cloned().unwrap_or_default();
        let rules = findings.iter().filter_map(|finding| finding["rule"].as_str());
        let mut rules: Vec<&str> = rules.collect();
        rules.sort_unstable();
        if output.status.code() == Some(1) && rules == expected {
            return Ok(findings);
        }
        if Instant::now() > end {
            return Err(format!("{}: {rules:?}, expected {expected:?}\n{said}", output.status));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
