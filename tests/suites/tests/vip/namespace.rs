//! `network_namespace`, and the other ways to say where.

use std::process::Command;

use testnet::{Agent, Host, wait_until};

use super::{
    LONG, Site, VIP, ends, fails, files, hasty, instances, plain, recurring, second_interface,
    shell, vip,
};

/// Ends what runs in the namespace of the host, which would outlive it.
struct Namespace<'a>(&'a Host);

impl<'a> Namespace<'a> {
    /// Makes it, with 192.0.2.3/24 on interface inner, which is cabled to the host.
    fn new(host: &'a Host) -> Self {
        host.ip("netns add sip");
        let namespace = Self(host);
        host.ip("link add inner type veth peer name outer");
        host.ip("link set outer up");
        host.ip("link set inner netns sip");
        host.ip("-n sip link set inner up");
        host.ip("-n sip addr add 192.0.2.3/24 dev inner");
        wait_until("inner has a carrier", LONG, || {
            host.ip("-n sip link show dev inner").contains("state UP")
        });
        namespace
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        // Its name may have gone.
        let output = self.0.output(Command::new("ip").args(["netns", "pids", "sip"]));
        let pids = String::from_utf8_lossy(&output.stdout).into_owned();
        pids.lines().filter_map(|pid| pid.parse().ok()).for_each(kill);
    }
}

/// Ends a process of a namespace that has lost its name, if it is still there.
struct Process(i32);

impl Drop for Process {
    fn drop(&mut self) {
        kill(self.0);
    }
}

fn kill(pid: i32) {
    let pid = nix::unistd::Pid::from_raw(pid);
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
}

fn in_namespace(host: &Host) -> Agent {
    vip(host).param("network_namespace", "sip")
}

#[test]
fn everything_happens_inside() {
    testnet::root_or_skip!();
    let site = Site::new();
    let _namespace = Namespace::new(&site.a);
    let agent = in_namespace(&site.a);
    let inside = || site.a.ip("-n sip -o addr show").contains(" 192.0.2.10/24 ");
    ends(&agent.action("monitor"), 7);
    ends(&agent.clone().env("OCF_CHECK_LEVEL", "10").action("validate-all"), 0);
    ends(&agent.clone().param("announce_schedule", "0,60000").action("start"), 0);
    assert!(inside() && instances(&site.a).is_empty());
    ends(&recurring(&agent), 0);
    // The same address outside is another one, with an announcer of its own.
    let outside = site.vip().param("announce_schedule", "0,60000");
    ends(&recurring(&outside), 7);
    ends(&outside.action("start"), 0);
    ends(&agent.action("stop"), 0);
    assert!(!inside());
    ends(&recurring(&outside), 0);
    assert!(super::announcer(&site.a).is_some());
    ends(&outside.action("stop"), 0);
    assert!(super::locks(&site.a).is_empty());
}

/// What start notes of the namespace goes with the address.
#[test]
fn a_start_that_is_rolled_back() {
    testnet::root_or_skip!();
    let site = Site::new();
    let _namespace = Namespace::new(&site.a);
    site.a.ip("-n sip addr add 2001:db8::3/64 dev inner nodad");
    site.a.ip("addr add 2001:db8::10/64 dev outer nodad");
    let agent = plain(&site.a).param("network_namespace", "sip").param("ip", "2001:db8::10");
    let agent = agent.param("duplicate_check", "no").param("nodad", "no");
    fails(&agent.action("start"), 1, "is in use by");
    assert!(!site.a.ip("-n sip addr show").contains("2001:db8::10"));
    assert!(files(&site.a).is_empty(), "{:?}", files(&site.a));
    ends(&agent.action("stop"), 0);
}

