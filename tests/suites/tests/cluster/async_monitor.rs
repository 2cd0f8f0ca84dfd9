//! The asynchronous monitor: what Pacemaker is told at once, and what it is not.

use std::time::{Duration, Instant};

use crate::faults::{PID_FILE, clean_up};
use crate::{Cluster, PATIENCE};

/// A daemon that is younger is left to the next monitor.
const OLD: u64 = 6;

/// OpenSIPS dies long before the next monitor: the cluster recovers it all the same.
pub(crate) fn between_two_monitors(cluster: &Cluster) -> Result<(), String> {
    let node = cluster.active()?;
    // Longer than this test waits for anything.
    set_interval(cluster, "600s")?;
    let before = kill_old(cluster, &node)?;
    let command = ["crm_mon", "-1", "--output-as=xml", "--include=none,failures"];
    wait("the failure of asyncmon", || {
        Ok(cluster.run(&node, &command)?.contains("op_key=\"opensips_asyncmon_0\""))
    })?;
    let now = cluster.serves(|_| true)?;
    if cluster.run(&now, &["cat", PID_FILE])? == before {
        return Err(format!("the pid file still says {before}"));
    }
    let log = cluster.run(&node, &["cat", "/var/log/pacemaker/pacemaker.log"])?;
    if !log.lines().any(|line| {
        line.contains("asyncmon=failed") && line.contains("orphans of OpenSIPS are alive")
    }) {
        return Err("the reason is not in the log".to_owned());
    }
    set_interval(cluster, "2s")?;
    clean_up(cluster)
}

/// A person is at work: nothing is told, and nothing is failed afterwards.
pub(crate) fn in_maintenance(cluster: &Cluster) -> Result<(), String> {
    let node = cluster.active()?;
    cluster.run(&node, &["pcs", "property", "set", "maintenance-mode=true"])?;
    cluster.run(&node, &["crm_resource", "--wait", "--timeout=240s"])?;
    let result = kill_and_start(cluster, &node);
    cluster.run(&node, &["pcs", "property", "set", "maintenance-mode=false"])?;
    result?;
    cluster.run(&node, &["crm_resource", "--wait", "--timeout=240s"])?;
    cluster.serves(|now| now == node)?;
    let counts = cluster.run(&node, &["crm_mon", "-1", "--include=none,failcounts,failures"])?;
    if counts.contains("opensips") {
        return Err(format!("a failure is counted:\n{counts}"));
    }
    Ok(())
}

fn kill_and_start(cluster: &Cluster, node: &str) -> Result<(), String> {
    kill_old(cluster, node)?;
    // It has looked, and has ended.
    wait("the end of the asynchronous monitor", || {
        let processes = cluster.run(node, &["ps", "-e", "-o", "args="])?;
        Ok(!processes.lines().any(|line| line.contains(" --async-monitor")))
    })?;
    cluster.run(node, &["crm_resource", "--force-start", "-r", "opensips"]).map(drop)
}

/// Kills the main process when it is old enough. Returns the content of its pid file.
fn kill_old(cluster: &Cluster, node: &str) -> Result<String, String> {
    let before = cluster.run(node, &["cat", PID_FILE])?;
    let pid = before.trim();
    wait("a daemon that is old enough", || {
        let seconds = cluster.run(node, &["ps", "-o", "etimes=", "-p", pid])?;
        Ok(seconds.trim().parse::<u64>().is_ok_and(|seconds| seconds >= OLD))
    })?;
    cluster.run(node, &["kill", "-9", pid])?;
    Ok(before)
}

/// The interval of the monitor of OpenSIPS, whose operation keeps its id.
fn set_interval(cluster: &Cluster, interval: &str) -> Result<(), String> {
    let operation = format!("<op id=\"opensips-monitor-interval-2s\" interval=\"{interval}\"/>");
    cluster.run("node1", &["cibadmin", "--modify", "--xml-text", &operation])?;
    cluster.run("node1", &["crm_resource", "--wait", "--timeout=240s"]).map(drop)
}

fn wait(what: &str, condition: impl Fn() -> Result<bool, String>) -> Result<(), String> {
    let begun = Instant::now();
    while !condition()? {
        if begun.elapsed() > PATIENCE {
            return Err(format!("waited in vain for {what}"));
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    Ok(())
}
