//! What happens to a hot pair, and what has to be true afterwards.

use std::time::{Duration, Instant};

use lab::Network;
use suites::{gateway, scenario};

use crate::{Cluster, PATIENCE};

/// Kills the main process of a node's instance: the pid file's, if it still is one of OpenSIPS.
fn kill_main(cluster: &Cluster, node: &str) -> Result<(), String> {
    let kill = "pid=$(cat /run/opensips/opensips.pid) && \
                [ \"$(readlink \"/proc/$pid/exe\")\" = /usr/sbin/opensips ] && kill -9 \"$pid\"";
    cluster.run(node, &["sh", "-c", kill]).map(drop)
}

/// Forgives the failures, as an administrator would, and waits for what comes of it.
fn serves_after_clean_up(cluster: &Cluster, active: &str) -> Result<(), String> {
    scenario::clean_up(&cluster.pair.lab, active)?;
    cluster.serves(|node| node == active).map(drop)
}

/// The main process of the promoted instance is killed; its orphans go on answering. The standby
/// takes over, and the failed one stands by once its failure is forgiven.
pub(crate) fn main_process_killed(cluster: &Cluster) -> Result<(), String> {
    let from = cluster.active()?;
    let to = scenario::peer(&from);
    kill_main(cluster, &from)?;
    until("the standby is promoted", || {
        Ok(cluster.pair.lab.resource_location("vip").as_deref() == Some(to)
            && cluster.pair.tag_is_active(to)?)
    })?;
    serves_after_clean_up(cluster, to)
}

/// Nothing happens to callers, and the standby comes back.
pub(crate) fn standby_killed(cluster: &Cluster) -> Result<(), String> {
    let active = cluster.active()?;
    let idle = scenario::peer(&active);
    kill_main(cluster, idle)?;
    until("the failure is noticed", || {
        let counts = cluster.run(&active, &["crm_mon", "-1", "--include=none,failcounts"])?;
        Ok(counts.lines().any(|line| line.contains("* opensips:")))
    })?;
    serves_after_clean_up(cluster, &active)
}

/// The gateway answers neither node: the roles stay. It answers the standby alone: that is promoted,
/// and stays so when the other one reaches it again.
pub(crate) fn gateway_silent(cluster: &Cluster) -> Result<(), String> {
    let from = cluster.active()?;
    let to = scenario::peer(&from);
    let lab = &cluster.pair.lab;
    for silent in [true, false] {
        gateway::silent(lab, silent)?;
        gateway::wait_known(lab, |_| !silent, PATIENCE)?;
        cluster.serves(|node| node == from)?;
    }
    gateway::silent_for(lab, &from, true)?;
    gateway::wait_known(lab, |node| node != from, PATIENCE)?;
    cluster.serves(|node| node == to)?;
    gateway::silent_for(lab, &from, false)?;
    gateway::wait_known(lab, |_| true, PATIENCE)?;
    cluster.serves(|node| node == to).map(drop)
}

/// The nodes lose sight of each other and nobody is fenced: both promote. When they see each other
/// again, one of them must be left, with the tag.
pub(crate) fn split(cluster: &Cluster) -> Result<(), String> {
    let from = cluster.active()?;
    let to = scenario::peer(&from);
    let text = |error: lab::Error| error.to_string();
    cluster.run(&from, &["pcs", "property", "set", "stonith-enabled=false"])?;
    cluster.pair.lab.partition(["node1"], Network::Lan).map_err(text)?;
    until("both are active", || {
        Ok(cluster.pair.tag_is_active(&from)? && cluster.pair.tag_is_active(to)?)
    })?;
    cluster.pair.lab.heal().map_err(text)?;
    cluster.pair.wait_whole(PATIENCE)?;
    // The other node could not have the address, which had an owner: that failure is over, too.
    scenario::clean_up(&cluster.pair.lab, &from)?;
    cluster.serves(|_| true)?;
    cluster.run(&from, &["pcs", "property", "set", "stonith-enabled=true"])?;
    // And it stays so.
    cluster.serves(|_| true).map(drop)
}