#[test]
fn one_that_is_not_there() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = in_namespace(&site.a);
    let all = || {
        ends(&agent.action("monitor"), 7);
        ends(&recurring(&agent), 7);
        fails(&hasty(&agent).action("start"), 1, "there is no network namespace sip on this host");
        ends(&agent.action("validate-all"), 0);
        let on_host = agent.clone().env("OCF_CHECK_LEVEL", "10").action("validate-all");
        fails(&on_host, 1, "network namespace sip");
        ends(&agent.action("stop"), 0);
        assert!(instances(&site.a).is_empty());
    };
    all();
    // A name whose namespace has gone.
    site.a.run(|| {
        std::fs::create_dir_all("/run/netns").unwrap();
        std::fs::write("/run/netns/sip", "").unwrap();
    });
    all();
    // No file that one waits for, and none that leads nowhere.
    shell(&site.a, "rm /run/netns/sip; mkfifo /run/netns/sip");
    all();
    shell(&site.a, "rm /run/netns/sip; ln -s sip /run/netns/sip");
    all();
    // It was never possible to start in that one.
    ends(&vip(&site.a).param("network_namespace", "a/b").action("stop"), 0);
}

/// `ip netns del` takes the name away, and the namespace lives on with what runs in it.
#[test]
fn one_that_has_lost_its_name() {
    testnet::root_or_skip!();
    let site = Site::new();
    let _namespace = Namespace::new(&site.a);
    let mut command = Command::new("ip");
    let mut daemon = site.a.spawn(command.args(["netns", "exec", "sip", "sleep", "600"]));
    let pid = daemon.id();
    let _daemon = Process(i32::try_from(pid).unwrap());
    let inside = |words: &str| {
        let mut nsenter = Command::new("nsenter");
        nsenter.arg(format!("--net=/proc/{pid}/ns/net")).arg("ip").args(words.split(' '));
        let output = site.a.output(&mut nsenter);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    wait_until("it is in there", LONG, || {
        let pids = site.a.ip("netns pids sip");
        pids.lines().any(|line| line == pid.to_string())
    });
    let agent = in_namespace(&site.a).param("announce_schedule", "0,600000");
    ends(&agent.clone().param("link_wait", "60s").action("start"), 0);
    site.a.ip("netns del sip");
    ends(&recurring(&agent), 0);
    ends(&agent.action("monitor"), 0);
    // Another one by the same name does not hide it.
    site.a.ip("netns add sip");
    ends(&recurring(&agent), 0);
    ends(&agent.action("stop"), 0);
    assert!(!inside("-o addr show").contains(VIP));
    assert!(super::locks(&site.a).is_empty(), "{:?}", super::locks(&site.a));
    ends(&recurring(&agent), 7);
    site.a.ip("netns del sip");
    // Nobody else is in it but the announcer, which keeps it alive.
    ends(&agent.action("stop"), 0);
    kill(i32::try_from(pid).unwrap());
    daemon.wait().unwrap();
}

/// The kernel gives the number of a namespace that has ended to the next one.
#[test]
fn another_one_with_the_same_number() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = in_namespace(&site.a).param("announce_schedule", "0");
    {
        let _namespace = Namespace::new(&site.a);
        ends(&agent.clone().param("link_wait", "60s").action("start"), 0);
        ends(&recurring(&agent), 0);
        site.a.ip("netns del sip");
    }
    // Of another program, with the same address.
    site.a.ip("netns add other");
    let mut command = Command::new("ip");
    let mut daemon = site.a.spawn(command.args(["netns", "exec", "other", "sleep", "600"]));
    let _daemon = Process(i32::try_from(daemon.id()).unwrap());
    wait_until("it is in there", LONG, || {
        let pids = site.a.ip("netns pids other");
        pids.lines().any(|line| line == daemon.id().to_string())
    });
    site.a.ip("-n other link add inner type veth peer name outer");
    site.a.ip(&format!("-n other addr add {VIP}/24 dev inner"));
    // It has the number already, or another one that is free sooner.
    shell(
        &site.a,
        "number=$(stat -L -c %i /run/netns/other)
         sed -i \"s/^[0-9]*/$number/\" /run/smartvox/namespace-192.0.2.10@sip",
    );
    ends(&recurring(&agent), 7);
    ends(&agent.action("monitor"), 7);
    ends(&agent.action("stop"), 0);
    assert!(site.a.ip("-n other -o addr show").contains(" 192.0.2.10/24 "));
    kill(i32::try_from(daemon.id()).unwrap());
    daemon.wait().unwrap();
    site.a.ip("netns del other");
}

