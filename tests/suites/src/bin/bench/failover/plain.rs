//! Pairs without a cluster: what they have in common.

use std::time::{Duration, Instant};

use lab::{Cluster, Lab, Network};
use suites::daemon::Daemon;
use suites::scenario::{self, Changes, Example, VIP};

use super::{Fault, PATIENCE};

pub(super) const NODES: [&str; 2] = ["node1", "node2"];

/// A lab with OpenSIPS on each node and no cluster.
pub(super) fn lab(daemon: &Daemon) -> Result<Lab, String> {
    let (example, name) = (Example::ActiveStandby, "bench-plain");
    let mut options = scenario::options(example, name, daemon, Changes::default())?;
    options.cluster = Cluster::None;
    Lab::up(&options).map_err(|error| error.to_string())
}

/// Writes a file of a node. A program has the mode 755; keepalived refuses a configuration that has it.
pub(super) fn write(
    lab: &Lab,
    node: &str,
    path: &str,
    mode: &str,
    text: &str,
) -> Result<(), String> {
    let line = "mkdir -p \"${1%/*}\"; printf %s \"$3\" > \"$1\"; chmod \"$2\" \"$1\"";
    scenario::run(lab, node, &["sh", "-ec", line, "sh", path, mode, text]).map(drop)
}

/// Runs a line of shell on a node.
pub(super) fn shell(lab: &Lab, node: &str, line: &str) -> Result<String, String> {
    scenario::run(lab, node, &["sh", "-c", line])
}

/// Waits until one node alone has the address, and says which.
pub(super) fn owner(lab: &Lab) -> Result<String, String> {
    let begun = Instant::now();
    let shown = format!("ip -o address show to {VIP}");
    loop {
        let mut owners = Vec::new();
        for node in NODES {
            if !shell(lab, node, &shown)?.is_empty() {
                owners.push(node);
            }
        }
        if let [owner] = owners.as_slice() {
            return Ok((*owner).to_owned());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{VIP} is on {owners:?}"));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Makes a fault happen that needs nothing of the contender.
pub(super) fn strike(lab: &Lab, fault: Fault, active: &str) -> Result<(), String> {
    let text = |error: lab::Error| error.to_string();
    match fault {
        Fault::Standby => Ok(()),
        Fault::Cable => lab.unplug(active, Network::Public).map_err(text),
        Fault::Kill => shell(lab, active, "pkill -KILL -x opensips").map(drop),
        Fault::PowerCut => lab.kill(active).map_err(text),
    }
}

/// Ends it.
pub(super) fn mend(lab: &Lab, fault: Fault, active: &str) -> Result<(), String> {
    let text = |error: lab::Error| error.to_string();
    match fault {
        Fault::Standby | Fault::Kill => Ok(()),
        Fault::Cable => lab.plug(active, Network::Public).map_err(text),
        Fault::PowerCut => lab.boot(active).map_err(text),
    }
}
