//! The commands of README and docs, as they stand there.

use std::time::{Duration, Instant};

use lab::Lab;
use suites::{document, scenario};

use crate::{Cluster, PATIENCE};

/// Those that make resources: in a cluster that has none, and has none afterwards.
pub(crate) fn new_cluster(lab: &Lab) -> Result<(), String> {
    run_all(lab, "node1", "new cluster")?;
    for resource in ["opensips", "vip"] {
        scenario::run(lab, "node1", &["pcs", "resource", "delete", resource])?;
    }
    Ok(())
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