#[test]
fn one_that_lives_by_its_announcer_alone() {
    testnet::root_or_skip!();
    let site = Site::new();
    let _namespace = Namespace::new(&site.a);
    let agent = in_namespace(&site.a).param("announce_schedule", "0,600000");
    ends(&agent.clone().param("link_wait", "60s").action("start"), 0);
    let announcer = super::announcer(&site.a).unwrap();
    let _announcer = Process(announcer);
    site.a.ip("netns del sip");
    ends(&recurring(&agent), 0);
    ends(&agent.action("stop"), 0);
    wait_until("the announcer has been buried", LONG, || {
        !std::path::Path::new(&format!("/proc/{announcer}")).exists()
    });
    assert!(super::locks(&site.a).is_empty(), "{:?}", super::locks(&site.a));
    ends(&agent.action("monitor"), 7);
    ends(&agent.action("stop"), 0);
}

/// An announcer that waits for a carrier, without an end. The link is in the namespace, and gone with it.
#[test]
fn one_that_lives_by_a_waiting_announcer_alone_ends() {
    testnet::root_or_skip!();
    let site = Site::new();
    let _namespace = Namespace::new(&site.a);
    let agent = in_namespace(&site.a).param("link_wait", "0");
    site.a.ip("link set outer down");
    ends(&agent.action("start"), 0);
    let announcer = super::announcer(&site.a).unwrap();
    let _announcer = Process(announcer);
    site.a.ip("netns del sip");
    wait_until("the announcer has ended", LONG, || {
        !std::path::Path::new(&format!("/proc/{announcer}")).exists()
    });
    wait_until("the namespace has ended", LONG, || !site.a.ip("link show").contains("outer"));
    ends(&agent.action("monitor"), 7);
    ends(&agent.action("stop"), 0);
    assert!(super::locks(&site.a).is_empty(), "{:?}", super::locks(&site.a));
}

#[test]
fn nic_by_mac_and_by_network() {
    testnet::root_or_skip!();
    let site = Site::new();
    second_interface(&site.a);
    site.a.ip("addr add 198.51.100.1/24 dev eth1");
    let mac = site.a.run(|| std::fs::read_to_string("/sys/class/net/eth1/address").unwrap());
    for nic in [mac.trim(), &mac.trim().to_uppercase(), "198.51.100.0/24"] {
        let agent = site.vip().param("nic", nic).param("cidr_netmask", "32");
        ends(&agent.action("start"), 0);
        assert_eq!(instances(&site.a), ["eth1 192.0.2.10/32"], "{nic}");
        ends(&recurring(&agent), 0);
        site.a.ip(&format!("addr del {VIP}/32 dev eth1"));
        site.a.ip(&format!("addr add {VIP}/32 dev eth0"));
        fails(&recurring(&agent), 1, "192.0.2.10 belongs on");
        ends(&agent.action("stop"), 0);
    }
    // A network of the other family.
    site.a.ip("addr add 2001:db8::1/64 dev eth1 nodad");
    let agent = site.vip().param("nic", "2001:db8::/64").param("cidr_netmask", "24");
    ends(&agent.action("start"), 0);
    assert_eq!(instances(&site.a), ["eth1 192.0.2.10/24"]);
    ends(&recurring(&agent), 0);
    ends(&agent.action("stop"), 0);
    for (nic, words) in [
        ("02:00:00:00:00:77", "does not exist on this node"),
        ("203.0.113.0/24", "does not exist on this node"),
        ("128.0.0.0/1", "matches several interfaces (eth0, eth1)"),
    ] {
        let agent = site.vip().param("nic", nic);
        fails(&hasty(&agent).action("start"), 1, words);
        ends(&agent.action("monitor"), 7);
        ends(&agent.action("stop"), 0);
    }
}

