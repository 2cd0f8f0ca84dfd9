//! IPv6: addresses as addresses, duplicate address detection, Neighbor Advertisements.

use std::net::{IpAddr, Ipv6Addr};
use std::process::Command;

use testnet::{Agent, Capture, Host, NdiscFrame, agent, wait_until};

use super::{
    LONG, MAC_A, Site, announcer, ends, fails, files, hasty, is_up, plain, recurring,
    second_interface,
};

const VIP6: &str = "2001:db8::10";

/// The nodes and the neighbour have IPv6 addresses, too.
fn site() -> Site {
    let site = Site::new();
    for (host, address) in [(&site.a, "1"), (&site.b, "2"), (&site.neighbour, "99")] {
        host.ip(&format!("addr add 2001:db8::{address}/64 dev eth0 nodad"));
    }
    super::wait_until_ipv6_is_settled(&site.a);
    site
}

fn vip6(host: &Host) -> Agent {
    plain(host).param("ip", VIP6)
}

/// Every instance of the VIP with its flags.
fn instances(host: &Host) -> Vec<String> {
    let vip: IpAddr = VIP6.parse().unwrap();
    let listed = host.ip("-6 -o addr show");
    let read = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let interface = words.next()?;
        let address = words.nth(1)?;
        let own: IpAddr = address.split_once('/')?.0.parse().ok()?;
        let flags: Vec<_> = words
            .filter(|word| ["dadfailed", "tentative", "nodad", "deprecated"].contains(word))
            .collect();
        (own == vip).then(|| [&[interface, address][..], &flags].concat().join(" "))
    };
    listed.lines().filter_map(read).collect()
}

fn advertisements(capture: &Capture) -> Vec<NdiscFrame> {
    let vip: Ipv6Addr = VIP6.parse().unwrap();
    let frames = capture.ndisc_frames().into_iter();
    frames.filter(|frame| frame.is_advertisement && frame.target == vip).collect()
}

