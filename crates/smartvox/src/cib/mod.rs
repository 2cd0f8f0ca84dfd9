//! The configuration of the cluster as values: what Pacemaker makes of the CIB on one node. The owner of
//! the crate roxmltree, with [`crate::meta_data`].

mod attributes;
mod constraints;
mod placement;
mod read;
mod rule;
mod status;
#[cfg(test)]
mod tests;
mod time;

use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use status::Active;
pub(crate) use time::duration;

/// Names and values.
pub(crate) type Attributes = BTreeMap<String, String>;

/// The configuration, as it applies to one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cib {
    /// `crm_feature_set`
    pub(crate) feature_set: Option<String>,
    pub(crate) properties: Attributes,
    pub(crate) nodes: Vec<Node>,
    /// The timeout of an operation that is not configured; `None` where it can't be read.
    pub(crate) default_timeout: Option<Duration>,
    /// The primitives of all classes, also those in groups and clones.
    pub(crate) resources: Vec<Resource>,
    pub(crate) colocations: Vec<Colocation>,
    pub(crate) orders: Vec<Order>,
    pub(crate) locations: Vec<Location>,
    pub(crate) levels: Vec<Level>,
    /// The resources of ocf:smartvox that the nodes run.
    pub(crate) active: Vec<Active>,
    /// What was not understood, as sentences.
    pub(crate) remarks: Vec<String>,
}

/// A node of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// It takes no part in the quorum: a remote node or a guest.
    pub(crate) remote: bool,
    /// It is in the cluster.
    pub(crate) online: bool,
    /// Its permanent attributes, such as `standby`.
    pub(crate) attributes: Attributes,
    /// Its transient attributes, which agents publish.
    pub(crate) transient: Attributes,
}

/// A primitive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) id: String,
    pub(crate) class: String,
    pub(crate) provider: Option<String>,
    /// The name of the agent.
    pub(crate) agent: String,
    pub(crate) parameters: Attributes,
    /// With the defaults of the cluster and the attributes of its group and clone.
    pub(crate) meta: Attributes,
    /// For each name in `meta` the id of the resource, group or clone that sets it; none for a default.
    pub(crate) meta_from: Attributes,
    pub(crate) operations: Vec<Operation>,
    pub(crate) group: Option<String>,
    pub(crate) clone: Option<CloneOf>,
    /// What was not understood of this resource, as sentences.
    pub(crate) remarks: Vec<String>,
}

/// The clone that a primitive is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CloneOf {
    pub(crate) id: String,
    pub(crate) promotable: bool,
}

/// An operation of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Zero for all but recurring monitors.
    pub(crate) interval: Duration,
    /// With the defaults of the cluster; `None` where the value can't be read.
    pub(crate) timeout: Option<Duration>,
    pub(crate) role: Role,
    pub(crate) enabled: bool,
    /// `OCF_CHECK_LEVEL`
    pub(crate) check_level: Option<String>,
}

/// The role in which a recurring monitor runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Started or Unpromoted, the default.
    #[default]
    Started,
    Stopped,
    Promoted,
}

/// `dependent` runs where `primary` does. A resource set gives a pair for each two of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Colocation {
    pub(crate) dependent: String,
    pub(crate) dependent_role: Role,
    pub(crate) primary: String,
    pub(crate) primary_role: Role,
    pub(crate) score: Score,
}

/// `then` follows `first`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) first: String,
    pub(crate) first_action: String,
    pub(crate) then: String,
    pub(crate) then_action: String,
}

/// A preference for nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) id: String,
    pub(crate) resource: String,
    pub(crate) score: Score,
    /// The role that it is about; Started also stands for any.
    pub(crate) role: Role,
    /// The node attributes in its rule.
    pub(crate) attributes: Vec<String>,
    /// The nodes that it is about now; `None` if its rule was not understood.
    pub(crate) nodes: Option<Vec<String>>,
}

