//! Where the configuration lets a resource run.

use super::{Cib, Colocation, INFINITY, Location, Resource, Role};

/// The constraints of `pcs resource move` and `ban`, of `crm_resource` and crmsh (`cli_resource_prefer`,
/// `cli_resource_ban` of Pacemaker), and of `pcs resource relocate`.
const BY_COMMAND: [&str; 3] = ["cli-prefer-", "cli-ban-", "pcs-relocate-"];

impl Location {
    /// Whether a command has made it for one move.
    pub(crate) fn is_by_command(&self) -> bool {
        BY_COMMAND.iter().any(|prefix| self.id.starts_with(prefix))
    }

    /// Whether it says where any instance may run.
    fn counts_on(&self, node: &str) -> bool {
        self.is_about(node) && self.role == Role::Started && !self.is_by_command()
    }

    fn is_about(&self, node: &str) -> bool {
        self.nodes.as_ref().is_some_and(|nodes| nodes.iter().any(|name| name == node))
    }
}

impl Cib {
    /// The resources that a step leads to from `start`, over any number of steps.
    pub(crate) fn reached<'a>(
        &'a self,
        start: &'a Resource,
        step: impl Fn(&Resource, &Resource) -> bool,
    ) -> Vec<&'a Resource> {
        let mut reached = vec![start];
        let mut at = 0;
        while let Some(from) = reached.get(at).copied() {
            let is_new = |one: &&Resource| !reached.iter().any(|known| known.id == one.id);
            let next: Vec<&Resource> =
                self.resources.iter().filter(is_new).filter(|one| step(from, one)).collect();
            reached.extend(next);
            at += 1;
        }
        reached
    }

    /// Whether the constraints let a resource run on a node. What comes and goes does not count: carriers, standby,
    /// `pcs resource move`.
    pub(crate) fn may_run(&self, resource: &Resource, node: &str) -> bool {
        let needed = self.reached(resource, |one, other| self.follows(one, other));
        !needed.iter().any(|one| self.is_barred(one, node))
    }

    /// The constraints by which a resource may not run on a node: none where it may, and where no constraint
    /// of an opt-in cluster allows it.
    pub(crate) fn barring(&self, resource: &Resource, node: &str) -> Vec<&Location> {
        let needed = self.reached(resource, |one, other| self.follows(one, other));
        let bars = |one: &&Location| {
            one.score <= -INFINITY
                && one.counts_on(node)
                && needed.iter().any(|resource| resource.is_called(&one.resource))
                && self.is_permanent(one)
        };
        self.locations.iter().filter(bars).collect()
    }

    /// Whether any resource of ocf:smartvox may run on a node. A node where none may only counts for the quorum.
    pub(crate) fn serves(&self, node: &str) -> bool {
        let mut ours = self.ours().peekable();
        ours.peek().is_none() || ours.any(|resource| self.may_run(resource, node))
    }

    /// Whether one can run only where the other one does.
    fn follows(&self, one: &Resource, other: &Resource) -> bool {
        let at = |id: &str| self.resources.iter().position(|one| one.id == id);
        let grouped = one.group.is_some() && one.group == other.group;
        let holds = |colocation: &Colocation| {
            colocation.score >= INFINITY
                && colocation.dependent_role == Role::Started
                && one.is_called(&colocation.dependent)
                && other.is_called(&colocation.primary)
        };
        (grouped && at(&other.id) < at(&one.id)) || self.colocations.iter().any(holds)
    }

    fn is_barred(&self, resource: &Resource, node: &str) -> bool {
        let about: Vec<&Location> = self
            .locations
            .iter()
            .filter(|one| resource.is_called(&one.resource) && one.counts_on(node))
            .collect();
        // An opt-in cluster runs a resource only where a constraint allows it.
        let opt_in = self.flag("symmetric-cluster") == Some(false);
        about.iter().any(|one| one.score <= -INFINITY && self.is_permanent(one))
            || (opt_in && !about.iter().any(|one| one.score >= 0))
    }

    /// Whether a constraint depends on nothing that an agent publishes.
    fn is_permanent(&self, location: &Location) -> bool {
        let is_set = |name: &str| self.nodes.iter().any(|node| node.attributes.contains_key(name));
        location.attributes.iter().all(|name| name == "#uname" || is_set(name))
    }
}
