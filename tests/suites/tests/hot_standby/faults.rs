//! What happens to a hot pair, and what has to be true afterwards.

use std::time::{Duration, Instant};

use lab::Network;
use suites::scenario;

use crate::{Cluster, PATIENCE};

const PID_FILE: &str = "/run/opensips/opensips.pid";

/// The main process of the promoted instance is killed; its orphans go on answering. The standby
/// takes over, and the failed one stands by once its failure is forgiven.
pub(crate) fn main_process_killed(cluster: &Cluster) -> Result<(), String> {
    let from = cluster.active()?;
    let to = scenario::peer(&from);
    let main = cluster.run(&from, &["cat", PID_FILE])?;
    cluster.run(&from, &["kill", "-9", main.trim()])?;
    until("the standby is promoted", || {
        Ok(cluster.pair.lab.resource_location("vip").as_deref() == Some(to)
            && cluster.pair.tag_is_active(to)?)
    })?;
    cluster.run(to, &["crm_resource", "--cleanup"])?;
    cluster.serves(|node| node == to).map(drop)
}

/// Nothing happens to callers, and the standby comes back.
pub(crate) fn standby_killed(cluster: &Cluster) -> Result<(), String> {
    let active = cluster.active()?;
    let idle = scenario::peer(&active);
    let main = cluster.run(idle, &["cat", PID_FILE])?;
    cluster.run(idle, &["kill", "-9", main.trim()])?;
    until("the failure is noticed", || {
        let counts = cluster.run(&active, &["crm_mon", "-1", "--include=none,failcounts"])?;
        Ok(counts.lines().any(|line| line.contains("* opensips:")))
    })?;
    cluster.run(&active, &["crm_resource", "--cleanup"])?;
    cluster.serves(|node| node == active).map(drop)
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
    cluster.run(&from, &["crm_resource", "--cleanup"])?;
    cluster.serves(|_| true)?;
    cluster.run(&from, &["pcs", "property", "set", "stonith-enabled=true"])?;
    // And it stays so.
    cluster.serves(|_| true).map(drop)
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
