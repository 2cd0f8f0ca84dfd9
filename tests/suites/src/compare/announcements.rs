//! Frames on the wire.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use testnet::{ArpFrame, Capture, CapturedFrame};

use super::contender::{Contender, Resource, log};
use super::record::Record;
use super::site::{Site, VIP, VIP6, comes, left};

/// How long the wire is watched for what must not come. IPaddr2's sender waits 1 s between frames.
const SILENCE: Duration = Duration::from_secs(4);
/// How long the wire is watched for what must come.
const FRAMES: Duration = Duration::from_secs(10);

/// Captures frames where they are sent. The neighbour may receive one later, even after stop has
/// returned.
fn on_the_wire(site: &Site) -> Capture {
    Capture::start(&site.node, "eth0")
}

/// The frames that claim the VIP for some hardware address.
fn claims(capture: &Capture) -> Vec<ArpFrame> {
    let vip: Ipv4Addr = VIP.parse().expect("an address");
    capture.arp_frames().into_iter().filter(|frame| frame.sender_ip == vip).collect()
}

/// The advertisements of the IPv6 VIP.
fn advertisements(capture: &Capture) -> Vec<Instant> {
    let vip: Ipv6Addr = VIP6.parse().expect("an address");
    let frames = capture.frames();
    let read = frames.iter().filter_map(CapturedFrame::ndisc);
    read.filter(|frame| frame.is_advertisement && frame.target == vip)
        .map(|frame| frame.at)
        .collect()
}

/// 1: stop while announcements are due, then silence.
pub(super) fn after_stop(contender: &Contender, record: &mut Record) {
    let common = [("nic", "eth0"), ("arp_count", "20"), ("arp_interval", "300"), ("arp_bg", "yes")];
    let site = Site::ipv4();
    let vip = contender.address(&[&common[..], &[("ip", VIP), ("cidr_netmask", "24")]].concat());
    let arp = |capture: &Capture| claims(capture).iter().map(|frame| frame.at).collect();
    let ipv4 = silent(&site, &vip, record, (VIP, 2), arp);
    let at_once = silent(&site, &vip, record, (VIP, 0), arp);
    let site = Site::ipv6();
    let vip = contender.address(&[&common[..], &[("ip", VIP6), ("cidr_netmask", "64")]].concat());
    let ipv6 = silent(&site, &vip, record, (VIP6, 2), advertisements);
    record.fault(ipv4 + at_once + ipv6 > 0);
}

/// Starts, stops after so many frames, and counts the frames after stop.
fn silent(
    site: &Site,
    vip: &Resource,
    record: &mut Record,
    (ip, before): (&str, usize),
    frames: impl Fn(&Capture) -> Vec<Instant>,
) -> usize {
    let capture = on_the_wire(site);
    vip.ends(&site.node, record, "start", 0);
    comes(FRAMES, || frames(&capture).len() >= before);
    vip.ends(&site.node, record, "stop", 0);
    let returned = Instant::now();
    std::thread::sleep(SILENCE);
    let frames = frames(&capture);
    let after = frames.iter().filter(|at| **at > returned).count();
    let instances = site.instances(ip);
    record.saw(format!(
        "frames for {ip}: {} until stop had returned, {after} in the {} s after; {}",
        frames.len() - after,
        SILENCE.as_secs(),
        left(&instances)
    ));
    record.check("it was announced before stop", frames.len() - after >= before);
    record.check("stop takes the VIP away", instances.is_empty());
    record.check(&format!("no frame for {ip} after stop has returned"), after == 0);
    after
}

/// 15: the interval between frames, and what is told when none can be sent.
pub(super) fn interval_and_result(contender: &Contender, record: &mut Record) {
    let site = Site::ipv4();
    let capture = on_the_wire(&site);
    let parameters = [
        ("ip", VIP),
        ("nic", "eth0"),
        ("cidr_netmask", "24"),
        ("arp_count", "2"),
        ("arp_interval", "4000"),
    ];
    let vip = contender.address(&parameters);
    let started = vip.run(&site.node, record, "start");
    record.check("start is 0", started.code == 0);
    // A sender may send pairs of a request and a reply: like is compared with like.
    let alike = || -> Vec<ArpFrame> {
        let frames = claims(&capture);
        let form = frames.first().map(|frame| frame.is_reply);
        frames.into_iter().filter(|frame| Some(frame.is_reply) == form).collect()
    };
    comes(FRAMES, || alike().len() >= 2);
    let frames = alike();
    record.check("two announcements with arp_count=2", frames.len() >= 2);
    let mut kept = true;
    if let [first, second, ..] = frames.as_slice() {
        let gap = second.at.saturating_duration_since(first.at);
        record.saw(format!("arp_interval=4000: {:.1} s between announcements", gap.as_secs_f64()));
        // Less than 4 s, for the first one may have been late on a machine that stalls.
        kept = gap > Duration::from_millis(2500);
        record.check("arp_interval=4000 keeps announcements apart", kept);
    }
    vip.ends(&site.node, record, "stop", 0);

    // Without CAP_NET_RAW no frame can be sent. Whether that is a reason to fail is the agent's to say;
    // somebody must be told, and a start that fails leaves nothing.
    let before = log(&site.node).len();
    let sent = claims(&capture).len();
    let confined = vip.wrapped(&["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]);
    let started = confined.run(&site.node, record, "start");
    let told = |text: &str| {
        let text = text.to_lowercase();
        ["could not send", "not announced", "announcement failed", "cap_net_raw"]
            .iter()
            .any(|words| text.contains(words))
    };
    let reason = told(&started.stderr);
    let logged = comes(Duration::from_secs(5), || told(&log(&site.node)[before..]));
    record.saw(match (reason, logged) {
        (true, _) => "without CAP_NET_RAW: the exit reason tells that the VIP is not announced",
        (false, true) => "without CAP_NET_RAW: the log tells that the VIP is not announced",
        (false, false) => "without CAP_NET_RAW: nobody is told that the VIP is not announced",
    });
    let wanted = usize::from(started.code == 0);
    record.check(
        "without CAP_NET_RAW the VIP is there, or start fails and leaves nothing",
        site.instances(VIP).len() == wanted,
    );
    record.check("without CAP_NET_RAW no frame is sent", claims(&capture).len() == sent);
    record.check("a failed announcement is told", reason || logged);
    confined.ends(&site.node, record, "stop", 0);
    let instances = site.instances(VIP);
    record.saw(left(&instances));
    record.check("stop takes the VIP away", instances.is_empty());
    record.fault(!kept);
}
