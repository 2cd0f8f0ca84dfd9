//! Routes whose preferred source is the VIP.

use super::contender::{Contender, Resource};
use super::record::Record;
use super::site::{Site, VIP, left};

/// 10: packets to a network leave with the VIP as source, also after a stop and a start.
///
/// IPaddr2 has no parameter for it: the administrator sets the source once, while the VIP is there.
pub(super) fn source_of_a_destination(contender: &Contender, record: &mut Record) {
    let site = Site::ipv4();
    let route = "203.0.113.0/24 via 192.0.2.99 dev eth0 metric 50 mtu 1400";
    site.node.ip(&format!("route add {route}"));
    let before = site.routes();
    let by_hand = contender.source(&[]).is_some();
    let vip = contender.address(&[
        ("ip", VIP),
        ("nic", "eth0"),
        ("cidr_netmask", "24"),
        ("source_for", "203.0.113.0/24"),
    ]);
    vip.ends(&site.node, record, "start", 0);
    if by_hand {
        site.node.ip(&format!("route replace {route} src {VIP}"));
    }
    let source = |record: &mut Record, when: &str| {
        let source = site.source_to("203.0.113.5");
        let shown = if source.is_empty() { "no route" } else { &source };
        record.saw(format!("source to 203.0.113.5 {when}: {shown}"));
        source
    };
    let first = source(record, "after start");
    record.check("the source is the VIP", first == VIP);
    vip.ends(&site.node, record, "monitor", 0);
    vip.ends(&site.node, record, "stop", 0);
    let stopped = source(record, "after stop");
    record.check("after stop the routes are as they were", site.routes() == before);
    vip.ends(&site.node, record, "start", 0);
    let again = source(record, "after start again");
    record.check("the source is the VIP again", again == VIP);
    record.fault(stopped.is_empty() && again != VIP);
    vip.ends(&site.node, record, "stop", 0);
    let instances = site.instances(VIP);
    record.saw(left(&instances));
    record.check("stop takes the VIP away", instances.is_empty());
    record.check("after the last stop the routes are as they were", site.routes() == before);
}

/// 12: the default route gets the VIP as source, on an interface with two subnets.
///
/// The peer needs two resources, the address and ocf:heartbeat:IPsrcaddr.
pub(super) fn source_of_the_default_route(contender: &Contender, record: &mut Record) {
    let site = Site::ipv4();
    site.node.ip("addr add 198.51.100.1/24 dev eth0");
    site.node.ip("route add default via 192.0.2.99 dev eth0 metric 100 mtu 1400");
    let before = site.routes();
    let address = [("ip", VIP), ("nic", "eth0"), ("cidr_netmask", "24")];
    let group: Vec<Resource> =
        if let Some(source) = contender.source(&[("ipaddress", VIP), ("cidr_netmask", "24")]) {
            vec![contender.address(&address), source]
        } else {
            let [ip, nic, mask] = address;
            vec![contender.address(&[ip, nic, mask, ("source_for", "0.0.0.0/0")])]
        };
    let started: Vec<_> =
        group.iter().map(|resource| resource.run(&site.node, record, "start").code).collect();
    record.check("start is 0", started.iter().all(|code| *code == 0));
    let source = site.source_to("198.18.0.1");
    record.saw(format!("source by the default route after start: {source}"));
    record.check("the source is the VIP", source == VIP);
    let mut stopped = Vec::new();
    for resource in group.iter().rev() {
        stopped.push(resource.run(&site.node, record, "stop").code);
    }
    record.check("stop is 0", stopped.iter().all(|code| *code == 0));
    let instances = site.instances(VIP);
    let same = site.routes() == before;
    record.saw(left(&instances));
    record.saw(format!("routes after stop: {}", if same { "as before" } else { "changed" }));
    record.check("stop takes the VIP away", instances.is_empty());
    record.check("after stop the routes are as they were", same);
    record.fault(stopped.iter().any(|code| *code != 0));
}
