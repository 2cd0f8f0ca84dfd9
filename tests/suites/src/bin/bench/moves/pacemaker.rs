//! Resource agents under Pacemaker.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lab::Lab;
use suites::scenario;

use super::{Contender, PATIENCE, Watch};

/// A resource with an address.
struct Resource {
    lab: Rc<Lab>,
    name: &'static str,
    id: &'static str,
    address: Ipv4Addr,
}

/// Ours, ours without the check that IPaddr2 does not make, and IPaddr2, on one cluster.
pub(super) fn contenders(lab: &Rc<Lab>) -> Result<Vec<Box<dyn Contender>>, String> {
    let ours = "ocf:smartvox:opensips-vip";
    let all = [
        ("opensips-vip", "ours", ours, 10, None),
        ("opensips-vip, `duplicate_check=no`", "unchecked", ours, 15, Some("duplicate_check=no")),
        ("ocf:heartbeat:IPaddr2", "theirs", "ocf:heartbeat:IPaddr2", 20, None),
    ];
    let mut contenders: Vec<Box<dyn Contender>> = Vec::new();
    for (name, id, agent, last, parameter) in all {
        let address = Ipv4Addr::new(192, 0, 2, last);
        let ip = format!("ip={address}");
        let mut create = vec!["pcs", "resource", "create", id, agent];
        create.extend([ip.as_str(), "cidr_netmask=24", "nic=eth0"]);
        create.extend(parameter);
        create.extend(["op", "monitor", "interval=10s", "timeout=20s"]);
        // Else the cluster spreads them over the nodes again, in the middle of a round.
        create.extend(["meta", "resource-stickiness=100"]);
        scenario::run(lab, "node1", &create)?;
        contenders.push(Box::new(Resource { lab: Rc::clone(lab), name, id, address }));
    }
    Ok(contenders)
}

impl Contender for Resource {
    fn name(&self) -> &str {
        self.name
    }

    fn round(&mut self) -> Result<Option<Duration>, String> {
        let lab = &self.lab;
        let from = settled(lab, self.id, |_| true)?;
        let to = scenario::peer(&from);
        let watch = Watch::start(lab, self.address)?;
        scenario::run(lab, &from, &["crm_resource", "--move", "-r", self.id, "-N", to])?;
        settled(lab, self.id, |node| node == to)?;
        let outage = watch.finish()?;
        scenario::run(lab, to, &["crm_resource", "--clear", "-r", self.id])?;
        Ok(outage)
    }
}

/// Waits until the resource runs on a node that fits, and says which.
pub(crate) fn settled(
    lab: &Lab,
    resource: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<String, String> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(node) = lab.resource_location(resource).filter(|node| fits(node)) {
            return Ok(node);
        }
        if Instant::now() > end {
            return Err(format!("{resource} doesn't settle\n{}", scenario::status(lab)));
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}
