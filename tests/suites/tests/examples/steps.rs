//! What each example promises.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lab::Network;
use suites::scenario::{self, repository};

use crate::site::{PATIENCE, Site};

/// What all examples of one address and one OpenSIPS have.
pub(crate) const VIP_AND_OPENSIPS: &[&str] = &["vip", "opensips"];
pub(crate) const CONFIG: &str = "/etc/opensips/opensips.cfg";
pub(crate) const SIP: &str = "192.0.2.10:5060";

/// The text of a file in `pcs-examples/`.
pub(crate) fn text(name: &str) -> Result<String, String> {
    let path = repository().join("pcs-examples").join(name);
    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// What a script's comment tells to type or to write: its lines that begin with `#` and a tab.
fn told(script: &str) -> Result<Vec<String>, String> {
    let lines: Vec<String> = text(script)?
        .lines()
        .filter_map(|line| line.strip_prefix("#\t"))
        .map(str::to_owned)
        .collect();
    if lines.is_empty() { Err(format!("{script} tells nothing")) } else { Ok(lines) }
}

/// The configuration of active/standby, with the sockets that an example tells to add.
fn with_sockets(script: &str) -> Result<String, String> {
    let (config, last) = (text("opensips-active-standby.cfg")?, "socket=tcp:192.0.2.10:5060\n");
    if config.matches(last).count() != 1 {
        return Err(format!("opensips-active-standby.cfg: not one {last:?}"));
    }
    Ok(config.replace(last, &format!("{last}{}\n", told(script)?.join("\n"))))
}

/// The majority goes on without a node that has lost every cable, and is not fenced by it.
pub(crate) fn three_nodes(site: &Site) -> Result<(), String> {
    site.write(CONFIG, &text("opensips-active-standby.cfg")?)?;
    site.configure("three-nodes.sh")?;
    let node = site.moved("vip", VIP_AND_OPENSIPS)?;
    site.is_only_on(&node, "eth0", "192.0.2.10")?;
    site.answers("client", SIP)?;
    site.nothing_to_find()?;
    cables_out(site, VIP_AND_OPENSIPS, &node)
}

/// The active node loses every cable: another one takes over, and was never without power.
pub(crate) fn cables_out(site: &Site, all: &[&str], from: &str) -> Result<(), String> {
    let text = |error: lab::Error| error.to_string();
    let witness = scenario::peer(from);
    let up = site.lab.process(witness).map_err(text)?;
    for network in [Network::Lan, Network::Public] {
        site.lab.unplug(from, network).map_err(text)?;
    }
    let now = taken_over(site, all, from)?;
    site.answers("client", SIP)?;
    for network in [Network::Lan, Network::Public] {
        site.lab.plug(from, network).map_err(text)?;
    }
    // Fencing has rebooted it.
    site.until("all nodes have power", || {
        Ok(site.lab.powered_nodes().map_err(text)?.len() == site.nodes.len())
    })?;
    site.lab.wait_online(PATIENCE).map_err(text)?;
    site.together(all, |node| node == now)?;
    if site.lab.process(witness).map_err(text)? == up {
        Ok(())
    } else {
        Err(format!("{witness} was fenced by a node without network"))
    }
}

/// Waits until the others have it, by the word of one of them: the lost node knows nothing of that.
fn taken_over(site: &Site, all: &[&str], lost: &str) -> Result<String, String> {
    let witness = scenario::peer(lost);
    let begun = Instant::now();
    loop {
        let located = |id: &&str| site.run(witness, &["crm_resource", "--locate", "-r", id]).ok();
        let found: Option<Vec<String>> = all.iter().map(located).collect();
        let running = site.nodes.iter().find(|node| {
            let here = |line: &String| line.contains(&format!("running on: {node}"));
            *node != lost && found.as_ref().is_some_and(|lines| lines.iter().all(here))
        });
        if let Some(node) = running {
            return Ok(node.clone());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{all:?} are not on another node than {lost}: {found:?}"));
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// Both addresses answer, and the IPv4 address goes on without the other.
pub(crate) fn dual_stack(site: &Site) -> Result<(), String> {
    const ALL: &[&str] = &["vip", "vip6", "opensips"];
    const SIP6: &str = "[2001:db8:0:1::10]:5060";
    site.write(CONFIG, &with_sockets("dual-stack.sh")?)?;
    site.configure("dual-stack.sh")?;
    site.together(ALL, |_| true)?;
    let both = |node: &str| {
        site.is_only_on(node, "eth0", "192.0.2.10")?;
        site.is_only_on(node, "eth0", "2001:db8:0:1::10")?;
        site.answers("client", SIP)?;
        site.answers("client", SIP6)
    };
    both(&site.together(ALL, |_| true)?)?;
    let node = site.moved("vip", ALL)?;
    both(&node)?;
    site.nothing_to_find()?;
    let pid = || site.run(&node, &["cat", "/run/opensips/opensips.pid"]);
    let before = pid()?;
    site.run(
        &node,
        &[
            "crm_resource",
            "--resource",
            "vip6",
            "--meta",
            "--set-parameter",
            "target-role",
            "--parameter-value",
            "Stopped",
        ],
    )?;
    site.settle()?;
    site.answers("client", SIP)?;
    if pid()? == before { Ok(()) } else { Err("OpenSIPS was restarted without vip6".to_owned()) }
}

/// The way back to the Internet is the gateway's, where the node's own default route leads elsewhere.
pub(crate) fn two_networks(site: &Site) -> Result<(), String> {
    const ALL: &[&str] = &["vip", "vip-lan", "opensips"];
    const LAN_SIP: &str = "198.51.100.10:5060";
    let caller = Ipv4Addr::new(203, 0, 113, 5);
    site.write(CONFIG, &with_sockets("two-networks.sh")?)?;
    site.configure("two-networks.sh")?;
    site.together(ALL, |_| true)?;
    let node = site.moved("vip", ALL)?;
    site.is_only_on(&node, "eth0", "192.0.2.10")?;
    site.is_only_on(&node, "eth1", "198.51.100.10")?;
    site.answers("client", SIP)?;
    // The LAN, as another host of it sees it.
    site.answers(scenario::peer(&node), LAN_SIP)?;
    site.nothing_to_find()?;
    // A caller behind the gateway; the node's default route leads into the LAN, where nobody is.
    site.run("client", &["ip", "address", "add", "203.0.113.5/32", "dev", "lo"])?;
    site.run(&node, &["ip", "route", "replace", "default", "via", "198.51.100.99"])?;
    site.answers_from("client", SIP, Some(caller))?;
    site.run(&node, &["ip", "route", "replace", "default", "via", "192.0.2.1"])?;
    site.run("client", &["ip", "address", "del", "203.0.113.5/32", "dev", "lo"])?;
    let route = site.run(&node, &["ip", "route", "get", "198.51.100.99"])?;
    if !route.contains("src 198.51.100.10 ") {
        return Err(format!("not from the LAN's virtual address: {route}"));
    }
    without_the_lan(site, &node)?;
    let node = site.together(ALL, |_| true)?;
    site.answers(scenario::peer(&node), LAN_SIP)
}

/// The address of the LAN can be started on neither node: the service on the Internet goes on. It may move,
/// because the nodes do not find out at the same moment that they are without the LAN.
fn without_the_lan(site: &Site, node: &str) -> Result<(), String> {
    site.run(node, &["pcs", "resource", "update", "vip-lan", "nic=no-such-nic"])?;
    site.until("vip-lan has failed, and is tried nowhere", || {
        let failed = site.run(node, &["crm_mon", "-1", "--include=none,failures"])?;
        site.settle()?;
        Ok(failed.contains("vip-lan start") || failed.contains("vip-lan_start_0"))
    })?;
    site.together(&["vip", "opensips"], |_| true)?;
    site.answers("client", SIP)?;
    site.run(node, &["pcs", "resource", "update", "vip-lan", "nic=eth1"]).map(drop)
}

/// Each has its node; one moves to the other, and both serve there.
pub(crate) fn several_instances(site: &Site) -> Result<(), String> {
    const PHONES: &[&str] = &["vip-phones", "opensips-phones"];
    const CARRIERS: &[&str] = &["vip-carriers", "opensips-carriers"];
    for node in &site.nodes {
        for line in told("several-instances.sh")? {
            let line = format!("mkdir -p /etc/opensips && cd /root/pcs-examples && {line}");
            site.run(node, &["sh", "-ec", &line])?;
        }
    }
    site.configure("several-instances.sh")?;
    site.together(PHONES, |node| node == "node1")?;
    site.together(CARRIERS, |node| node == "node2")?;
    site.answers("client", SIP)?;
    site.answers("client", "192.0.2.20:5060")?;
    let node = site.moved("vip-phones", PHONES)?;
    // Without the constraint both stay.
    site.settle()?;
    site.together(&[PHONES, CARRIERS].concat(), |now| now == node)?;
    site.is_only_on(&node, "eth0", "192.0.2.10")?;
    site.is_only_on(&node, "eth0", "192.0.2.20")?;
    site.answers("client", SIP)?;
    site.answers("client", "192.0.2.20:5060")?;
    site.nothing_to_find()
}
