//! Black-box suite of ocf:smartvox:opensips-vip: the built binary, on hosts of their own (network
//! and mount namespaces), called as Pacemaker calls it.

// Functions beside the tests are test code, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod announcer_faults;
mod calibrated;
mod carrier;
mod compatibility;
mod cost;
mod crash;
mod diagnose;
mod drain;
mod duplicates;
mod environment;
mod flood;
mod host_routes;
mod input;
mod ipv6;
mod late;
mod late_conflict;
mod lifecycle;
mod link;
mod link_local;
mod migration_script;
mod namespace;
mod own_address;
mod peers;
mod privilege;
mod probes;
mod races;
mod readiness;
mod renamed;
mod routing;
mod routing_ipv6;
mod same_mac;
mod stop;
mod take_over;
mod unannounced;
mod wire;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testnet::{
    Agent, ArpFrame, Cable, Capture, Direction, Host, Outcome, Switch, agent, binary, wait_until,
};

const VIP: &str = "192.0.2.10";
const MAC_A: &str = "02:00:00:00:00:0a";
const MAC_B: &str = "02:00:00:00:00:0b";
const MAC_N: &str = "02:00:00:00:00:0e";
/// Long enough for a machine that is stalled; nothing waits that long when all is well.
const LONG: Duration = Duration::from_secs(60);

/// Two cluster nodes and their neighbour on one switch.
struct Site {
    a: Host,
    b: Host,
    neighbour: Host,
    cable_a: Cable,
    _others: [Cable; 2],
    switch: Switch,
}

impl Site {
    fn new() -> Self {
        let switch = Switch::new("switch");
        let host = |name, mac, address: &str| {
            let host = Host::new(name);
            let cable = switch.connect(&host, "eth0", mac);
            host.ip(&format!("addr add {address}/24 dev eth0"));
            (host, cable)
        };
        let (a, cable_a) = host("a", MAC_A, "192.0.2.1");
        let (b, cable_b) = host("b", MAC_B, "192.0.2.2");
        let (neighbour, cable_n) = host("neighbour", MAC_N, "192.0.2.99");
        Self { a, b, neighbour, cable_a, _others: [cable_b, cable_n], switch }
    }

    /// The agent on node A.
    fn vip(&self) -> Agent {
        vip(&self.a)
    }
}

/// The frames that node A sends and the neighbour receives.
struct Wire {
    sent: Capture,
    received: Capture,
}

impl Wire {
    /// Captures from now on.
    fn of(site: &Site) -> Self {
        let received = Capture::start(&site.neighbour, "eth0");
        Self { sent: Capture::start(&site.a, "eth0"), received }
    }

    /// Returns the announcements of the VIP that node A has sent so far.
    fn announcements(&self) -> Vec<ArpFrame> {
        self.frames(is_announcement)
    }

    /// Returns the frames that node A has sent so far, as the neighbour received them. A frame is in
    /// the sender's capture at once, but the neighbour may receive it later.
    fn frames(&self, wanted: impl Fn(&ArpFrame) -> bool) -> Vec<ArpFrame> {
        let going = |capture: &Capture, direction: Direction| {
            let mut frames = capture.arp_frames();
            frames.retain(|frame| frame.direction == direction && wanted(frame));
            frames
        };
        let sent = going(&self.sent, Direction::Sent);
        let mut received = Vec::new();
        wait_until("the neighbour has received what was sent", LONG, || {
            received = going(&self.received, Direction::Received);
            received.len() >= sent.len()
        });
        received
    }
}

/// Returns whether the frame announces the VIP.
fn is_announcement(frame: &ArpFrame) -> bool {
    VIP.parse() == Ok(frame.sender_ip)
}

/// Returns the announcements that a host has sent or received so far.
fn announcements(capture: &Capture) -> Vec<ArpFrame> {
    capture.arp_frames().into_iter().filter(is_announcement).collect()
}

/// Waits until the kernel has finished its own work for IPv6. It ends duplicate address detection and
/// adds routes some time after an address or a link was added.
fn wait_until_ipv6_is_settled(host: &Host) {
    wait_until("IPv6 is settled", LONG, || {
        let addresses = host.ip("-6 -o addr show");
        let routes = host.ip("-6 route show table all");
        let is_routed = |line: &str| {
            let mut words = line.split_whitespace().skip(1);
            let (interface, address) = (words.next(), words.nth(1));
            let ip = address.and_then(|address| address.split('/').next());
            interface.zip(ip).is_none_or(|(interface, ip)| {
                routes.contains(&format!("local {ip} dev {interface}"))
                    && (interface == "lo"
                        || routes.contains(&format!("multicast ff00::/8 dev {interface}")))
            })
        };
        !addresses.contains("tentative")
            && !routes.contains("linkdown")
            && addresses.lines().all(is_routed)
    });
}

fn is_up(host: &Host, interface: &str) -> bool {
    host.ip(&format!("link show dev {interface}")).contains("state UP")
}

/// Gives the host an interface eth1 that is up, with nobody behind it.
fn second_interface(host: &Host) {
    host.ip("link add eth1 type veth peer name far1");
    host.ip("link set far1 up");
    host.ip("link set eth1 up");
    wait_until("eth1 is up", LONG, || is_up(host, "eth1"));
}

