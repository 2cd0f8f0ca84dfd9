//! What happens in the life of any pair: moves, maintenance, power cuts, a LAN that parts.

use std::time::Duration;

use lab::Network;

use super::sequence::Sequence;
use crate::scenario::Fencing;
use crate::site::Site;
use crate::site::setup::{Configuration, Setup};

const SETUPS: &[Setup] = &[
    Setup::unfenced(Configuration::QuickStart),
    Setup::fenced(Configuration::ActiveStandby),
    Setup::fenced(Configuration::HotStandby),
];

/// With fencing and without.
const FENCED_OR_NOT: &[Setup] = &[
    Setup::fenced(Configuration::ActiveStandby),
    Setup::unfenced(Configuration::ActiveStandby),
    Setup::fenced(Configuration::HotStandby),
    Setup::unfenced(Configuration::HotStandby),
];

/// When a token runs out, and when Corosync has agreed, differs from run to run.
const MEMBERSHIP: Duration = Duration::from_secs(3);

pub(super) const SEQUENCES: &[Sequence] = &[
    Sequence {
        name: "planned-move",
        what: "an administrator moves the service to the other node",
        setups: SETUPS,
        strike: |site| site.run(site.idle(), &move_to(site)).map(drop),
        lasts: Duration::from_secs(10),
        mend: |site| site.run(site.idle(), &clear(site)).map(drop),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "standby",
        what: "the active node goes into standby for 20 s, and comes back",
        setups: SETUPS,
        strike: |site| standby(site, "on"),
        lasts: Duration::from_secs(20),
        mend: |site| standby(site, "off"),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "standby-in-turn",
        what: "the active node goes into standby; in the moment when it comes back, the other one goes for 20 s",
        setups: &[Setup::fenced(Configuration::HotStandby)],
        stage: away_and_back,
        strike: |site| standby(site, "on"),
        lasts: Duration::from_secs(20),
        mend: |site| standby(site, "off"),
        silent_at_most: Some(Duration::ZERO),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "power-cut",
        what: "the active node loses power; it has power again when it is fenced, at the latest after 30 s",
        setups: FENCED_OR_NOT,
        strike: |site| site.lab.kill(&site.active()).map_err(|error| error.to_string()),
        lasts: Duration::from_secs(30),
        mend: boot,
        least: Duration::from_secs(25),
        noise: MEMBERSHIP,
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "lan-split",
        what: "the nodes lose sight of each other for 30 s; both keep the public network",
        setups: FENCED_OR_NOT,
        strike: |site| {
            site.lab.partition([site.active()], Network::Lan).map_err(|error| error.to_string())
        },
        lasts: Duration::from_secs(30),
        mend: |site| site.lab.heal().map_err(|error| error.to_string()),
        least: Duration::from_secs(25),
        noise: MEMBERSHIP,
        ..Sequence::DEFAULT
    },
];

/// What an administrator moves: the address, or what it follows.
fn moved(site: &Site) -> &'static [&'static str] {
    if site.is_hot() && site.is_ours() {
        &["-r", "opensips-clone", "--promoted"]
    } else {
        &["-r", "vip"]
    }
}

pub(super) fn move_to(site: &Site) -> Vec<&'static str> {
    [&["crm_resource", "--move", "-N", site.idle()], moved(site)].concat()
}

pub(super) fn clear(site: &Site) -> Vec<&'static str> {
    [&["crm_resource", "--clear"], moved(site)].concat()
}

fn standby(site: &Site, value: &str) -> Result<(), String> {
    site.run(site.idle(), &["crm_standby", "-N", &site.active(), "-v", value]).map(drop)
}

/// The active node's maintenance, up to the moment when it is over: then the other one is active.
fn away_and_back(site: &Site) -> Result<(), String> {
    let other = site.idle();
    standby(site, "on")?;
    site.wait("the other node serves", || {
        site.lab.resource_location("vip").as_deref() == Some(other)
    })?;
    site.run(other, &["crm_resource", "--wait"])?;
    standby(site, "off")?;
    site.set_active(other.to_owned());
    Ok(())
}

fn boot(site: &Site) -> Result<(), String> {
    // Fencing has given it power again.
    if site.setup.fencing == Fencing::On || site.lab.node_pid(&site.active()).is_ok() {
        return Ok(());
    }
    site.lab.boot(&site.active()).map_err(|error| error.to_string())
}
