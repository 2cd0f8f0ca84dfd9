//! What `crm_mon --output-as=xml` says of one resource. The form is that of Pacemaker 2.1 and 3.0.

use ocf::InstanceName;

/// A resource on all nodes, as Pacemaker knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// Of the node that makes the decisions.
    version: Option<(u32, u32, u32)>,
    instances: Vec<Instance>,
}

/// One active instance of the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) node: String,
    pub(crate) promoted: bool,
    /// Pacemaker starts and stops it: it is neither unmanaged, in maintenance mode, nor blocked.
    pub(crate) managed: bool,
    /// Pacemaker knows of a failure that it has not recovered yet.
    pub(crate) failed: bool,
    /// An action other than a monitor is running on it.
    pub(crate) pending: bool,
}

/// The first version that counts a failure told by `crm_resource --fail` once: those before count most of
/// them twice (commit a457eb83fe of Pacemaker).
const COUNTS_ONCE: (u32, u32, u32) = (2, 1, 6);

impl Status {
    /// `None` if the text is not the answer of crm_mon.
    pub(crate) fn parse(xml: &str, resource: &InstanceName) -> Option<Self> {
        let (mut version, mut instances) = (None, Vec::new());
        let mut is_answer = false;
        let mut current: Option<Tag<'_>> = None;
        for tag in tags(xml) {
            match tag.name {
                "pacemaker-result" => is_answer = true,
                "current_dc" => version = tag.attribute("version").and_then(parse_version),
                "resource" => current = Some(tag).filter(|tag| tag.is_about(resource)),
                "/resource" => current = None,
                "node" => {
                    let node = tag.attribute("name");
                    instances.extend(current.and_then(|one| one.instance_on(node?)));
                }
                _ => {}
            }
        }
        is_answer.then_some(Self { version, instances })
    }

    /// The instance on a node.
    pub(crate) fn on(&self, node: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.node == node)
    }

    /// The instances on other nodes.
    pub(crate) fn elsewhere(&self, node: &str) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(move |instance| instance.node != node)
    }

    /// Whether Pacemaker counts one failure that it is told as one.
    pub(crate) fn counts_once(&self) -> bool {
        self.version.is_some_and(|version| version >= COUNTS_ONCE)
    }
}

/// `2.1.5-a3f44794f94`, `3.0.0-4.el10`.
fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// One tag of an XML document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag<'a> {
    /// That of an end tag begins with a slash.
    name: &'a str,
    attributes: &'a str,
}

/// Every tag of a document that a program has written: `<` and `>` stand for themselves nowhere else,
/// because libxml2 escapes both in values.
fn tags(xml: &str) -> impl Iterator<Item = Tag<'_>> {
    xml.split('<').skip(1).filter_map(|piece| {
        let (tag, _) = piece.split_once('>')?;
        let end = tag.get(1..)?.find([' ', '/', '\n']).map_or(tag.len(), |at| at + 1);
        let (name, attributes) = tag.split_at_checked(end)?;
        Some(Tag { name, attributes })
    })
}

impl<'a> Tag<'a> {
    /// A value as it is written: the names of nodes and resources have nothing to escape.
    fn attribute(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.attributes;
        while let Some((key, after)) = rest.split_once("=\"") {
            let (value, next) = after.split_once('"')?;
            if key.trim() == name {
                return Some(value);
            }
            rest = next;
        }
        None
    }

    fn is(&self, name: &str) -> bool {
        self.attribute(name) == Some("true")
    }

    /// All numbers of a clone are one resource, because each node has one of them at most.
    fn is_about(&self, resource: &InstanceName) -> bool {
        let id = self.attribute("id").map(|id| InstanceName::new(id.as_ref()));
        id.is_some_and(|id| id.without_clone_number() == resource.without_clone_number())
    }

