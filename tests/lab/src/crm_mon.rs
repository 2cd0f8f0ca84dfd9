//! The cluster as `crm_mon -1 --output-as=xml` tells it (api-result.rng of Pacemaker 2.1).

use std::time::Duration;

use roxmltree::{Document, Node};

use crate::{
    Lab,
    error::{Error, Result},
    wait,
};

/// Time between two looks at the cluster: crm_mon takes a node's CPU while it works.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// The cluster's state in the eyes of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterStatus {
    /// Name of the designated controller, once one is elected.
    pub dc: Option<String>,
    /// Whether the node's partition has quorum.
    pub with_quorum: bool,
    /// The nodes.
    pub nodes: Vec<NodeStatus>,
    /// The primitive resources, those in groups and clones included; one entry per instance.
    pub resources: Vec<ResourceStatus>,
}

/// A node as the cluster sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// A member, and its Pacemaker has joined.
    pub online: bool,
    /// A member whose Pacemaker hasn't joined yet.
    pub pending: bool,
    /// In need of fencing.
    pub unclean: bool,
    /// In standby.
    pub standby: bool,
}

/// A resource as the cluster sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceStatus {
    /// Its id.
    pub id: String,
    /// Started, Stopped, Promoted, Unpromoted, Starting, …
    pub role: String,
    /// The action in progress (Starting, Monitoring, …).
    pub pending: Option<String>,
    /// Whether its last action failed.
    pub failed: bool,
    /// The nodes that run it: one, unless something went wrong.
    pub nodes: Vec<String>,
}

impl ClusterStatus {
    /// Parses crm_mon's XML.
    ///
    /// # Errors
    /// [`crate::Error::Xml`] for text that isn't XML.
    pub fn parse(xml: &str) -> Result<Self> {
        let document = Document::parse(xml)?;
        let root = document.root_element();
        let section = |name| root.children().find(move |node| node.has_tag_name(name));
        let dc = section("summary")
            .and_then(|summary| summary.children().find(|node| node.has_tag_name("current_dc")));
        let nodes = section("nodes").map(|nodes| {
            nodes.children().filter(|node| node.has_tag_name("node")).map(NodeStatus::of).collect()
        });
        let resources = section("resources").map(|resources| {
            let all = resources.descendants().filter(|node| node.has_tag_name("resource"));
            all.map(ResourceStatus::of).collect()
        });
        Ok(Self {
            dc: dc.and_then(|dc| dc.attribute("name")).map(str::to_owned),
            with_quorum: dc.is_some_and(|dc| flag(dc, "with_quorum")),
            nodes: nodes.unwrap_or_default(),
            resources: resources.unwrap_or_default(),
        })
    }

    /// Whether these nodes are online with nothing pending, and a controller is elected.
    pub fn are_online<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        let online = |name: &str| {
            self.nodes.iter().any(|node| node.name == name && node.online && !node.pending)
        };
        self.dc.is_some() && names.into_iter().all(online)
    }

    /// The node on which the resource is started, promoted or unpromoted and in no transition;
    /// of a clone's instances the promoted one before others.
    #[must_use]
    pub fn location(&self, id: &str) -> Option<&str> {
        let settled = |roles: &'static [&str]| {
            self.resources
                .iter()
                .filter(move |resource| resource.id == id && resource.pending.is_none())
                .filter(move |resource| roles.contains(&resource.role.as_str()))
                .find_map(|resource| resource.nodes.first())
        };
        settled(&["Promoted", "Master"])
            .or_else(|| settled(&["Started", "Unpromoted", "Slave"]))
            .map(String::as_str)
    }
}

impl NodeStatus {
    fn of(node: Node<'_, '_>) -> Self {
        Self {
            name: attribute(node, "name"),
            online: flag(node, "online"),
            pending: flag(node, "pending"),
            unclean: flag(node, "unclean"),
            standby: flag(node, "standby"),
        }
    }
}

impl ResourceStatus {
    fn of(resource: Node<'_, '_>) -> Self {
        let nodes = resource.children().filter(|node| node.has_tag_name("node"));
        // A recurring monitor that runs just now is no transition.
        let pending = resource.attribute("pending").filter(|action| *action != "Monitoring");
        Self {
            id: attribute(resource, "id"),
            role: attribute(resource, "role"),
            pending: pending.map(str::to_owned),
            failed: flag(resource, "failed"),
            nodes: nodes.map(|node| attribute(node, "name")).collect(),
        }
    }
}

