//! IPv6: duplicate address detection, spelling, labels.

use super::contender::Contender;
use super::record::Record;
use super::site::{Site, VIP6, left};

/// 5: another host has taken the address, and the kernel has found out when the address was added
/// once more (by a network manager, or by itself after the link was down).
pub(super) fn dadfailed(contender: &Contender, record: &mut Record) {
    let site = Site::ipv6();
    let vip = contender.address(&[("ip", VIP6), ("nic", "eth0"), ("cidr_netmask", "64")]);
    vip.ends(&site.node, record, "start", 0);
    vip.ends(&site.node, record, "monitor", 0);
    site.node.ip("addr del 2001:db8::10/64 dev eth0");
    site.neighbour.ip("addr add 2001:db8::10/64 dev eth0 nodad");
    site.node.ip("addr add 2001:db8::10/64 dev eth0");
    site.await_dadfailed(VIP6);
    record.saw(format!("on the node: {}", site.instances(VIP6).join(", ")));
    let monitored = vip.run(&site.node, record, "monitor").code;
    record.check("monitor is not 0 for a dadfailed address", monitored != 0);
    record.check("monitor is not 7 while the address is there", monitored != 7);
    record.fault(monitored == 0);
    vip.ends(&site.node, record, "stop", 0);
    let instances = site.instances(VIP6);
    record.saw(left(&instances));
    record.check("stop takes the VIP away", instances.is_empty());
}

/// 6: another address of the same prefix is a duplicate.
pub(super) fn sibling(contender: &Contender, record: &mut Record) {
    let site = Site::ipv6();
    let sibling = "2001:db8::bad";
    site.neighbour.ip("addr add 2001:db8::bad/64 dev eth0 nodad");
    site.node.ip("addr add 2001:db8::bad/64 dev eth0");
    site.await_dadfailed(sibling);
    let vip = contender.address(&[("ip", VIP6), ("nic", "eth0"), ("cidr_netmask", "64")]);
    let started = vip.run(&site.node, record, "start").code;
    let instances = site.instances(VIP6);
    record.saw(format!("after start {}", left(&instances)));
    record.check("start is 0", started == 0);
    record.check("the VIP is there", instances == ["eth0 2001:db8::10/64"]);
    record.check("the sibling is left alone", site.instances(sibling).len() == 1);
    record.fault(started != 0 && instances.is_empty());
    vip.ends(&site.node, record, "stop", 0);
    record.check("stop takes the VIP away", site.instances(VIP6).is_empty());
    record.check("the sibling is left alone by stop", site.instances(sibling).len() == 1);
}

/// 7: the address is written in capitals and with zeros, and no route leads to it.
pub(super) fn spelling(contender: &Contender, record: &mut Record) {
    let site = Site::bare();
    let ip = "2001:DB8:0:0::100";
    let vip = contender.address(&[("ip", ip), ("nic", "eth0"), ("cidr_netmask", "64")]);
    let started = vip.run(&site.node, record, "start").code;
    let instances = site.instances(ip);
    record.saw(format!("after start {}", left(&instances)));
    record.check("start is 0", started == 0);
    record.check("the VIP is there", instances == ["eth0 2001:db8::100/64"]);
    vip.ends(&site.node, record, "monitor", 0);
    record.fault(started != 0 && !instances.is_empty());
    vip.ends(&site.node, record, "stop", 0);
    let instances = site.instances(ip);
    record.saw(format!("after stop {}", left(&instances)));
    record.check("stop takes the VIP away", instances.is_empty());
}

/// 14: the table of address labels (RFC 6724) belongs to the administrator.
pub(super) fn labels(contender: &Contender, record: &mut Record) {
    let site = Site::ipv6();
    let labels = || site.node.ip("addrlabel list");
    let before = labels();
    let vip = contender.address(&[("ip", VIP6), ("nic", "eth0"), ("cidr_netmask", "64")]);
    vip.ends(&site.node, record, "start", 0);
    let started = labels();
    record.check("start leaves the labels alone", started == before);
    vip.ends(&site.node, record, "stop", 0);
    record.check("stop leaves the labels alone", labels() == before);
    record.check("stop takes the VIP away", site.instances(VIP6).is_empty());

    site.neighbour.ip("addr add 2001:db8::10/64 dev eth0 nodad");
    let failed = vip.run(&site.node, record, "start").code;
    let leaked = labels() != before;
    record.check("start of an address in use fails", failed != 0);
    record.check("a failed start leaves no label", !leaked);
    let instances = site.instances(VIP6);
    record.saw(format!(
        "labels: {} by start, {} by a failed start; {}",
        if started == before { "untouched" } else { "changed" },
        if leaked { "leaked" } else { "untouched" },
        left(&instances)
    ));
    record.check("a failed start leaves no address", instances.is_empty());
    record.fault(started != before || leaked);
}
