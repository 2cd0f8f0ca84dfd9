//! The carrier of a pair: one cable out, and a switch that restarts, on a real cluster with fencing:
//! with the README's quick start, and with both examples. No operator intervenes.

// Functions beside the tests are test code, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use lab::{Lab, Network};
use suites::daemon::Daemon;
use suites::probe::{Prober, Question};
use suites::scenario::{self, Example, Fencing};

/// Generous: a shared two-core machine can stall for seconds. What is measured is printed.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the switch is away: beyond several monitors.
const REBOOT: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pair {
    QuickStart,
    Of(Example),
}

struct Cluster {
    lab: Lab,
    client: Prober,
    pair: Pair,
}

/// The README's quick start, with fencing.
const QUICK_START: &str = "
pcs stonith create fence-node1 fence_lab pcmk_host_list=node1 pcmk_delay_base=1s
pcs stonith create fence-node2 fence_lab pcmk_host_list=node2
pcs property set stonith-enabled=true
pcs resource create vip ocf:smartvox:opensips-vip ip=192.0.2.10 nic=eth0
pcs resource create opensips ocf:smartvox:opensips vip=192.0.2.10 op monitor interval=2s --disabled
pcs constraint colocation add opensips with vip
pcs constraint order start vip then start opensips
pcs resource enable opensips
";

impl Cluster {
    fn up(pair: Pair) -> Self {
        let built = &scenario::programs();
        let example = match pair {
            Pair::QuickStart => Example::ActiveStandby,
            Pair::Of(example) => example,
        };
        let daemon = Daemon::real().into_iter().next().unwrap_or_else(Daemon::stand_in_for_suite);
        println!("carrier: {pair:?} with {daemon}");
        let name = match pair {
            Pair::QuickStart => "carrier-quick",
            Pair::Of(Example::ActiveStandby) => "carrier-as",
            Pair::Of(Example::HotStandby) => "carrier-hs",
            Pair::Of(Example::ThreeNodes) => "carrier-three",
        };
        let lab = scenario::up_for(example, name, built, &daemon, 10_000)
            .unwrap_or_else(|error| panic!("{error}"));
        match pair {
            Pair::QuickStart => scenario::run(&lab, "node1", &["sh", "-ec", QUICK_START]).map(drop),
            Pair::Of(example) => scenario::configure_as(example, &lab, Fencing::On),
        }
        .unwrap_or_else(|error| panic!("{error}"));
        let netns = lab.netns_path("client").expect("the client's namespace");
        let question = Question::Sip(scenario::sip());
        let client = Prober::start(&netns, question, Duration::from_millis(50)).expect("a client");
        Self { lab, client, pair }
    }