/// What `nic` fits changes while the VIP runs: it stays where it is.
#[test]
fn a_nic_that_fits_others_too_or_nothing_any_more() {
    testnet::root_or_skip!();
    let site = Site::new();
    let mac = site.a.run(|| std::fs::read_to_string("/sys/class/net/eth0/address").unwrap());
    let by_network = site.vip().param("nic", "192.0.2.0/24");
    let by_mac = site.vip().param("nic", mac.trim());
    ends(&by_network.action("start"), 0);
    second_interface(&site.a);
    site.a.ip("addr add 192.0.2.7/24 dev eth1 noprefixroute");
    site.a.ip(&format!("link set eth1 address {}", mac.trim()));
    for agent in [&by_network, &by_mac] {
        ends(&recurring(agent), 0);
        ends(&agent.action("start"), 0);
        ends(&recurring(agent), 0);
    }
    assert_eq!(instances(&site.a), [format!("eth0 {VIP}/24")]);
    // The VIP is the last address of its network.
    site.a.ip("link del eth1");
    site.a.ip("addr del 192.0.2.1/24 dev eth0");
    site.a.ip(&format!("addr replace {VIP}/24 dev eth0"));
    fails(&recurring(&by_network), 190, "no interface has another address in nic=192.0.2.0/24");
    ends(&by_network.action("start"), 0);
    assert_eq!(instances(&site.a), [format!("eth0 {VIP}/24")]);
    ends(&by_network.action("stop"), 0);
    ends(&recurring(&by_network), 7);
}

#[test]
fn an_instance_on_loopback_is_no_service() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip(&format!("addr add {VIP}/32 dev lo"));
    fails(
        &recurring(&site.vip()),
        1,
        "192.0.2.10 belongs on eth0, but this node has 192.0.2.10/32 on lo",
    );
    let wire = super::Wire::of(&site);
    ends(&site.vip().action("start"), 0);
    assert_eq!(instances(&site.a), [format!("eth0 {VIP}/24")]);
    assert!(!wire.announcements().is_empty());
    ends(&recurring(&site.vip()), 0);
    ends(&site.vip().action("stop"), 0);
    // Where it is wanted there, it is said.
    let there = site.vip().param("nic", "lo").param("cidr_netmask", "32");
    ends(&there.action("start"), 0);
    ends(&recurring(&there), 0);
    ends(&there.action("stop"), 0);
}

#[test]
fn nic_with_a_label() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("nic", "eth0:sip");
    ends(&agent.action("start"), 0);
    assert!(site.a.ip("-o addr show label eth0:sip").contains(VIP));
    ends(&recurring(&agent), 0);
    ends(&agent.action("stop"), 0);
}

#[test]
fn a_bridge_whose_way_out_is_down() {
    testnet::root_or_skip!();
    let host = Host::new("host");
    host.ip("link add br0 type bridge");
    for (name, far) in [("wire", "far"), ("guest", "vm")] {
        host.ip(&format!("link add {name} type veth peer name {far}"));
        host.ip(&format!("link set {name} up"));
        host.ip(&format!("link set {far} up"));
    }
    // As if wire were hardware: what leads out is no veth.
    host.ip("link add out link wire type macvlan mode passthru");
    host.ip("link set out up");
    for port in ["out", "guest"] {
        host.ip(&format!("link set {port} master br0"));
    }
    host.ip("link set br0 up");
    host.ip("addr add 192.0.2.1/24 dev br0");
    let agent = plain(&host).param("ip", VIP).param("nic", "br0");
    wait_until("the bridge is up", LONG, || super::is_up(&host, "br0"));
    ends(&agent.action("start"), 0);
    wait_until("all of it is up", LONG, || recurring(&agent).code == 0);
    host.ip("link set far down");
    wait_until("the way out is down", LONG, || !super::is_up(&host, "wire"));
    wait_until("it is degraded", LONG, || recurring(&agent).code == 190);
    fails(&recurring(&agent), 190, "192.0.2.10 is on br0, but its lower interface wire is down");
    ends(&recurring(&agent.clone().param("check_link_status", "no")), 0);
    ends(&agent.action("stop"), 0);
}
