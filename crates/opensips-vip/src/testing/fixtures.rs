//! Values for unit tests.

use hostnet::{Address, AddressFlags, Lifetime, Link, LinkIndex, MacAddress, Network};
use hostnet::{OperationalState, Route, RouteKind, RouteProtocol, Scope, TABLE_MAIN};

use crate::params::Params;

/// The parameters of 192.0.2.10, and these.
pub(crate) fn params(given: &[(&str, &str)]) -> Params {
    let pairs = [("ip", "192.0.2.10")].iter().chain(given).copied();
    Params::read(&pairs.collect()).unwrap()
}

/// An Ethernet link that is up; `enp<index>s0` is its altname.
pub(crate) fn link(index: u32, name: &str) -> Link {
    Link {
        index: LinkIndex::new(index).unwrap(),
        name: name.parse().unwrap(),
        altnames: vec![format!("enp{index}s0")],
        mac: MacAddress::from_slice(&[2, 0, 0, 0, 0, index.to_le_bytes()[0]]),
        broadcast: Some(MacAddress::BROADCAST),
        ethernet: true,
        admin_up: true,
        carrier: true,
        carrier_losses: 0,
        operstate: OperationalState::Up,
        loopback: false,
        noarp: false,
        point_to_point: false,
        kind: None,
        lower: None,
        controller: None,
        controller_kind: None,
        mtu: 1500,
    }
}

/// `lo`.
pub(crate) fn lo() -> Link {
    Link {
        loopback: true,
        ethernet: false,
        mac: Some(MacAddress::ZERO),
        operstate: OperationalState::Unknown,
        altnames: Vec::new(),
        ..link(1, "lo")
    }
}

/// An address such as `192.0.2.10/24` on a link, without a label.
pub(crate) fn address(link: u32, text: &str) -> Address {
    let (ip, _) = text.split_once('/').unwrap();
    Address {
        link: LinkIndex::new(link).unwrap(),
        ip: ip.parse().unwrap(),
        prefix: text.parse::<Network>().unwrap().prefix(),
        peer: None,
        broadcast: None,
        label: None,
        scope: Scope::Universe,
        flags: AddressFlags { permanent: true, ..AddressFlags::default() },
        preferred_lft: Lifetime::Forever,
        valid_lft: Lifetime::Forever,
    }
}

/// An address with its label.
pub(crate) fn labelled(link: u32, text: &str, label: &str) -> Address {
    Address { label: Some(label.to_owned()), ..address(link, text) }
}

/// The route of a connected network.
pub(crate) fn connected(link: u32, network: &str, source: Option<&str>) -> Route {
    Route {
        destination: network.parse().unwrap(),
        link: LinkIndex::new(link),
        gateway: None,
        preferred_source: source.map(|source| source.parse().unwrap()),
        scope: Scope::Link,
        table: TABLE_MAIN,
        protocol: RouteProtocol::Kernel,
        kind: RouteKind::Unicast,
        metric: 0,
    }
}
