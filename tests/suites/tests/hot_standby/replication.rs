//! What one node has learnt, the other one knows.

use suites::scenario;

use crate::call::Phones;
use crate::{Cluster, PATIENCE};

/// `pcs resource move`: the peer serves, with the registration; a call that was set up through the
/// old node is ended through the new one.
pub(crate) fn planned_move(cluster: &Cluster) -> Result<(), String> {
    let from = cluster.active()?;
    let to = scenario::peer(&from);
    let phones = Phones::new(&cluster.pair.lab)?;
    phones.register()?;
    let call = phones.call()?;
    cluster.run(&from, &["pcs", "resource", "move", "opensips-clone", "--promoted", to])?;
    cluster.serves(|node| node == to)?;
    phones.hang_up(&call)?;
    let again = phones.call()?;
    phones.hang_up(&again)
}

/// The active node loses power: it is fenced, the peer takes over with the registration, the node
/// comes back as standby and takes nothing.
pub(crate) fn power_cut(cluster: &Cluster) -> Result<(), String> {
    let dead = cluster.active()?;
    let survivor = scenario::peer(&dead);
    let phones = Phones::new(&cluster.pair.lab)?;
    phones.register()?;
    let call = phones.call()?;
    cluster.pair.lab.kill(&dead).map_err(|error| error.to_string())?;
    // Fencing reboots it: the power switch gives it power again.
    crate::faults::until("the survivor serves", || {
        Ok(cluster.pair.lab.resource_location("vip").as_deref() == Some(survivor)
            && cluster.pair.tag_is_active(survivor)?)
    })?;
    phones.hang_up(&call)?;
    let again = phones.call()?;
    phones.hang_up(&again)?;
    cluster.pair.wait_whole(PATIENCE)?;
    cluster.serves(|node| node == survivor).map(drop)
}
