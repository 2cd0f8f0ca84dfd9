//! Addresses and routes as `ip` shows them: with names of links instead of the kernel's numbers.

use std::collections::BTreeMap;
use std::fmt::Write;

use hostnet::{Address, Link, LinkIndex, LinkName, Route, RouteKind, TABLE_MAIN};

/// The names of the host's links. The number of a link that is missing here says nothing to an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkNames(BTreeMap<LinkIndex, LinkName>);

/// A link that was deleted or renamed while the tables were read.
const NAMELESS: &str = "an interface without a known name";

impl LinkNames {
    pub(crate) fn of<'a>(links: impl IntoIterator<Item = &'a Link>) -> Self {
        Self(links.into_iter().map(|link| (link.index, link.name.clone())).collect())
    }

    /// `eth0`
    pub(crate) fn link(&self, index: LinkIndex) -> String {
        self.0.get(&index).map_or_else(|| NAMELESS.to_owned(), ToString::to_string)
    }

    /// `192.0.2.10/24 on eth0`
    pub(crate) fn address(&self, address: &Address) -> String {
        let link = if self.0.contains_key(&address.link) {
            None
        } else {
            // The kernel begins the label of an IPv4 address with the link's name; an administrator can
            // have set any text.
            let label = address.label.as_deref().and_then(|label| label.split(':').next());
            label.filter(|name| name.parse::<LinkName>().is_ok())
        };
        let link = match link {
            Some(name) => ocf::shown(name.as_bytes()),
            None => self.link(address.link),
        };
        format!("{}/{} on {link}", address.ip, address.prefix)
    }

    /// `192.0.2.10/24 on eth0, 192.0.2.10/32 on eth1`
    pub(crate) fn addresses<'a>(&self, list: impl IntoIterator<Item = &'a Address>) -> String {
        list.into_iter().map(|address| self.address(address)).collect::<Vec<_>>().join(", ")
    }

    /// `203.0.113.0/24 via 192.0.2.254 dev eth0 table 100 src 192.0.2.10 metric 50`
    pub(crate) fn route(&self, route: &Route) -> String {
        let mut text = match route.kind {
            RouteKind::Unicast => route.destination.to_string(),
            kind => format!("{kind} {}", route.destination),
        };
        // Writing to a String can't fail.
        if let Some(gateway) = route.gateway {
            let _ = write!(text, " via {gateway}");
        }
        if let Some(link) = route.link {
            let _ = write!(text, " dev {}", self.link(link));
        }
        if route.table != TABLE_MAIN {
            let _ = write!(text, " table {}", route.table);
        }
        if let Some(source) = route.preferred_source {
            let _ = write!(text, " src {source}");
        }
        if route.metric != 0 {
            let _ = write!(text, " metric {}", route.metric);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{address, connected, labelled, link};

    #[test]
    fn names_come_before_labels_and_labels_before_numbers() {
        let names = LinkNames::of([&link(2, "eth0")]);
        assert_eq!(names.address(&address(2, "192.0.2.10/24")), "192.0.2.10/24 on eth0");
        assert_eq!(names.address(&labelled(2, "192.0.2.10/24", "x:sip")), "192.0.2.10/24 on eth0");
        assert_eq!(
            names.address(&labelled(3, "192.0.2.10/24", "eth1:sip")),
            "192.0.2.10/24 on eth1"
        );
        assert_eq!(
            names.address(&address(3, "192.0.2.10/24")),
            "192.0.2.10/24 on an interface without a known name"
        );
        let forged = labelled(3, "192.0.2.10/24", "a b");
        assert_eq!(names.address(&forged), "192.0.2.10/24 on an interface without a known name");
        let both = [address(2, "192.0.2.10/24"), address(2, "192.0.2.10/32")];
        assert_eq!(names.addresses(&both), "192.0.2.10/24 on eth0, 192.0.2.10/32 on eth0");
    }

    #[test]
    fn routes_are_written_as_ip_route_does() {
        let names = LinkNames::of([&link(2, "eth0")]);
        let via = Route {
            gateway: "192.0.2.254".parse().ok(),
            metric: 50,
            table: 100,
            ..connected(2, "203.0.113.0/24", Some("192.0.2.10"))
        };
        assert_eq!(
            names.route(&via),
            "203.0.113.0/24 via 192.0.2.254 dev eth0 table 100 src 192.0.2.10 metric 50"
        );
        let main = Route { table: TABLE_MAIN, ..via.clone() };
        assert_eq!(
            names.route(&main),
            "203.0.113.0/24 via 192.0.2.254 dev eth0 src 192.0.2.10 metric 50"
        );
        let blackhole = Route { kind: RouteKind::Other(6), link: None, ..via };
        assert!(names.route(&blackhole).starts_with("blackhole 203.0.113.0/24 via "));
    }
}
