//! Two addresses of one node that come and go at the same moment.

use std::time::Duration;

use super::sequence::Sequence;
use crate::site::Site;
use crate::site::setup::{Configuration, Setup};

pub(super) const SEQUENCES: &[Sequence] = &[Sequence {
    name: "two-addresses",
    what: "two addresses and OpenSIPS move to the other node and back, 20 moves",
    setups: &[Setup::unfenced(Configuration::QuickStart)],
    prepare: second_address,
    strike: twenty_moves,
    // Twenty times what two moves differ by.
    noise: Duration::from_secs(3),
    ..Sequence::DEFAULT
}];

/// How long one move may take.
const MOVED: Duration = Duration::from_secs(45);

fn second_address(site: &Site) -> Result<(), String> {
    let agent = if site.is_ours() { "ocf:smartvox:opensips-vip" } else { "ocf:heartbeat:IPaddr2" };
    let line = format!(
        "pcs resource create vip2 {agent} ip=192.0.2.20 nic=eth0 op monitor interval=5s --disabled; \
         pcs constraint colocation add vip2 with vip; pcs resource enable vip2"
    );
    site.shell(&site.active(), &line)?;
    site.wait("both addresses are up", || site.lab.resource_location("vip2").is_some())
}

fn twenty_moves(site: &Site) -> Result<(), String> {
    for number in 0..20 {
        let to = if number % 2 == 0 { site.idle().to_owned() } else { site.active() };
        site.run(&to, &["crm_resource", "--move", "-r", "vip", "-N", &to])?;
        let moved = || {
            let there = |id| site.lab.resource_location(id).as_ref() == Some(&to);
            (there("vip") && there("vip2") && there("opensips")).then_some(())
        };
        // One that never arrives is the outcome, not an error of the run.
        if lab::wait_for("both addresses have moved", MOVED, moved).is_err() {
            site.finding(format!("move {} did not arrive", number + 1));
            break;
        }
    }
    site.run("node1", &["crm_resource", "--clear", "-r", "vip"]).map(drop)
}