/// Only the daemons lose sight of each other, Pacemaker does not, and somebody activates the tag on
/// the standby by hand: both are active. When they are connected again, the promoted one has it.
pub(crate) fn replication_link_cut(cluster: &Cluster) -> Result<(), String> {
    let active = cluster.active()?;
    let idle = scenario::peer(&active);
    // Nothing of the daemons' own protocol gets a route, in either direction.
    let rules = |verb: &str| -> Result<(), String> {
        for node in [active.as_str(), idle] {
            for port in ["dport", "sport"] {
                let rule = ["pref", "1", "ipproto", "tcp", port, "5566", "prohibit"];
                cluster.run(node, &[&["ip", "rule", verb][..], &rule].concat())?;
            }
        }
        Ok(())
    };
    rules("add")?;
    let connected = |node: &str| {
        let nodes = cluster.pair.mi(node, "clusterer_list", "")?;
        Ok::<_, String>(nodes.contains("\"Up\""))
    };
    until("the daemons have lost each other", || Ok(!connected(&active)? && !connected(idle)?))?;
    cluster.pair.mi(idle, "clusterer_shtag_set_active", "[\"vip/1\"]")?;
    until("both are active", || {
        Ok(cluster.pair.tag_is_active(&active)? && cluster.pair.tag_is_active(idle)?)
    })?;
    rules("del")?;
    until("the daemons have found each other", || Ok(connected(&active)? && connected(idle)?))?;
    until("the promoted one has the tag alone", || {
        Ok(cluster.pair.tag_is_active(&active)? && !cluster.pair.tag_is_active(idle)?)
    })?;
    scenario::clean_up(&cluster.pair.lab, &active)?;
    cluster.serves(|node| node == active).map(drop)
}

/// The routes change on both nodes, and a parameter tells so: they are loaded, and nothing is restarted. A fault in them
/// restarts nothing either.
pub(crate) fn routes_loaded(cluster: &Cluster) -> Result<(), String> {
    let active = cluster.active()?;
    let nodes = ["node1", "node2"];
    let pids = || -> Result<Vec<String>, String> {
        nodes.iter().map(|node| cluster.run(node, &["cat", "/run/opensips/opensips.pid"])).collect()
    };
    let before = pids()?;
    // Each node has one, which its configuration includes.
    let append = "cd /etc/opensips && cp -p node.cfg saved && printf '%s\\n' \"$1\" >> node.cfg";
    let update = |version: &str| {
        let version = format!("routes_version={version}");
        cluster.run(&active, &["pcs", "resource", "update", "opensips", &version])
    };
    let monitored = |node: &str, words: &str| {
        let state = cluster.run(node, &["cat", "/run/smartvox/opensips-opensips.state"])?;
        Ok::<_, String>(state.contains(words))
    };
    for (text, version, words) in [
        ("route[of_today] { exit; }", "one", "routes_version one\n"),
        ("no_such_setting=3", "two", "refused configuration check failed: "),
    ] {
        for node in nodes {
            cluster.run(node, &["sh", "-c", append, "sh", text])?;
        }
        update(version)?;
        let told = || Ok(monitored("node1", words)? && monitored("node2", words)?);
        until(&format!("reload-agent has run for {version}"), told)?;
        for node in nodes {
            cluster.run(node, &["mv", "/etc/opensips/saved", "/etc/opensips/node.cfg"])?;
        }
    }
    update("three")?;
    let told = || {
        let all = "routes_version three\n";
        Ok(monitored("node1", all)? && monitored("node2", all)?)
    };
    until("reload-agent has run for three", told)?;
    cluster.serves(|node| node == active)?;
    let after = pids()?;
    if after == before { Ok(()) } else { Err(format!("pids were {before:?} and are {after:?}")) }
}

/// New routes come to the standby alone: Pacemaker shows why it is degraded until both nodes have the same, and nothing
/// is restarted or moves.
pub(crate) fn routes_differ(cluster: &Cluster) -> Result<(), String> {
    let active = cluster.active()?;
    let idle = scenario::peer(&active);
    let pid = || cluster.run(idle, &["cat", "/run/opensips/opensips.pid"]);
    let before = pid()?;
    let update = |version: &str| {
        let version = format!("routes_version={version}");
        cluster.run(&active, &["pcs", "resource", "update", "opensips", &version])
    };
    let words = format!("the routes of {active} are not those of this node");
    let is_told = || Ok(cluster.run(idle, &["cibadmin", "--query"])?.contains(&words));
    let append =
        "cd /etc/opensips && cp -p node.cfg saved && echo 'route[of_one] { exit; }' >> node.cfg";
    cluster.run(idle, &["sh", "-c", append])?;
    update("four")?;
    until("the standby tells that its routes differ", is_told)?;
    cluster.serves(|node| node == active)?;
    cluster.run(idle, &["mv", "/etc/opensips/saved", "/etc/opensips/node.cfg"])?;
    update("five")?;
    until("the standby has nothing to tell", || Ok(!is_told()?))?;
    cluster.serves(|node| node == active)?;
    let after = pid()?;
    if after == before { Ok(()) } else { Err(format!("pid was {before} and is {after}")) }
}

/// Waits for a condition; one that can't be looked at is not there yet.
pub(crate) fn until(
    what: &str,
    condition: impl Fn() -> Result<bool, String>,
) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let looked = condition();
        if looked == Ok(true) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{what}: not within {PATIENCE:?}: {looked:?}"));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
