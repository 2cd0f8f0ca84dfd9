//! What the nodes of the cluster know of each other's carrier. Pure.

use std::fmt;

use ocf::InstanceName;

/// The node attribute that tells each node's carrier: `smartvox-link-vip` for the resource `vip`.
///
/// It is named after the resource, because the name of the interface can differ between the nodes. Its
/// value is 1 (usable) or 0; a node without it has not been asked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttributeName(String);

impl AttributeName {
    /// Every byte that the name of an attribute in a rule of pcs or crmsh can't have becomes `_`.
    pub(crate) fn of(instance: &InstanceName) -> Self {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name = instance.without_clone_number();
        let name = name.as_str().chars().map(|c| if legal(c) { c } else { '_' });
        Self(format!("smartvox-link-{}", name.collect::<String>()))
    }

    /// The name that an announcer or a watcher has got in its arguments.
    pub(crate) fn from_argument(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether another node has a carrier, as far as this one knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    /// Nothing is known: no cluster, or no other node has published anything.
    #[default]
    Unknown,
    /// Each of the other nodes has published that it has none.
    Nowhere,
    /// These nodes have one. `moving`: a location rule of the cluster refers to the attribute, so that
    /// the VIP moves without a failure.
    On { nodes: Vec<String>, moving: bool },
}

/// Reads the answer of `attrd_updater --query --all`, one line for each node:
/// `name="smartvox-link-vip" host="node2" value="1"`. An answer of another form says nothing.
pub(crate) fn elsewhere(answer: &str, attribute: &AttributeName, own_node: &str) -> Elsewhere {
    let mut nodes = Vec::new();
    let mut is_any_known = false;
    for line in answer.lines().filter(|line| !line.trim().is_empty()) {
        let Some((node, value)) = node_and_value(line, attribute) else {
            return Elsewhere::Unknown;
        };
        if node == own_node {
            continue;
        }
        match value {
            "1" => nodes.push(node.to_owned()),
            "0" => {}
            // Deleted: it has not been asked since.
            "" => continue,
            _ => return Elsewhere::Unknown,
        }
        is_any_known = true;
    }
    match (is_any_known, nodes.is_empty()) {
        (false, _) => Elsewhere::Unknown,
        (true, true) => Elsewhere::Nowhere,
        (true, false) => Elsewhere::On { nodes, moving: false },
    }
}

fn node_and_value<'a>(line: &'a str, attribute: &AttributeName) -> Option<(&'a str, &'a str)> {
    let rest = line.trim().strip_prefix("name=\"")?.strip_prefix(attribute.as_str())?;
    let (node, rest) = rest.strip_prefix("\" host=\"")?.split_once('"')?;
    let value = rest.strip_prefix(" value=\"")?.strip_suffix('"')?;
    Some((node, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn attribute(instance: &str) -> AttributeName {
        AttributeName::of(&InstanceName::new(OsStr::new(instance)))
    }

    #[test]
    fn the_attribute_is_legal_in_a_rule() {
        for (instance, name) in [
            ("vip", "smartvox-link-vip"),
            ("vip:1", "smartvox-link-vip"),
            ("sip_vip-2.a", "smartvox-link-sip_vip-2.a"),
            ("a b#c", "smartvox-link-a_b_c"),
        ] {
            assert_eq!(attribute(instance).as_str(), name);
            assert_eq!(attribute(instance).to_string(), name);
        }
    }

    #[test]
    fn what_the_others_have_published() {
        let line = |node: &str, value: &str| {
            format!("name=\"smartvox-link-vip\" host=\"{node}\" value=\"{value}\"\n")
        };
        let read = |answer: &str| elsewhere(answer, &attribute("vip"), "node1");
        let on = |nodes: &[&str]| Elsewhere::On {
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
            moving: false,
        };
        assert_eq!(read(""), Elsewhere::Unknown);
        // The own value does not count, whatever it is.
        assert_eq!(read(&line("node1", "1")), Elsewhere::Unknown);
        assert_eq!(read(&(line("node1", "1") + &line("node2", "0"))), Elsewhere::Nowhere);
        assert_eq!(read(&(line("node1", "0") + &line("node2", "1"))), on(&["node2"]));
        let three = line("node3", "1") + &line("node1", "0") + &line("node2", "0");
        assert_eq!(read(&three), on(&["node3"]));
        assert_eq!(read(&line("node2", "")), Elsewhere::Unknown);
        // One that was not asked since hides no other.
        assert_eq!(read(&(line("node2", "") + &line("node3", "0"))), Elsewhere::Nowhere);
        assert_eq!(read(&(line("node2", "0") + &line("node3", "0"))), Elsewhere::Nowhere);
        for unclear in [
            line("node2", "2"),
            line("node2", "1").replace("link-vip", "link-vip2"),
            line("node2", "1").replace("host", "node"),
            line("node2", "1") + "warning: something\n",
        ] {
            assert_eq!(read(&unclear), Elsewhere::Unknown, "{unclear}");
        }
    }
}
