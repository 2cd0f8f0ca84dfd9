//! The commands of README and docs, as they stand there.

use std::time::{Duration, Instant};

use lab::Lab;
use suites::{document, scenario};

use crate::{Cluster, PATIENCE};

/// Those that make resources: in a cluster that has none, and has none afterwards.
pub(crate) fn new_cluster(lab: &Lab) -> Result<(), String> {
    run_all(lab, "node1", "new cluster")?;
    // A pair that serves, and fails over: nothing has failed on the way, no node is barred.
    let node = scenario::wait_running(lab, PATIENCE)?;
    let failed = scenario::run(lab, "node1", &["crm_mon", "-1", "--include=none,failures"])?;
    if failed.contains("Failed Resource Actions") {
        return Err(format!("the commands of the README leave a failure behind\n{failed}"));
    }
    scenario::run(lab, "node1", &["pcs", "node", "standby", &node])?;
    scenario::wait_running_where(lab, PATIENCE, |now| now == scenario::peer(&node))?;
    scenario::run(lab, "node1", &["pcs", "node", "unstandby", &node])?;
    for resource in ["opensips", "vip"] {
        scenario::run(lab, "node1", &["pcs", "resource", "delete", resource])?;
    }
    Ok(())
}

/// The quick start, with the laboratory's own fence agent among the values. It ends by deleting what it has
/// made, so that another example can be run.
pub(crate) fn quick_start(lab: &Lab) -> Result<(), String> {
    let values = "printf 'export FENCE_AGENT=fence_lab FENCE_DELAY=1s\n' > /root/pair.env";
    scenario::run(lab, "node1", &["sh", "-c", values])?;
    run_all(lab, "node1", "quick start")
}

/// Those for the pair as the example configures it, on the node that serves.
pub(crate) fn configured(cluster: &Cluster) -> Result<(), String> {
    let node = cluster.active()?;
    run_all(&cluster.lab, &node, "cluster")?;
    cluster.serves(|now| now == node).map(drop)
}

fn run_all(lab: &Lab, node: &str, place: &str) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    let patience = || {
        std::thread::sleep(Duration::from_millis(500));
        Instant::now() < end
    };
    document::to_run(place)?
        .iter()
        .try_for_each(|block| block.run_with(|line| scenario::typed(lab, node, line), patience))
}
