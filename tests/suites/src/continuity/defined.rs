//! A resource is defined and not even meant to run: what its probe finds is not its own.

use std::time::Duration;

use super::sequence::Sequence;
use crate::site::setup::{Configuration, Setup};
use crate::site::{PATIENCE, Site};

const SETUPS: &[Setup] = &[
    Setup::unfenced(Configuration::QuickStart),
    Setup::fenced(Configuration::ActiveStandby),
    Setup::fenced(Configuration::HotStandby),
];

const QUICK: &[Setup] = &[Setup::unfenced(Configuration::QuickStart)];

pub(super) const SEQUENCES: &[Sequence] = &[
    Sequence {
        name: "second-resource",
        what: "a second resource of the same OpenSIPS is created, disabled",
        setups: SETUPS,
        strike: second_resource,
        lasts: Duration::from_secs(45),
        silent_at_most: Some(Duration::ZERO),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "started-outside",
        what: "OpenSIPS was started outside of Pacemaker, and its resource is created, disabled",
        setups: QUICK,
        prepare: start_outside,
        strike: |site| define(site, "opensips"),
        lasts: Duration::from_secs(30),
        silent_at_most: Some(Duration::ZERO),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "own-address",
        what: "an address resource with the active node's own address is created, disabled",
        setups: QUICK,
        strike: own_address,
        lasts: Duration::from_secs(20),
        mend: own_address_is_there,
        silent_at_most: Some(Duration::ZERO),
        ..Sequence::DEFAULT
    },
];

/// Creates a disabled resource for OpenSIPS, as its administrator would.
fn define(site: &Site, id: &str) -> Result<(), String> {
    let line = if site.is_ours() {
        format!(
            "pcs resource create {id} ocf:smartvox:opensips vip=192.0.2.10 --disabled --agent-validation"
        )
    } else {
        format!("pcs resource create {id} ocf:substitute:opensips-service --disabled")
    };
    // Refused with a reason is fine.
    match site.shell(site.idle(), &line) {
        Err(error) if !error.contains("Error:") => Err(error),
        _ => Ok(()),
    }
}

fn second_resource(site: &Site) -> Result<(), String> {
    define(site, "test")
}

/// The daemon goes on without a resource: stopped by Pacemaker, then started by hand.
fn start_outside(site: &Site) -> Result<(), String> {
    let node = site.active();
    site.run(&node, &["pcs", "resource", "delete", "opensips"])?;
    site.wait("OpenSIPS has ended", || site.daemon(&node).is_empty())?;
    let by_hand = if site.is_ours() {
        "mkdir -p /run/opensips && /usr/sbin/opensips -P /run/opensips/opensips.pid \
         -f /etc/opensips/opensips.cfg </dev/null >/dev/null 2>&1"
    } else {
        "/usr/lib/ocf/resource.d/substitute/opensips-service start"
    };
    site.shell(&node, by_hand).map(drop)
}

fn own_address(site: &Site) -> Result<(), String> {
    let agent = if site.is_ours() { "ocf:smartvox:opensips-vip" } else { "ocf:heartbeat:IPaddr2" };
    let address = own(site);
    let line = format!("pcs resource create mine {agent} ip={address} nic=eth0 --disabled");
    match site.shell(site.idle(), &line) {
        Err(error) if !error.contains("Error:") => return Err(error),
        _ => {}
    }
    let idle = ["crm_resource", "--wait", &format!("--timeout={}", PATIENCE.as_secs())];
    site.run(site.idle(), &idle).map(drop)
}

fn own_address_is_there(site: &Site) -> Result<(), String> {
    let (node, address) = (site.active(), own(site));
    let shown = site.run(&node, &["ip", "-4", "-o", "addr", "show", "dev", "eth0"])?;
    if !shown.contains(&format!(" {address}/")) {
        site.finding(format!("the node's own address {address} is gone"));
    }
    if site.run(&node, &["ip", "-4", "route", "show", "default"])?.trim().is_empty() {
        site.finding("the node's default route is gone");
    }
    Ok(())
}

/// The active node's own address.
fn own(site: &Site) -> &'static str {
    if site.active() == "node1" { "192.0.2.11" } else { "192.0.2.12" }
}