fn program() -> PathBuf {
    binary("opensips-vip")
}

/// The agent as Pacemaker calls it, for the VIP, with defaults.
fn vip(host: &Host) -> Agent {
    plain(host).param("ip", VIP)
}

/// The agent as Pacemaker calls it, without any parameter.
fn plain(host: &Host) -> Agent {
    // PCMK_service marks a call of Pacemaker's, which wants quiet.
    agent(host, program()).under_pacemaker("vip").env("PCMK_service", "pacemaker-execd")
}

/// With three seconds for an action: start waits for one of them for what can come by itself.
fn hasty(agent: &Agent) -> Agent {
    agent.clone().env("OCF_RESKEY_CRM_meta_timeout", "3000")
}

fn recurring(agent: &Agent) -> Outcome {
    agent.clone().env("OCF_RESKEY_CRM_meta_interval", "10000").action("monitor")
}

/// Ends as expected, or tells what the agent said.
#[track_caller]
fn ends(outcome: &Outcome, code: i32) {
    assert_eq!(outcome.code, code, "{}{}", outcome.stdout, outcome.stderr);
}

/// Ends with this code and a reason that contains these words.
#[track_caller]
fn fails(outcome: &Outcome, code: i32, words: &str) {
    ends(outcome, code);
    let reason = outcome.exit_reason.as_deref().unwrap_or_default();
    assert!(reason.contains(words), "{words:?} is not in {:?}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("ocf-exit-reason:").count(), 1, "{}", outcome.stderr);
}

/// Interfaces, IPv4 addresses and routes: what an action that fails must leave as it was.
fn state(host: &Host) -> String {
    ["-d link show", "-4 -d addr show", "-4 route show table all"]
        .map(|what| host.ip(what))
        .concat()
}

/// Every IPv4 address of the host but the VIP and 127.0.0.1, as `eth0 192.0.2.1/24`, sorted.
fn others(host: &Host) -> Vec<String> {
    all(host).into_iter().filter(|address| !address.contains(&format!(" {VIP}/"))).collect()
}

/// Every instance of the VIP on the host, as `eth0 192.0.2.10/24`.
fn instances(host: &Host) -> Vec<String> {
    all(host).into_iter().filter(|address| address.contains(&format!(" {VIP}/"))).collect()
}

fn all(host: &Host) -> Vec<String> {
    let listed = host.ip("-4 -o addr show");
    let mut all: Vec<_> = listed
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let interface = words.next()?;
            let address = words.nth(1)?;
            (address != "127.0.0.1/8").then(|| format!("{interface} {address}"))
        })
        .collect();
    all.sort();
    all
}

/// The files in the agent's run directory, without the notes about a carrier that has just come: they belong to no
/// VIP, and a later stop removes them.
fn files(host: &Host) -> Vec<PathBuf> {
    let belongs = |path: &PathBuf| !path.to_string_lossy().contains("/new-carrier-");
    host.run(|| {
        let Ok(entries) = std::fs::read_dir("/run/smartvox") else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).filter(belongs).collect()
    })
}

/// Returns whether a start or stop of the VIP is running: it holds a lock.
fn is_at_work(host: &Host) -> bool {
    files(host).iter().any(|path| path.to_string_lossy().contains("/vip-"))
}

/// Those that are more than a note that the VIP is here, or of when it was last announced or asked for, which
/// stay until stop.
fn locks(host: &Host) -> Vec<PathBuf> {
    let is_note = |path: &PathBuf| {
        ["/announced-", "/here-", "/searched-"]
            .iter()
            .any(|note| path.to_string_lossy().contains(note))
    };
    files(host).into_iter().filter(|path| !is_note(path)).collect()
}

/// The announcer's process number, from the lock it holds.
fn announcer(host: &Host) -> Option<i32> {
    let path = locks(host).into_iter().find(|path| path.to_string_lossy().contains("announcer"))?;
    let record = host.run(|| std::fs::read_to_string(path)).ok()?;
    record.split_whitespace().next()?.parse().ok()
}

/// Whether there is strace; else the test counts as skipped.
fn has_strace(name: &str) -> bool {
    let there = Command::new("strace").arg("-V").output().is_ok();
    if !there {
        testnet::skipped(name, "needs strace");
    }
    there
}

/// A lock in the hands of another process, until this is dropped.
struct HeldLock(Child);

impl HeldLock {
    /// That for a change of `promote_secondaries` of the host's eth0.
    fn of_promotion(host: &Host) -> Self {
        let (index, namespace) = host.run(|| {
            std::fs::create_dir_all("/run/smartvox").unwrap();
            let namespace = std::fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
            (std::fs::read_to_string("/sys/class/net/eth0/ifindex").unwrap(), namespace)
        });
        let lock = format!("/run/smartvox/promote-secondaries-{}@{namespace}.lock", index.trim());
        // It says when it has the lock, and ends with its standard input.
        let mut command = Command::new("flock");
        command.args([&lock, "-c", "echo locked; read end"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = host.spawn(&mut command);
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "locked\n");
        Self(holder)
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn shell(host: &Host, script: &str) {
    let output = host.output(Command::new("sh").args(["-ec", script]));
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}
