//! A second resource is defined next to the one that serves: it must harm neither node.

use std::time::{Duration, Instant};

use suites::scenario;

use crate::{Cluster, PATIENCE};

/// First as a test that is not to run, as pcs and crmsh define it; then enabled, where the first serves.
pub(crate) fn resource(cluster: &Cluster) -> Result<(), String> {
    let node = cluster.active()?;
    let other = scenario::peer(&node);
    let pid = || cluster.run(&node, &["cat", "/run/opensips/opensips.pid"]);
    let (before, begun) = (pid()?, Instant::now());
    let vip = format!("vip={}", scenario::VIP);
    // Also with the very pid file of the first.
    for (name, more) in [("test", None), ("test2", Some("pidfile=/run/opensips/opensips.pid"))] {
        let mut create =
            vec!["pcs", "resource", "create", name, "ocf:smartvox:opensips", &vip, "--force"];
        create.extend(more);
        create.extend(["--disabled", "--agent-validation"]);
        cluster.run(&node, &create)?;
    }
    settle(cluster)?;
    untouched(cluster, &node, begun)?;

    cluster.run(&node, &["pcs", "constraint", "location", "test", "avoids", other])?;
    cluster.run(&node, &["pcs", "resource", "enable", "test"])?;
    let enabled = Instant::now();
    let reason = "with this configuration belongs to resource opensips";
    loop {
        let failed = cluster.run(&node, &["crm_mon", "-1", "--include=none,failures"])?;
        if failed.contains(reason) {
            break;
        }
        if enabled.elapsed() > PATIENCE {
            return Err(format!("start of test was not refused\n{failed}"));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    settle(cluster)?;
    untouched(cluster, &node, begun)?;
    for name in ["test", "test2"] {
        cluster.run(&node, &["pcs", "resource", "delete", name])?;
    }
    settle(cluster)?;
    untouched(cluster, &node, begun)?;
    if pid()? != before {
        return Err(format!("OpenSIPS was restarted: {} for {}", pid()?.trim(), before.trim()));
    }
    scenario::clean_up(&cluster.lab, "node1")
}

fn settle(cluster: &Cluster) -> Result<(), String> {
    cluster.run("node1", &["crm_resource", "--wait", "--timeout=100"]).map(drop)
}

/// SIP was answered throughout, by the same node, and no node was fenced. A stalled machine may lose a
/// question; a daemon that is stopped and started again takes longer than that.
fn untouched(cluster: &Cluster, node: &str, begun: Instant) -> Result<(), String> {
    cluster.serves(|now| now == node)?;
    let now = Instant::now();
    loop {
        let record = cluster.client.so_far();
        let is_meant = |asked: Instant| (begun..now).contains(&asked);
        let asked = record.exchanges().iter().filter(|one| is_meant(one.asked));
        let answered = asked.clone().filter(|one| one.answered.is_some()).count();
        let unanswered = asked.count() - answered;
        if unanswered <= 5 {
            break;
        }
        // What was asked last is answered late on a machine that stalls.
        if now.elapsed() > PATIENCE {
            return Err(format!("{unanswered} questions were not answered, {answered} were"));
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    let powered = cluster.lab.powered_nodes().map_err(|error| error.to_string())?;
    if powered.len() < 2 { Err(format!("a node was fenced: {powered:?}")) } else { Ok(()) }
}