/// Fence devices that are used one after the other, and all of them have to succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    /// `None` for a pattern or an attribute of nodes.
    pub(crate) target: Option<String>,
    pub(crate) index: String,
    pub(crate) devices: Vec<String>,
}

/// A score; INFINITY is 1000000 (crm.h, `CRM_SCORE_INFINITY`).
pub(crate) type Score = i64;

pub(crate) const INFINITY: Score = 1_000_000;

impl Cib {
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// A property that is on or off; `None` where it is not set.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.property(name).map(is_true)
    }

    /// The nodes that have a vote.
    pub(crate) fn voters(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| !node.remote)
    }

    /// The resources of an agent of ours.
    pub(crate) fn of_agent(&self, agent: &str) -> impl Iterator<Item = &Resource> {
        self.ours().filter(move |resource| resource.agent == agent)
    }

    /// The resources of ocf:smartvox.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(|resource| resource.is_ours())
    }
}

impl Resource {
    pub(crate) fn is_ours(&self) -> bool {
        self.class == "ocf" && self.provider.as_deref() == Some("smartvox")
    }

    /// The node attribute of the carrier of an address; the agent writes `_` for what a rule of pcs does not take.
    pub(crate) fn link_attribute(&self) -> String {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name: String = self.id.chars().map(|c| if legal(c) { c } else { '_' }).collect();
        format!("smartvox-link-{name}")
    }

    /// Whether the agent publishes that attribute. With `check_link_status=no` it doesn't, and deletes none that it
    /// has published before.
    pub(crate) fn publishes_link(&self) -> bool {
        let no = |value: &str| ["no", "false", "off", "0", "n"].contains(&value);
        let value = self.parameter("check_link_status").map(str::to_ascii_lowercase);
        !value.is_some_and(|value| no(&value))
    }

    pub(crate) fn promotable(&self) -> bool {
        self.clone.as_ref().is_some_and(|clone| clone.promotable)
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The name for pcs and for constraints: that of the clone, where it is in one.
    pub(crate) fn outer(&self) -> &str {
        self.clone.as_ref().map_or(&self.id, |clone| &clone.id)
    }

    /// Whether a constraint or a command that names `id` is about this resource.
    pub(crate) fn is_called(&self, id: &str) -> bool {
        self.id == id
            || self.group.as_deref() == Some(id)
            || self.clone.as_ref().is_some_and(|clone| clone.id == id)
    }

    /// Whether `target-role` stops it.
    pub(crate) fn is_disabled(&self) -> bool {
        self.meta.get("target-role").is_some_and(|role| role.eq_ignore_ascii_case("Stopped"))
    }

    /// The monitors that recur, in any role.
    pub(crate) fn monitors(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(|operation| operation.recurs())
    }

    /// A meta attribute that is on or off; `None` where it is not set.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.meta.get(name).map(|value| is_true(value))
    }

    /// A meta attribute that is a score.
    pub(crate) fn score(&self, name: &str) -> Option<Score> {
        self.meta.get(name).and_then(|value| score(value))
    }
}

impl Operation {
    fn recurs(&self) -> bool {
        self.name == "monitor" && !self.interval.is_zero() && self.enabled
    }
}

impl Role {
    /// The name, where it is not the default.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Started => None,
            Self::Stopped => Some("Stopped"),
            Self::Promoted => Some("Promoted"),
        }
    }

    fn of(name: Option<&str>) -> Self {
        match name {
            Some("Promoted" | "Master") => Self::Promoted,
            Some("Stopped") => Self::Stopped,
            _ => Self::Started,
        }
    }
}

/// `crm_str_to_boolean` of Pacemaker.
pub(crate) fn is_true(value: &str) -> bool {
    ["true", "on", "yes", "y", "1"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// A score as Pacemaker writes it.
pub(crate) fn score(value: &str) -> Option<Score> {
    match value.trim() {
        "INFINITY" | "+INFINITY" => Some(INFINITY),
        "-INFINITY" => Some(-INFINITY),
        number => number.parse::<Score>().ok().map(|score| score.clamp(-INFINITY, INFINITY)),
    }
}
