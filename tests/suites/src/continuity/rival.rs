//! Another host answers for the virtual IP address: a phone with the wrong address, a fabric that
//! answers ARP for a host that is dead.

use std::time::Duration;

use super::sequence::Sequence;
use crate::scenario::{Fencing, VIP};
use crate::site::Site;
use crate::site::setup::{Configuration, Setup};

const SETUPS: &[Setup] = &[
    Setup::unfenced(Configuration::QuickStart),
    Setup::fenced(Configuration::ActiveStandby),
    Setup::fenced(Configuration::HotStandby),
];

const FENCED: &[Setup] = &[
    Setup::fenced(Configuration::QuickStart),
    Setup::fenced(Configuration::ActiveStandby),
    Setup::fenced(Configuration::HotStandby),
];

/// When a token runs out, and when Corosync has agreed, differs from run to run.
const MEMBERSHIP: Duration = Duration::from_secs(3);

/// What a neighbour that still sends to the phone needs to notice that it has left: 15 to 45 s of
/// trust (`base_reachable_time`, by chance), then 5 s of delay and three questions.
const NEIGHBOUR: Duration = Duration::from_secs(30);

/// The owner defends its address and announces it again when the other host has left.
const SOON: Duration = Duration::from_secs(5);

pub(super) const SEQUENCES: &[Sequence] = &[
    Sequence {
        name: "phone-8",
        what: "a phone claims the address for 8 s, and leaves",
        setups: SETUPS,
        strike: phone_comes,
        lasts: Duration::from_secs(8),
        mend: phone_leaves,
        // A neighbour that still sends to the phone notices it by then.
        least: Duration::from_secs(45),
        back_within: Some(SOON),
        noise: NEIGHBOUR,
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "phone-30",
        what: "a phone claims the address for 30 s, and leaves",
        setups: SETUPS,
        strike: phone_comes,
        lasts: Duration::from_secs(30),
        mend: phone_leaves,
        least: Duration::from_secs(45),
        back_within: Some(SOON),
        noise: NEIGHBOUR,
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "phone-100",
        what: "the same for 100 s, where pcs has made a monitor of level 10 from the meta-data",
        setups: &[Setup::unfenced(Configuration::DefaultOperations)],
        strike: phone_comes,
        lasts: Duration::from_secs(100),
        mend: phone_leaves,
        least: Duration::from_secs(45),
        back_within: Some(SOON),
        noise: NEIGHBOUR,
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "fabric-forgets",
        what: "power cut, and for 30 s a router answers ARP for the address (proxy ARP, ARP suppression)",
        setups: FENCED,
        prepare: fabric,
        strike: fabric_answers_for_the_dead,
        lasts: Duration::from_secs(30),
        mend: fabric_forgets,
        least: Duration::from_secs(25),
        noise: MEMBERSHIP,
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "fabric-for-ever",
        what: "the same, and it does not end",
        setups: FENCED,
        prepare: fabric,
        strike: fabric_answers_for_the_dead,
        lasts: Duration::from_secs(60),
        noise: MEMBERSHIP,
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "fabric-unfenced",
        what: "power cut without fencing, and for 30 s a router answers ARP for the address",
        setups: &[Setup::unfenced(Configuration::ActiveStandby)],
        prepare: fabric,
        strike: fabric_answers_for_the_dead,
        lasts: Duration::from_secs(30),
        mend: fabric_forgets,
        least: Duration::from_secs(25),
        noise: MEMBERSHIP,
        not_compared: Some("without fencing, the one that answers may be the living peer"),
        ..Sequence::DEFAULT
    },
];

/// With the address configured, and told to everybody, as a phone does that boots.
fn phone_comes(site: &Site) -> Result<(), String> {
    site.third_host()?.shell(&format!(
        "ip addr add {VIP}/24 dev eth0; arping -q -U -c 2 -w 1 -I eth0 -s {VIP} {VIP} || true"
    ))
}

fn phone_leaves(site: &Site) -> Result<(), String> {
    site.third_host()?.shell(&format!("ip addr del {VIP}/24 dev eth0"))
}

/// The router is there, and answers for nobody yet.
fn fabric(site: &Site) -> Result<(), String> {
    site.third_host().map(drop)
}

/// The address on the loopback interface: the kernel answers ARP for it, RFC 5227 probes included,
/// which proxy ARP of Linux leaves to the owner, and nobody answers SIP.
fn fabric_answers_for_the_dead(site: &Site) -> Result<(), String> {
    let dead = site.active();
    site.lab.kill(&dead).map_err(|error| error.to_string())?;
    site.third_host()?.shell(&format!("ip addr add {VIP}/32 dev lo"))
}

fn fabric_forgets(site: &Site) -> Result<(), String> {
    site.third_host()?.shell(&format!("ip addr del {VIP}/32 dev lo"))?;
    // Nobody has given it power again.
    if site.setup.fencing == Fencing::Off {
        site.lab.boot(&site.active()).map_err(|error| error.to_string())?;
    }
    Ok(())
}
