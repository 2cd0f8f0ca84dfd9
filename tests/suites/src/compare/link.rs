//! Links without carrier.

use super::contender::Contender;
use super::record::Record;
use super::site::{Site, VIP, left};

/// 4: the cable is pulled from an interface that has an altname, as most physical ones have.
pub(super) fn altname(contender: &Contender, record: &mut Record) {
    let site = Site::ipv4();
    site.node.ip("link property add dev eth0 altname enp9s9");
    let vip = contender.address(&[("ip", VIP), ("nic", "eth0"), ("cidr_netmask", "24")]);
    vip.ends(&site.node, record, "start", 0);
    vip.ends(&site.node, record, "monitor", 0);
    site.unplug();
    let with = vip.run(&site.node, record, "monitor").code;
    site.node.ip("link property del dev eth0 altname enp9s9");
    let without = vip.run(&site.node, record, "monitor").code;
    record.saw(match (with, without) {
        (0, 0) => "carrier lost: not noticed, with an altname or without",
        (0, _) => "carrier lost: noticed only without an altname",
        _ => "carrier lost: noticed",
    });
    record.check("without carrier monitor is not 0 (altname)", with != 0);
    record.check("without carrier monitor is not 0 (no altname)", without != 0);
    record.check("monitor is not 7 while the VIP is there", with != 7 && without != 7);
    vip.ends(&site.node, record, "stop", 0);
    let instances = site.instances(VIP);
    record.saw(left(&instances));
    record.check("stop takes the VIP away", instances.is_empty());
    record.fault(with == 0 && without != 0);
}

/// 8: there is no carrier when the resource is started.
pub(super) fn start_without_carrier(contender: &Contender, record: &mut Record) {
    let site = Site::ipv4();
    site.unplug();
    let vip = contender.address(&[("ip", VIP), ("nic", "eth0"), ("cidr_netmask", "24")]);
    let first = vip.run(&site.node, record, "start").code;
    let after_first = site.instances(VIP);
    let monitored = vip.run(&site.node, record, "monitor").code;
    let second = vip.run(&site.node, record, "start").code;
    let after_second = site.instances(VIP);
    record.saw(format!("after the starts {}", left(&after_second)));
    record.check("a start that fails leaves nothing", first == 0 || after_first.is_empty());
    record.check("nor does the second", second == 0 || after_second.is_empty());
    record.check("start does not bar the node (5)", first != 5 && second != 5);
    record.check(
        "monitor is 7 exactly if nothing is there",
        (monitored == 7) == after_first.is_empty(),
    );
    record.check("monitor is not 0 without carrier", monitored != 0);
    record.fault(first != 0 && !after_first.is_empty());
    vip.ends(&site.node, record, "stop", 0);
    record.check("nothing is left after stop", site.instances(VIP).is_empty());

    // With the cable back it works.
    site.cable.plug(&site.node);
    vip.ends(&site.node, record, "start", 0);
    record.check("and the VIP is there", site.instances(VIP) == ["eth0 192.0.2.10/24"]);
}
