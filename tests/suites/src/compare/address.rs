//! The address itself: nothing of it is left after stop, and nothing else goes with it.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testnet::{Host, wait_until};

use super::contender::Contender;
use super::record::Record;
use super::site::{LONG, Site, VIP, left};

/// 2: neither interface nor mask is given, and the connected route has gone.
pub(super) fn stop_without_route(contender: &Contender, record: &mut Record) {
    let site = Site::ipv4();
    let vip = contender.address(&[("ip", VIP)]);
    vip.ends(&site.node, record, "start", 0);
    record.check("start adds the VIP", site.instances(VIP) == ["eth0 192.0.2.10/24"]);
    site.node.ip("route del 192.0.2.0/24 dev eth0");
    let stopped = vip.run(&site.node, record, "stop");
    let instances = site.instances(VIP);
    record.saw(left(&instances));
    record.check("stop is 0", stopped.code == 0);
    record.check("stop takes the VIP away", instances.is_empty());
    record.fault(stopped.code == 0 && !instances.is_empty());
}

/// 3: somebody has added the VIP with another prefix, and on another interface.
pub(super) fn copies(contender: &Contender, record: &mut Record) {
    let site = Site::ipv4();
    site.second_interface();
    let vip = contender.address(&[("ip", VIP), ("nic", "eth0"), ("cidr_netmask", "24")]);
    vip.ends(&site.node, record, "start", 0);
    record.check("start adds the VIP", site.instances(VIP) == ["eth0 192.0.2.10/24"]);
    site.node.ip("addr add 192.0.2.10/32 dev eth0");
    site.node.ip("addr add 192.0.2.10/24 dev eth1");
    let stopped = vip.run(&site.node, record, "stop");
    let instances = site.instances(VIP);
    record.saw(left(&instances));
    record.check("stop is 0", stopped.code == 0);
    record.check("stop takes every copy of the VIP away", instances.is_empty());
    record.fault(stopped.code == 0 && !instances.is_empty());

    // The node answers ARP for it: whoever takes 7 for "nowhere" starts it elsewhere, too.
    if site.instances(VIP).is_empty() {
        site.node.ip("addr add 192.0.2.10/32 dev eth0");
    }
    let monitored = vip.run(&site.node, record, "monitor");
    record.check("monitor is not 7 while a copy is there", monitored.code != 7);
    record.check("monitor is not 0 while only a copy is there", monitored.code != 0);
}

/// 9: the VIP is the first address of its subnet, others are its secondaries.
pub(super) fn primary(contender: &Contender, record: &mut Record) {
    let site = Site::bare();
    for interface in ["all", "default", "eth0"] {
        site.node.sysctl(&format!("net/ipv4/conf/{interface}/promote_secondaries"), "0");
    }
    let vip = contender.address(&[("ip", VIP), ("nic", "eth0"), ("cidr_netmask", "24")]);
    vip.ends(&site.node, record, "start", 0);
    record.check("start adds the VIP", site.instances(VIP) == ["eth0 192.0.2.10/24"]);
    let others = ["192.0.2.20", "192.0.2.21"];
    for other in others {
        site.node.ip(&format!("addr add {other}/24 dev eth0"));
    }
    let stopped = vip.run(&site.node, record, "stop");
    let instances = site.instances(VIP);
    let stay: Vec<_> = others.iter().filter(|other| !site.instances(other).is_empty()).collect();
    let lost = others.len() - stay.len();
    record.saw(left(&instances));
    record.saw(format!("other addresses of the subnet lost: {lost} of {}", others.len()));
    record.check("stop is 0", stopped.code == 0);
    record.check("stop takes the VIP away", instances.is_empty());
    record.check("the other addresses of the subnet stay", lost == 0);
    let path = "/proc/sys/net/ipv4/conf/eth0/promote_secondaries";
    let setting = site.node.run(|| std::fs::read_to_string(path)).unwrap_or_default();
    record.check("promote_secondaries is as it was", setting.trim() == "0");
    record.fault(lost > 0);
}

/// 11: the network namespace of the resource does not exist on this node.
pub(super) fn missing_namespace(contender: &Contender, record: &mut Record) {
    let site = Site::ipv4();
    let vip = contender.address(&[
        ("ip", VIP),
        ("nic", "eth0"),
        ("cidr_netmask", "24"),
        ("network_namespace", "sip"),
    ]);
    let probed = vip.run(&site.node, record, "probe");
    let stopped = vip.run(&site.node, record, "stop");
    let started = vip.run(&site.node, record, "start");
    let instances = site.instances(VIP);
    record.saw(left(&instances));
    record.check("a probe is 7", probed.code == 7);
    record.check("stop is 0", stopped.code == 0);
    record.check("start fails with a code of OCF", (1..=6).contains(&started.code));
    record.check("nothing is added outside of the namespace", instances.is_empty());
    record.fault(probed.code == 255 || stopped.code == 255);

    // The namespace is made after all: now everything has to happen in there.
    let _namespace = Namespace::new(&site.node, "sip");
    site.node.ip("link add eth7 type veth peer name far7");
    site.node.ip("link set far7 up");
    site.node.ip("link set eth7 netns sip name eth0");
    site.node.ip("-n sip link set eth0 up");
    site.node.ip("-n sip addr add 192.0.2.2/24 dev eth0");
    wait_until("it has a carrier", LONG, || {
        site.node.ip("-n sip link show dev eth0").contains("state UP")
    });
    let started = vip.run(&site.node, record, "start");
    let inside = || site.node.ip("-n sip -o addr show").contains(" 192.0.2.10/24 ");
    record.check("start in the namespace is 0", started.code == 0);
    record.check("the VIP is in the namespace", inside());
    record.check("the VIP is not outside of it", site.instances(VIP).is_empty());
    vip.ends(&site.node, record, "monitor", 0);
    vip.ends(&site.node, record, "stop", 0);
    record.check("stop takes the VIP out of it", !inside());
}

/// A named network namespace on a host; the host's end does not end what runs in there.
struct Namespace<'a> {
    host: &'a Host,
    name: &'static str,
}

impl<'a> Namespace<'a> {
    fn new(host: &'a Host, name: &'static str) -> Self {
        host.ip(&format!("netns add {name}"));
        Self { host, name }
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        let output = self.host.output(Command::new("ip").args(["netns", "pids", self.name]));
        for pid in
            String::from_utf8_lossy(&output.stdout).lines().filter_map(|pid| pid.parse().ok())
        {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
