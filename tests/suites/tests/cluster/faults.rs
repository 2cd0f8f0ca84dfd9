//! What happens to a pair of servers, and what has to be true afterwards.

use std::time::Instant;

use suites::{gateway, scenario};

use crate::{Cluster, PATIENCE};

pub(crate) const PID_FILE: &str = "/run/opensips/opensips.pid";

/// `crm_resource --move`: the peer serves, the old owner is silent.
pub(crate) fn planned_move(cluster: &Cluster) -> Result<(), String> {
    let from = cluster.active()?;
    let to = scenario::peer(&from);
    cluster.run(&from, &["crm_resource", "--move", "-r", "vip", "-N", to])?;
    cluster.serves(|node| node == to)?;
    cluster.run(&from, &["crm_resource", "--clear", "-r", "vip"])?;
    // Stickiness: without the constraint it stays.
    cluster.serves(|node| node == to).map(drop)
}

/// Somebody runs `ip addr del`: the next monitor notices, the cluster puts it back.
pub(crate) fn address_removed(cluster: &Cluster) -> Result<(), String> {
    let node = cluster.active()?;
    let vip = scenario::VIP.to_string();
    cluster.run(&node, &["ip", "addr", "del", &format!("{vip}/24"), "dev", "eth0"])?;
    wait_for_failure(cluster, "vip")?;
    cluster.serves(|_| true)?;
    clean_up(cluster)
}

/// The main process is killed; its children live on, answer SIP and ignore SIGTERM. The cluster
/// has to notice, sweep them away and start anew.
pub(crate) fn main_process_killed(cluster: &Cluster) -> Result<(), String> {
    let node = cluster.active()?;
    let before = cluster.run(&node, &["cat", PID_FILE])?;
    cluster.run(&node, &["kill", "-9", before.trim()])?;
    wait_for_failure(cluster, "opensips")?;
    let now = cluster.serves(|_| true)?;
    let after = cluster.run(&now, &["cat", PID_FILE])?;
    if after == before {
        return Err(format!("the pid file still says {before}"));
    }
    // Every process of the daemon descends from the new main process.
    let strangers = cluster.run(
        &now,
        &["sh", "-c", "ps -eo pid=,ppid=,sid=,comm= | awk '$4 == \"opensips\"' | awk '{ print $3 }' | sort -u | wc -l"],
    )?;
    if strangers.trim() != "1" {
        return Err(format!("processes of {} sessions are left", strangers.trim()));
    }
    clean_up(cluster)
}

/// The peer is in standby, as during its maintenance, and OpenSIPS is killed, and killed again: with
/// nowhere to go, it is restarted where it is, each time.
pub(crate) fn killed_without_peer(cluster: &Cluster) -> Result<(), String> {
    const CRASHES: usize = 3;
    let node = cluster.active()?;
    let peer = scenario::peer(&node);
    cluster.run(&node, &["pcs", "node", "standby", peer])?;
    cluster.run(&node, &["crm_resource", "--wait"])?;
    for crash in 1..=CRASHES {
        let before = cluster.run(&node, &["cat", PID_FILE])?;
        cluster.run(&node, &["kill", "-9", before.trim()])?;
        let begun = Instant::now();
        while cluster.run(&node, &["cat", PID_FILE]).is_ok_and(|now| now == before) {
            if begun.elapsed() > PATIENCE {
                return Err(format!("crash {crash} of {CRASHES} went unnoticed"));
            }
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
        cluster
            .serves(|now| now == node)
            .map_err(|error| format!("after crash {crash} of {CRASHES}: {error}"))?;
    }
    cluster.run(&node, &["pcs", "node", "unstandby", peer])?;
    clean_up(cluster)
}

/// The gateway answers neither node: nothing moves, nothing is restarted, nor when it is back.
pub(crate) fn gateway_silent(cluster: &Cluster) -> Result<(), String> {
    let node = cluster.active()?;
    let pid = || cluster.run(&node, &["cat", PID_FILE]);
    let before = pid()?;
    for silent in [true, false] {
        gateway::silent(&cluster.lab, silent)?;
        gateway::wait_known(&cluster.lab, |_| !silent, PATIENCE)?;
        cluster.serves(|now| now == node)?;
        if pid()? != before {
            return Err(format!("gateway silent: {silent}: OpenSIPS was restarted"));
        }
    }
    Ok(())
}

/// The active node alone doesn't reach it: the service moves to the peer, and stays there.
pub(crate) fn gateway_lost(cluster: &Cluster) -> Result<(), String> {
    let from = cluster.active()?;
    let to = scenario::peer(&from);
    gateway::wait_known(&cluster.lab, |_| true, PATIENCE)?;
    gateway::silent_for(&cluster.lab, &from, true)?;
    gateway::wait_known(&cluster.lab, |node| node != from, PATIENCE)?;
    cluster.serves(|node| node == to)?;
    gateway::silent_for(&cluster.lab, &from, false)?;
    gateway::wait_known(&cluster.lab, |_| true, PATIENCE)?;
    cluster.serves(|node| node == to).map(drop)
}

/// The active node loses power: it is fenced, the peer takes over, the node comes back as standby.
pub(crate) fn power_cut(cluster: &Cluster) -> Result<(), String> {
    let dead = cluster.active()?;
    let survivor = scenario::peer(&dead);
    cluster.lab.kill(&dead).map_err(|error| error.to_string())?;
    cluster.serves(|node| node == survivor)?;
    // Fencing reboots it: the power switch gives it power again.
    cluster.whole()?;
    cluster.serves(|node| node == survivor).map(drop)
}

/// The same without fencing: the pair must still fail over (`two_node`), and agree afterwards.
pub(crate) fn power_cut_without_fencing(cluster: &Cluster) -> Result<(), String> {
    let dead = cluster.active()?;
    let survivor = scenario::peer(&dead);
    cluster.run(survivor, &["pcs", "property", "set", "stonith-enabled=false"])?;
    cluster.lab.kill(&dead).map_err(|error| error.to_string())?;
    cluster.serves(|node| node == survivor)?;
    cluster.lab.boot(&dead).map_err(|error| error.to_string())?;
    cluster.whole()?;
    cluster.run(survivor, &["pcs", "property", "set", "stonith-enabled=true"])?;
    cluster.serves(|node| node == survivor).map(drop)
}

/// Waits until the cluster has noticed a failure of the resource.
fn wait_for_failure(cluster: &Cluster, resource: &str) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let counts = cluster.run("node1", &["crm_mon", "-1", "--include=none,failcounts"])?;
        if counts.lines().any(|line| line.contains(&format!("* {resource}:"))) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("the failure of {resource} went unnoticed\n{counts}"));
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
}

/// Forgets the failures, so that the next step begins with a clean sheet.
pub(crate) fn clean_up(cluster: &Cluster) -> Result<(), String> {
    scenario::clean_up(&cluster.lab, "node1")
}
