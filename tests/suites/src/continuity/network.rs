//! The network comes later than the service, or goes for a moment.

use std::thread::sleep;
use std::time::Duration;

use super::sequence::Sequence;
use crate::site::setup::{Configuration, Setup};
use crate::site::{NODES, Site};

const SETUPS: &[Setup] = &[
    Setup::unfenced(Configuration::QuickStart),
    Setup::fenced(Configuration::ActiveStandby),
    Setup::fenced(Configuration::HotStandby),
];

pub(super) const SEQUENCES: &[Sequence] = &[
    Sequence {
        name: "late-network",
        what: "both nodes start the address while the interface has neither carrier nor address; both come within 5 s",
        setups: SETUPS,
        stage: stop_without_network,
        strike: |site| enable(site, true),
        lasts: Duration::from_secs(5),
        mend: |site| {
            NODES.iter().try_for_each(|node| {
                site.carrier(node, true)?;
                network_comes(site, node)
            })
        },
        // How soon the first start is tried, and the next one.
        noise: Duration::from_secs(2),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "network-restart",
        what: "the network service of the active node restarts: link down, all addresses gone for 3 s",
        setups: SETUPS,
        strike: |site| network_goes(site, &site.active()),
        lasts: Duration::from_secs(3),
        mend: |site| network_comes(site, &site.active()),
        least: Duration::from_secs(25),
        // Until the monitor that notices.
        noise: Duration::from_secs(5),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "network-restart-both",
        what: "the same on both nodes at the same time",
        setups: SETUPS,
        strike: |site| NODES.iter().try_for_each(|node| network_goes(site, node)),
        lasts: Duration::from_secs(3),
        mend: |site| NODES.iter().try_for_each(|node| network_comes(site, node)),
        least: Duration::from_secs(25),
        noise: Duration::from_secs(5),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "late-carrier",
        what: "no carrier on both nodes; that of the other node comes after 20 s, the active node's 10 s later",
        setups: SETUPS,
        strike: |site| NODES.iter().try_for_each(|node| site.carrier(node, false)),
        lasts: Duration::from_secs(20),
        mend: |site| {
            site.carrier(site.idle(), true)?;
            sleep(Duration::from_secs(10));
            site.carrier(&site.active(), true)
        },
        least: Duration::from_secs(25),
        noise: Duration::from_secs(5),
        ..Sequence::DEFAULT
    },
];

/// As `pcs resource enable` does, which takes longer to begin.
fn enable(site: &Site, on: bool) -> Result<(), String> {
    let role = if on { "Started" } else { "Stopped" };
    let command = ["crm_resource", "--resource", "vip", "--meta", "--set-parameter", "target-role"];
    site.run("node1", &[&command[..], &["--parameter-value", role]].concat()).map(drop)
}

/// The state of a node that boots before its network is there.
fn stop_without_network(site: &Site) -> Result<(), String> {
    enable(site, false)?;
    let ended = |id: &str| site.lab.resource_location(id).is_none();
    site.wait("the address is down", || ended("vip") && (site.is_hot() || ended("opensips")))?;
    NODES.iter().try_for_each(|node| {
        site.carrier(node, false)?;
        network_goes(site, node)
    })
}

fn network_goes(site: &Site, node: &str) -> Result<(), String> {
    site.shell(node, "ip link set eth0 down; ip addr flush dev eth0").map(drop)
}

/// As the lab has made it.
fn network_comes(site: &Site, node: &str) -> Result<(), String> {
    let last = if node == "node1" { "11" } else { "12" };
    let line = format!(
        "ip link set eth0 up; \
         ip addr add 192.0.2.{last}/24 broadcast + dev eth0; \
         ip addr add 2001:db8:0:1::{last}/64 dev eth0 nodad || true; \
         ip route replace default via 192.0.2.1; \
         ip -6 route replace default via 2001:db8:0:1::1 || true"
    );
    site.shell(node, &line).map(drop)
}
