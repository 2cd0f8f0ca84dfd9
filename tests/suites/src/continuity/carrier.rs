//! The switch reboots, a cable comes out.

use std::time::Duration;

use lab::Network;

use super::planned::{clear, move_to};
use super::sequence::Sequence;
use crate::site::setup::{Configuration, Setup};
use crate::site::{NODES, Site};

const SETUPS: &[Setup] = &[
    Setup::unfenced(Configuration::QuickStart),
    Setup::fenced(Configuration::ActiveStandby),
    Setup::fenced(Configuration::HotStandby),
];

/// From the cable to the other node, and from the carrier to SIP.
const SOON: Duration = Duration::from_secs(5);

pub(super) const SEQUENCES: &[Sequence] = &[
    Sequence {
        name: "switch-reboot-20",
        what: "the switch reboots: no carrier on both nodes for 20 s",
        setups: SETUPS,
        strike: all_dark,
        lasts: Duration::from_secs(20),
        mend: all_lit,
        back_within: Some(SOON),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "switch-reboot-45",
        what: "the switch reboots: no carrier on both nodes for 45 s",
        setups: SETUPS,
        strike: all_dark,
        lasts: Duration::from_secs(45),
        mend: all_lit,
        back_within: Some(SOON),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "only-switch-reboot-20",
        what: "the only switch reboots: neither carrier nor cluster network on both nodes for 20 s",
        setups: &[
            Setup::unfenced(Configuration::QuickStart),
            Setup::unfenced(Configuration::ActiveStandby),
            Setup::unfenced(Configuration::HotStandby),
        ],
        strike: |site| {
            all_dark(site)?;
            NODES.iter().try_for_each(|node| lan(site, node, false))
        },
        lasts: Duration::from_secs(20),
        mend: |site| {
            NODES.iter().try_for_each(|node| lan(site, node, true))?;
            all_lit(site)
        },
        least: Duration::from_secs(30),
        noise: Duration::from_secs(3),
        back_within: Some(SOON),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "one-cable-out",
        what: "the cable of the active node is out for 40 s",
        setups: SETUPS,
        strike: |site| site.carrier(&site.active(), false),
        lasts: Duration::from_secs(40),
        mend: |site| site.carrier(&site.active(), true),
        noise: Duration::from_secs(5),
        silent_at_most: Some(SOON),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "all-cables-out",
        what: "the active node, the one that the delay of the fencing spares, loses both cables for 40 s",
        setups: &[
            Setup::fenced(Configuration::ActiveStandby),
            Setup::fenced(Configuration::HotStandby),
        ],
        prepare: serve_on_node1,
        strike: |site| both_cables(site, false),
        lasts: Duration::from_secs(40),
        mend: |site| both_cables(site, true),
        least: Duration::from_secs(25),
        // When a token runs out, and when Corosync has agreed, differs from run to run.
        noise: Duration::from_secs(3),
        silent_at_most: Some(Duration::from_secs(15)),
        ..Sequence::DEFAULT
    },
];

fn serve_on_node1(site: &Site) -> Result<(), String> {
    if site.active() == "node1" {
        return Ok(());
    }
    site.run("node1", &move_to(site))?;
    let there = || site.lab.resource_location("vip").as_deref() == Some("node1");
    site.wait("the address is on node1", there)?;
    site.run("node1", &clear(site)).map(drop)
}

/// Those of the node that served.
fn both_cables(site: &Site, there: bool) -> Result<(), String> {
    let node = site.active();
    lan(site, &node, there)?;
    site.carrier(&node, there)
}

fn all_dark(site: &Site) -> Result<(), String> {
    NODES.iter().try_for_each(|node| site.carrier(node, false))
}

fn all_lit(site: &Site) -> Result<(), String> {
    NODES.iter().try_for_each(|node| site.carrier(node, true))
}

fn lan(site: &Site, node: &str, there: bool) -> Result<(), String> {
    let (lab, network) = (&site.lab, Network::Lan);
    let done = if there { lab.plug(node, network) } else { lab.unplug(node, network) };
    done.map_err(|error| error.to_string())
}