    /// Waits until SIP is answered again, and returns how long that took.
    fn answered(&self, what: &str, since: Instant) -> Duration {
        while !self.client.answered_since(since) {
            assert!(
                since.elapsed() < PATIENCE,
                "{:?}: {what}: no SIP answer\n{}",
                self.pair,
                scenario::status(&self.lab)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        let record = self.client.so_far();
        record.first_answer_since(since).map_or(Duration::ZERO, |at| at - since)
    }

    /// Waits until the address and a started OpenSIPS are on one node that fits.
    fn settled(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let since = Instant::now();
        loop {
            let vip = self.lab.resource_location("vip");
            let opensips = match self.pair {
                Pair::Of(Example::HotStandby) => vip.clone(),
                _ => self.lab.resource_location("opensips"),
            };
            if let Some(node) = vip.filter(|node| opensips.as_ref() == Some(node) && fits(node)) {
                return node;
            }
            assert!(
                since.elapsed() < PATIENCE,
                "{:?}: {what}: not there\n{}",
                self.pair,
                scenario::status(&self.lab)
            );
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    fn cable(&self, node: &str, plugged: bool) {
        let rewired = if plugged {
            self.lab.plug(node, Network::Public)
        } else {
            self.lab.unplug(node, Network::Public)
        };
        rewired.unwrap_or_else(|error| panic!("{node}: {error}"));
    }

    fn pid(&self, node: &str) -> Option<String> {
        let read = ["cat", "/run/opensips/opensips.pid"];
        scenario::run(&self.lab, node, &read).ok().map(|pid| pid.trim().to_owned())
    }

    /// Waits until no node is barred by a failed start, and each has published its carrier.
    fn nobody_is_barred(&self) {
        let since = Instant::now();
        loop {
            let counts = ["crm_mon", "-1", "--include=none,failcounts,attributes"];
            let shown = scenario::run(&self.lab, "node1", &counts).unwrap_or_default();
            let carriers = shown.lines().filter(|line| {
                line.contains("smartvox-link-vip") && line.trim_end().ends_with(": 1")
            });
            if !shown.contains("INFINITY") && carriers.count() == 2 {
                println!("  nobody is barred after {:.1} s", since.elapsed().as_secs_f32());
                return;
            }
            assert!(since.elapsed() < PATIENCE, "{:?}: {shown}", self.pair);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// One cable out: the service moves to the peer. Then the carrier is back.
    fn one_cable_out(&self) {
        let from = self.settled("before the cable", |_| true);
        self.answered("before the cable", Instant::now());
        let out = Instant::now();
        self.cable(&from, false);
        // What was asked just before may still be answered.
        let took = self.answered("one cable out", out + Duration::from_millis(100));
        let to = self.settled("one cable out", |node| node != from);
        println!("  one cable out: {from} to {to}, answered after {:.1} s", took.as_secs_f32());
        self.cable(&from, true);
        self.nobody_is_barred();
    }

    /// No carrier anywhere for a while.
    fn switch_restarts(&self, away: Duration) {
        let before = self.settled("before the switch", |_| true);
        let pid = self.pid(&before);
        for node in ["node1", "node2"] {
            self.cable(node, false);
        }
        let out = Instant::now();
        self.metrics_are(&before, 1);
        std::thread::sleep(away.saturating_sub(out.elapsed()));
        let plugged = Instant::now();
        for node in ["node1", "node2"] {
            self.cable(node, true);
        }
        let took = self.answered("after the switch", plugged);
        self.nobody_is_barred();
        let after = self.settled("after the switch", |_| true);
        // Pacemaker shows the fault until a cleanup.
        self.metrics_are(&after, 0);
        let restarted = if self.pid(&after) == pid { "not restarted" } else { "restarted" };
        println!(
            "  switch away for {} s: {before} to {after}, answered {:.1} s after the carrier, \
             OpenSIPS {restarted}",
            away.as_secs(),
            took.as_secs_f32()
        );
    }

    /// Waits until `smartvox metrics` on a node has this value for the address, wherever that is.
    fn metrics_are(&self, node: &str, degraded: u8) {
        let since = Instant::now();
        loop {
            let told = scenario::run(&self.lab, node, &["smartvox", "metrics"]);
            let told = told.unwrap_or_else(|error| panic!("{error}"));
            let wanted = |line: &&str| {
                line.starts_with("smartvox_degraded{resource=\"vip\",")
                    && line.ends_with(&format!(" {degraded}"))
            };
            if told.lines().any(|line| wanted(&line)) {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "{:?}: {told}", self.pair);
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// The first node can host the service again.
    fn can_host(&self, node: &str) {
        let peer = scenario::peer(node);
        scenario::run(&self.lab, node, &["pcs", "node", "standby", peer]).expect("standby");
        self.settled("the peer in standby", |now| now == node);
        self.answered("the peer in standby", Instant::now());
        scenario::run(&self.lab, node, &["pcs", "node", "unstandby", peer]).expect("unstandby");
        self.nobody_is_barred();
    }
}

fn carrier(pair: Pair) {
    if !nix::unistd::geteuid().is_root() {
        testnet::skipped("carrier", "needs root");
        return;
    }
    let cluster = Cluster::up(pair);
    let first = cluster.settled("the beginning", |_| true);
    cluster.nobody_is_barred();
    cluster.one_cable_out();
    let long = std::env::var_os("SMARTVOX_LONG").map(|_| Duration::from_secs(45));
    for away in [Some(REBOOT), long].into_iter().flatten() {
        cluster.switch_restarts(away);
    }
    cluster.one_cable_out();
    cluster.can_host(&first);
}

#[test]
fn quick_start() {
    carrier(Pair::QuickStart);
}

#[test]
fn active_standby() {
    carrier(Pair::Of(Example::ActiveStandby));
}

#[test]
fn hot_standby() {
    carrier(Pair::Of(Example::HotStandby));
}