    fn instance_on(&self, node: &str) -> Option<Instance> {
        if !self.is("active") {
            return None;
        }
        let role = self.attribute("role")?;
        Some(Instance {
            node: node.to_owned(),
            promoted: role == "Promoted" || role == "Master",
            managed: self.is("managed") && !self.is("blocked") && !self.is("maintenance"),
            failed: self.is("failed"),
            pending: self.attribute("pending").is_some_and(|action| action != "Monitoring"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As Pacemaker 2.1.5 writes it.
    const CLONE: &str = r#"<pacemaker-result api-version="2.25" request="crm_mon -1 --output-as=xml">
  <pacemakerd sys_from="pacemakerd" state="running" last_updated="2026-11-29 08:44:31Z"/>
  <summary>
    <current_dc present="true" version="2.1.5-a3f44794f94" name="node1" id="1" with_quorum="true"/>
  </summary>
  <resources>
    <clone id="sip-clone" multi_state="true" unique="false" managed="true" disabled="false" failed="false" failure_ignored="false">
      <resource id="sip" resource_agent="ocf:smartvox:opensips" role="Promoted" active="true" orphaned="false" blocked="false" managed="true" failed="true" failure_ignored="false" nodes_running_on="1" pending="Demoting">
        <node name="node2" id="2" cached="true"/>
      </resource>
      <resource id="sip" resource_agent="ocf:smartvox:opensips" role="Unpromoted" active="true" orphaned="false" blocked="false" managed="false" failed="false" failure_ignored="false" nodes_running_on="1">
        <node name="node1" id="1" cached="true"/>
      </resource>
      <resource id="sip" resource_agent="ocf:smartvox:opensips" role="Stopped" active="false" orphaned="false" blocked="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>
    </clone>
    <resource id="sip-2" resource_agent="ocf:smartvox:opensips" role="Started" active="true" orphaned="false" blocked="false" managed="true" failed="false" nodes_running_on="1">
      <node name="node3" id="3" cached="true"/>
    </resource>
  </resources>
  <status code="0" message="OK"/>
</pacemaker-result>
"#;

    fn parse(xml: &str) -> Option<Status> {
        Status::parse(xml, &InstanceName::new("sip".as_ref()))
    }

    #[test]
    fn a_clone_is_read() {
        let status = parse(CLONE).unwrap();
        let instance = |node: &str, promoted, managed, failed, pending| Instance {
            node: node.to_owned(),
            promoted,
            managed,
            failed,
            pending,
        };
        let here = instance("node2", true, true, true, true);
        let there = instance("node1", false, false, false, false);
        assert_eq!(status.on("node2"), Some(&here));
        assert_eq!(status.elsewhere("node2").collect::<Vec<_>>(), [&there]);
        // It is another resource's, though its name begins alike.
        assert_eq!(status.on("node3"), None);
        assert!(!status.counts_once());
        // A globally unique clone, and a node in maintenance as Pacemaker 3.0 writes it.
        let numbered = CLONE.replace("\"sip\"", "\"sip:1\"");
        assert_eq!(parse(&numbered).unwrap().on("node1"), Some(&there));
        let maintained =
            CLONE.replace("blocked=\"false\"", "blocked=\"false\" maintenance=\"true\"");
        assert!(!parse(&maintained).unwrap().on("node2").unwrap().managed);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, once) in [
            ("2.1.5-x", false),
            ("2.1.6-1", true),
            ("2.1.10-x", true),
            ("3.0.0", true),
            ("", false),
        ] {
            let status = parse(&CLONE.replace("2.1.5-a3f44794f94", version)).unwrap();
            assert_eq!(status.counts_once(), once, "{version}");
        }
    }

    #[test]
    fn what_is_no_answer_is_none() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("crm_mon: Connection to cluster failed"), None);
        let empty = parse("<pacemaker-result api-version=\"2.25\">").unwrap();
        assert_eq!((empty.on("node1"), empty.counts_once()), (None, false));
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text: String) {
            let _ = parse(&text);
            let _ = parse(&format!("<pacemaker-result><resource id=\"sip\" {text}><node {text}"));
        }
    }
}
