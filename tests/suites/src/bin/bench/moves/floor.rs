//! The floor: what Pacemaker takes to move a resource whose agent does nothing.

use std::rc::Rc;
use std::time::Duration;

use lab::Lab;
use suites::scenario;
use suites::witness::Witness;

use super::{Contender, NOTHING, STALL, settled};

/// That resource.
pub(super) struct Floor {
    lab: Rc<Lab>,
}

impl Floor {
    pub(super) fn create(lab: &Rc<Lab>) -> Result<Self, String> {
        let create = ["pcs", "resource", "create", NOTHING, "ocf:suites:nothing"];
        let create = [&create[..], &["meta", "resource-stickiness=100"]].concat();
        scenario::run(lab, "node1", &create)?;
        Ok(Self { lab: Rc::clone(lab) })
    }
}

impl Contender for Floor {
    fn name(&self) -> &'static str {
        "the floor: an agent that does nothing"
    }

    fn round(&mut self) -> Result<Option<Duration>, String> {
        let witness = Witness::start(STALL);
        let took = move_of_nothing(&self.lab)?;
        Ok(witness.finish().is_empty().then_some(took))
    }
}

/// Moves it: from the begin of its stop to the end of its start.
fn move_of_nothing(lab: &Lab) -> Result<Duration, String> {
    let from = settled(lab, NOTHING, |_| true)?;
    let to = scenario::peer(&from);
    scenario::run(lab, &from, &["crm_resource", "--move", "-r", NOTHING, "-N", to])?;
    settled(lab, NOTHING, |node| node == to)?;
    let stopped = last(lab, &from, "stop")?;
    let started = last(lab, to, "start")?;
    scenario::run(lab, to, &["crm_resource", "--clear", "-r", NOTHING])?;
    Ok(started.saturating_sub(stopped))
}

/// The time of the agent's last such action on a node, from its record; since the epoch.
fn last(lab: &Lab, node: &str, action: &str) -> Result<Duration, String> {
    let record = scenario::run(lab, node, &["cat", "/run/nothing.record"])?;
    let found =
        record.lines().rev().find_map(|line| line.strip_prefix(action)?.trim().parse().ok());
    found.map(Duration::from_micros).ok_or_else(|| format!("{node}: no {action} in\n{record}"))
}