fn mac(text: &str) -> [u8; 6] {
    let bytes: Vec<u8> =
        text.split(':').map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

#[test]
fn there_and_back() {
    testnet::root_or_skip!();
    let site = site();
    let before = site.a.ip("-6 addr show") + &site.a.ip("-6 route show table all");
    let vip = vip6(&site.a);
    ends(&vip.action("monitor"), 7);
    ends(&vip.action("start"), 0);
    // The prefix of the connected network; its own question was enough.
    assert_eq!(instances(&site.a), ["eth0 2001:db8::10/64 nodad deprecated"]);
    ends(&recurring(&vip), 0);
    ends(&vip.action("start"), 0);
    for spelling in ["2001:DB8:0:0::10", "2001:0db8:0000::0010"] {
        ends(&recurring(&vip.clone().param("ip", spelling)), 0);
    }
    ends(&vip.clone().param("ip", "2001:DB8::0:10").action("stop"), 0);
    assert!(instances(&site.a).is_empty() && files(&site.a).is_empty());
    assert_eq!(site.a.ip("-6 addr show") + &site.a.ip("-6 route show table all"), before);
    ends(&vip.action("monitor"), 7);
    ends(&vip.action("stop"), 0);
}

#[test]
fn advertisements_say_whether_this_is_a_router() {
    testnet::root_or_skip!();
    let site = site();
    for (forwarding, router) in [("0", false), ("1", true)] {
        site.a.sysctl("net/ipv6/conf/eth0/forwarding", forwarding);
        let capture = Capture::start(&site.neighbour, "eth0");
        let vip = vip6(&site.a).param("announce_schedule", "0,30,60");
        ends(&vip.action("start"), 0);
        wait_until("all advertisements", LONG, || advertisements(&capture).len() >= 3);
        ends(&vip.action("stop"), 0);
        let frames = advertisements(&capture);
        assert_eq!(frames.len(), 3);
        for frame in frames {
            assert_eq!(frame.destination, "ff02::1".parse::<Ipv6Addr>().unwrap());
            assert_eq!((frame.hop_limit, frame.checksum_valid), (255, true));
            assert_eq!((frame.overrides, frame.solicited, frame.router), (true, false, router));
            assert_eq!((frame.source_mac, frame.link_layer), (mac(MAC_A), Some(mac(MAC_A))));
        }
    }
}

#[test]
fn the_neighbour_finds_the_vip_where_it_is_now() {
    testnet::root_or_skip!();
    let site = site();
    let reaches = |mac: &str| {
        wait_until("the neighbour reaches the VIP there", LONG, || {
            let mut ping = Command::new("ping");
            let output = site.neighbour.output(ping.args(["-6", "-c1", "-W1", VIP6]));
            let cache = testnet::neighbour_cache(&site.neighbour);
            let vip: IpAddr = VIP6.parse().unwrap();
            let entry = cache.iter().find(|entry| entry.ip == vip);
            output.status.success() && entry.is_some_and(|it| it.mac.as_deref() == Some(mac))
        });
    };
    ends(&vip6(&site.a).action("start"), 0);
    reaches(MAC_A);
    ends(&vip6(&site.a).action("stop"), 0);
    ends(&vip6(&site.b).action("start"), 0);
    reaches(super::MAC_B);
    ends(&vip6(&site.b).action("stop"), 0);
}

#[test]
fn the_kernels_own_detection() {
    testnet::root_or_skip!();
    let site = site();
    // Not skipped, and seen to its end before start returns.
    let kernels = vip6(&site.a).param("nodad", "no").param("duplicate_check", "no");
    ends(&kernels.action("start"), 0);
    assert_eq!(instances(&site.a), ["eth0 2001:db8::10/64 deprecated"]);
    ends(&kernels.action("stop"), 0);
    // auto, and nobody was asked: the kernel has to.
    let unasked = vip6(&site.a).param("duplicate_check", "no");
    ends(&unasked.action("start"), 0);
    assert_eq!(instances(&site.a), ["eth0 2001:db8::10/64 deprecated"]);
    ends(&unasked.action("stop"), 0);
    let skipped = unasked.param("nodad", "yes");
    ends(&skipped.action("start"), 0);
    assert_eq!(instances(&site.a), ["eth0 2001:db8::10/64 nodad deprecated"]);
    ends(&skipped.action("stop"), 0);

    // The kernel finds the duplicate; who it is comes with the reason.
    site.b.ip("addr add 2001:db8::10/64 dev eth0 nodad");
    fails(&kernels.action("start"), 1, "is in use by 02:00:00:00:00:0b on eth0");
    assert!(instances(&site.a).is_empty());
}

/// The address is there while the kernel looks for duplicates: stop takes it away, and start, which
/// waits for the end of that, sends nothing for it.
#[test]
fn a_stop_in_the_middle_of_the_kernels_detection() {
    testnet::root_or_skip!();
    let site = site();
    site.a.sysctl("net/ipv6/conf/eth0/dad_transmits", "8");
    let capture = Capture::start(&site.a, "eth0");
    let agent = vip6(&site.a).param("nodad", "no").param("duplicate_check", "no");
    std::thread::scope(|scope| {
        let start = scope.spawn(|| agent.action("start"));
        wait_until("the address is tentative", LONG, || !instances(&site.a).is_empty());
        ends(&agent.action("stop"), 0);
        assert!(instances(&site.a).is_empty());
        fails(&start.join().unwrap(), 1, "was stopped while start was at work");
    });
    assert!(instances(&site.a).is_empty());
    assert!(advertisements(&capture).is_empty());
    assert!(announcer(&site.a).is_none());
}

#[test]
fn what_the_kernel_thinks_of_the_address_is_monitored() {
    testnet::root_or_skip!();
    let site = site();
    let vip = vip6(&site.a).param("nic", "eth0").param("cidr_netmask", "64");
    ends(&vip.action("start"), 0);
    site.a.ip("addr del 2001:db8::10/64 dev eth0");
    site.b.ip("addr add 2001:db8::10/64 dev eth0 nodad");
    site.a.ip("addr add 2001:db8::10/64 dev eth0");
    // Tentative at first: monitor waits for the end of that, and then says how it ended.
    fails(&recurring(&vip), 1, "in use by another host on eth0");
    assert_eq!(instances(&site.a), ["eth0 2001:db8::10/64 dadfailed tentative"]);
    fails(&vip.clone().param("duplicate_wait", "0").action("start"), 1, "02:00:00:00:00:0b");
    // The other one has let go: it is added anew.
    site.b.ip("addr del 2001:db8::10/64 dev eth0");
    ends(&vip.action("start"), 0);
    assert_eq!(instances(&site.a), ["eth0 2001:db8::10/64 nodad deprecated"]);
    ends(&recurring(&vip), 0);
    // Of a sibling's fate nothing is believed about this one.
    site.b.ip("addr add 2001:db8::bad/64 dev eth0 nodad");
    site.a.ip("addr add 2001:db8::bad/64 dev eth0");
    wait_until("the sibling is a duplicate", LONG, || {
        site.a.ip("-6 addr show dev eth0").contains("dadfailed")
    });
    ends(&recurring(&vip), 0);
    ends(&vip.action("start"), 0);
    ends(&vip.action("stop"), 0);
    assert!(site.a.ip("-6 addr show dev eth0").contains("2001:db8::bad/64"));
}

#[test]
fn misplaced_ones() {
    testnet::root_or_skip!();
    let site = site();
    second_interface(&site.a);
    let vip = vip6(&site.a).param("nic", "eth0").param("cidr_netmask", "64");
    for wrong in
        ["2001:db8::10/128 dev eth0", "2001:db8::10/64 dev eth1", "2001:db8::10/128 dev lo"]
    {
        site.a.ip(&format!("addr add {wrong} nodad"));
        fails(&recurring(&vip), 1, "belongs on eth0 with /64");
        ends(&vip.action("start"), 0);
        assert_eq!(instances(&site.a), ["eth0 2001:db8::10/64 nodad deprecated"]);
        site.a.ip("addr add 2001:db8::10/128 dev eth1 nodad");
        fails(&recurring(&vip), 190, "more than once: remove 2001:db8::10/128");
        ends(&vip.action("stop"), 0);
        assert!(instances(&site.a).is_empty());
    }
}

#[test]
fn without_ipv6_on_the_link() {
    testnet::root_or_skip!();
    let site = site();
    let vip = vip6(&site.a).param("nic", "eth0").param("cidr_netmask", "64");
    site.a.sysctl("net/ipv6/conf/eth0/disable_ipv6", "1");
    ends(&vip.action("monitor"), 7);
    let setting = "net.ipv6.conf.eth0.disable_ipv6";
    fails(
        &hasty(&vip).action("start"),
        1,
        &format!("IPv6 is disabled on eth0: set {setting} to 0"),
    );
    let without_prefix = vip6(&site.a).param("nic", "eth0");
    fails(&hasty(&without_prefix).action("start"), 1, &format!("on eth0: set {setting} to 0"));
    site.a.sysctl("net/ipv6/conf/all/disable_ipv6", "1");
    let all = "net.ipv6.conf.all.disable_ipv6";
    fails(&hasty(&vip).action("start"), 1, &format!("on eth0: set {all} and "));
    let words = format!("IPv6 is disabled on every interface of this node: set {all} and ");
    fails(&hasty(&vip6(&site.a)).action("start"), 1, &words);
    ends(&vip.action("stop"), 0);
    assert!(instances(&site.a).is_empty() && announcer(&site.a).is_none());
}

/// The kernel takes IPv6 from a link whose MTU is too small.
#[test]
fn with_a_small_mtu() {
    testnet::root_or_skip!();
    let site = site();
    site.a.ip("link set eth0 mtu 1200");
    let words = "eth0 has no IPv6: set its MTU, which is 1200, to 1280 or more";
    fails(&hasty(&vip6(&site.a)).action("start"), 1, words);
    fails(&hasty(&vip6(&site.a).param("nic", "eth0")).action("start"), 1, words);
}

#[test]
fn link_local_and_no_source() {
    testnet::root_or_skip!();
    let site = site();
    let local = agent(&site.a, super::program())
        .under_pacemaker("vip")
        .param("ip", "fe80::10")
        .param("nic", "eth0");
    ends(&local.action("start"), 0);
    assert!(site.a.ip("-6 addr show dev eth0").contains("fe80::10/64"));
    ends(&local.action("stop"), 0);
    // preferred_lft=0: it serves, and is no source.
    let vip = vip6(&site.a).param("preferred_lft", "0").param("noprefixroute", "yes");
    ends(&vip.action("start"), 0);
    assert_eq!(instances(&site.a), ["eth0 2001:db8::10/64 nodad deprecated"]);
    assert!(site.a.ip("-6 addr show to 2001:db8::10").contains("noprefixroute"));
    ends(&recurring(&vip), 0);
    ends(&vip.action("stop"), 0);
}

#[test]
fn a_link_local_address_elsewhere_is_another_one() {
    testnet::root_or_skip!();
    let site = site();
    second_interface(&site.a);
    site.a.ip("addr add fe80::10/64 dev eth1 nodad");
    let local = |nic| {
        let agent = agent(&site.a, super::program()).under_pacemaker("vip");
        agent.param("ip", "fe80::10").param("nic", nic).param("announce_schedule", "0,60000")
    };
    let eth0 = local("eth0");
    let on = |nic: &str| site.a.ip(&format!("-6 addr show dev {nic}")).contains("fe80::10/64");
    ends(&recurring(&eth0), 7);
    ends(&eth0.action("start"), 0);
    ends(&recurring(&eth0), 0);
    assert!(on("eth0") && on("eth1"));
    // Another VIP: each has its own announcer.
    let eth1 = local("eth1");
    ends(&eth1.action("start"), 0);
    ends(&eth1.action("stop"), 0);
    assert!(on("eth0") && !on("eth1"));
    assert!(announcer(&site.a).is_some());
    site.a.ip("addr add fe80::10/64 dev eth1 nodad");
    ends(&eth0.action("stop"), 0);
    assert!(!on("eth0") && on("eth1"));
    assert!(announcer(&site.a).is_none());
    for action in [("stop", 0), ("monitor", 7)] {
        ends(&local("eth9").action(action.0), action.1);
        assert!(on("eth1"));
    }
    let bare = agent(&site.a, super::program()).under_pacemaker("vip").param("ip", "fe80::10");
    fails(&bare.action("start"), 6, "also needs nic");
    ends(&bare.action("stop"), 0);
    assert!(on("eth1"));
}

#[test]
fn carrier_lost_and_back() {
    testnet::root_or_skip!();
    let site = site();
    let vip = vip6(&site.a).param("announce_schedule", "0,100,600000");
    // Where they are sent: the switch may learn of a carrier later than the host, and forwards then.
    let capture = Capture::start(&site.a, "eth0");
    ends(&vip.action("start"), 0);
    wait_until("a long pause", LONG, || advertisements(&capture).len() == 2);
    let capture = Capture::start(&site.a, "eth0");
    site.cable_a.unplug(&site.a);
    wait_until("no carrier", LONG, || !is_up(&site.a, "eth0"));
    fails(&recurring(&vip), 190, "eth0 has no carrier");
    site.cable_a.plug(&site.a);
    // The announcer was in the middle of its pause.
    wait_until("the VIP is announced again", LONG, || !advertisements(&capture).is_empty());
    ends(&recurring(&vip), 0);
    ends(&vip.action("stop"), 0);
}