impl Lab {
    /// What `crm_mon -1 --output-as=xml` says on the first powered node that has a cluster.
    ///
    /// # Errors
    /// The last node's error; [`Error::PowerOff`] if all are off.
    pub fn crm_mon_xml(&self) -> Result<String> {
        let mut last = Error::PowerOff { host: "every node".to_owned() };
        for node in self.powered_nodes()? {
            match self.crm_mon_xml_of(&node) {
                Ok(xml) => return Ok(xml),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// What crm_mon says on this node: partitions differ in their view.
    ///
    /// # Errors
    /// As [`Lab::run`].
    pub fn crm_mon_xml_of(&self, node: &str) -> Result<String> {
        self.run(node, ["crm_mon", "-1", "--output-as=xml"])
    }

    /// The cluster's state in the eyes of the first powered node that has a cluster.
    ///
    /// # Errors
    /// As [`Lab::crm_mon_xml`]; [`Error::Xml`].
    pub fn cluster_status(&self) -> Result<ClusterStatus> {
        ClusterStatus::parse(&self.crm_mon_xml()?)
    }

    /// The node on which a resource runs and is in no transition; `None` also while the cluster
    /// can't be asked.
    #[must_use]
    pub fn resource_location(&self, id: &str) -> Option<String> {
        self.cluster_status().ok()?.location(id).map(str::to_owned)
    }

    /// Waits until every powered node sees every powered node online, and a DC.
    ///
    /// # Errors
    /// [`Error::Deadline`].
    pub fn wait_online(&self, deadline: Duration) -> Result<ClusterStatus> {
        let online = || {
            let nodes = self.powered_nodes().ok()?;
            let view = |node: &String| {
                let status = ClusterStatus::parse(&self.crm_mon_xml_of(node).ok()?).ok()?;
                status.are_online(nodes.iter().map(String::as_str)).then_some(status)
            };
            nodes.iter().map(view).reduce(Option::and)?
        };
        wait::poll("all powered nodes online", deadline, LOOK_INTERVAL, online)
    }
}

fn attribute(node: Node<'_, '_>, name: &str) -> String {
    node.attribute(name).unwrap_or_default().to_owned()
}

fn flag(node: Node<'_, '_>, name: &str) -> bool {
    node.attribute(name) == Some("true")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of Pacemaker 2.1.5, shortened.
    const XML: &str = r#"<pacemaker-result api-version="2.25" request="crm_mon -1 --output-as=xml">
  <summary>
    <stack type="corosync"/>
    <current_dc present="true" version="2.1.5-2.1.5" name="node2" id="2" with_quorum="true" mixed_version="false"/>
  </summary>
  <nodes>
    <node name="node1" id="1" online="true" standby="false" pending="false" unclean="false" resources_running="1" type="member"/>
    <node name="node2" id="2" online="true" standby="false" pending="true" unclean="false" resources_running="2" type="member"/>
    <node name="node3" id="3" online="false" standby="false" pending="false" unclean="true" resources_running="0" type="member"/>
  </nodes>
  <resources>
    <group id="sip" number_resources="2">
      <resource id="vip" resource_agent="ocf:heartbeat:Dummy" role="Started" active="true" failed="false" nodes_running_on="1">
        <node name="node1" id="1" cached="true"/>
      </resource>
      <resource id="server" resource_agent="ocf:heartbeat:Dummy" role="Stopped" active="false" failed="true" nodes_running_on="0" pending="Starting"/>
    </group>
    <clone id="state-clone">
      <resource id="state" role="Unpromoted" active="true" failed="false"><node name="node1" id="1"/></resource>
      <resource id="state" role="Promoted" active="true" failed="false" pending="Monitoring"><node name="node2" id="2"/></resource>
    </clone>
  </resources>
  <status code="0" message="OK"/>
</pacemaker-result>"#;

    #[test]
    fn membership() {
        let status = ClusterStatus::parse(XML).unwrap();
        assert_eq!(status.dc.as_deref(), Some("node2"));
        assert!(status.with_quorum);
        assert!(status.are_online(["node1"]));
        assert!(!status.are_online(["node1", "node2"]), "node2 is pending");
        assert!(!status.are_online(["node9"]));
        assert!(status.nodes[2].unclean);
    }

    #[test]
    fn locations() {
        let status = ClusterStatus::parse(XML).unwrap();
        assert_eq!(status.location("vip"), Some("node1"));
        assert_eq!(status.location("server"), None);
        assert_eq!(status.location("state"), Some("node2"), "the promoted one first");
        assert_eq!(status.location("other"), None);
        assert_eq!(status.resources.len(), 4);
    }

    #[test]
    fn no_cluster_and_no_xml() {
        let status = ClusterStatus::parse("<pacemaker-result/>").unwrap();
        assert_eq!(status, ClusterStatus::default());
        assert!(!status.are_online([]), "no controller");
        assert!(matches!(ClusterStatus::parse("crm_mon: error"), Err(Error::Xml(_))));
    }
}
