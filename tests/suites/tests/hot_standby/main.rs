//! The hot standby as a whole: a real two-node cluster with real OpenSIPS, configured by
//! `pcs-examples/hot-standby.sh` as it stands. After each fault, seen from the neighbour and by the
//! daemons' own word: one promoted instance, one owner of the address on the wire, one active
//! sharing tag, all on the same node, and SIP answered.
//!
//! One cluster for all steps: bringing one up costs more than most of them. A step begins with the
//! cluster whole, and leaves it so.

mod call;
mod faults;
mod replication;

use std::time::{Duration, Instant};

use lab::Lab;
use suites::daemon::Daemon;
use suites::pair::Pair;
use suites::probe::{Prober, Question};
use suites::scenario::{self, Example, Fencing};

/// Generous: a shared two-core machine can stall for seconds, and nothing here is a measurement.
const PATIENCE: Duration = Duration::from_secs(240);

/// What a step works with.
struct Cluster {
    pair: Pair,
    client: Prober,
}

impl Cluster {
    fn run(&self, node: &str, command: &[&str]) -> Result<String, String> {
        self.pair.run(node, command)
    }

    /// As [`Pair::serves`].
    fn serves(&self, fits: impl Fn(&str) -> bool) -> Result<String, String> {
        self.pair.serves(&self.client, PATIENCE, fits)
    }

    /// Where the service is now.
    fn active(&self) -> Result<String, String> {
        self.serves(|_| true)
    }
}

/// What Pacemaker's and Corosync's logs say that is worth a look, the last of each node.
fn complaints(lab: &Lab) -> String {
    let mut text = String::new();
    for node in ["node1", "node2"] {
        for path in lab.log_paths(node).unwrap_or_default() {
            let log = std::fs::read(&path).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let words = ["warning:", "error:", "crit:", "Result of "];
            let found: Vec<&str> =
                log.lines().filter(|line| words.iter().any(|word| line.contains(word))).collect();
            text += &format!("== {node} {}\n", path.display());
            for line in found.iter().skip(found.len().saturating_sub(40)) {
                text += &format!("{}\n", line.chars().take(240).collect::<String>());
            }
        }
    }
    text
}

type Step = (&'static str, fn(&Cluster) -> Result<(), String>);

const STEPS: &[Step] = &[
    ("smartvox check finds nothing", |cluster| {
        scenario::nothing_to_find(&cluster.pair.lab, PATIENCE)
    }),
    ("smartvox metrics has both instances", metrics),
    // Before the first cleanup, which makes Pacemaker 2.1.5 forget the start: then it answers a changed parameter with
    // a demote.
    ("routes loaded without a restart", faults::routes_loaded),
    ("routes that one node has alone", faults::routes_differ),
    ("planned move; registration and call survive", replication::planned_move),
    ("kill -9 of the promoted OpenSIPS", faults::main_process_killed),
    ("kill -9 of the standby's OpenSIPS", faults::standby_killed),
    ("the daemons' own link cut, the tag taken by hand", faults::replication_link_cut),
    ("gateway silent for both nodes, then for the promoted one", faults::gateway_silent),
    ("power cut, with fencing; registration survives", replication::power_cut),
    ("LAN cut without fencing, and mended", faults::split),
];

/// Both instances, and their promotion scores.
fn metrics(cluster: &Cluster) -> Result<(), String> {
    let active = cluster.active()?;
    let begun = Instant::now();
    loop {
        let told = cluster.run(&active, &["smartvox", "metrics"])?;
        let value = |metric: &str, node: &str| -> Option<u32> {
            let is_meant = |line: &&str| {
                line.starts_with(&format!("{metric}{{resource=\"opensips\","))
                    && line.contains(&format!("node=\"{node}\"}}"))
            };
            told.lines().find(is_meant)?.rsplit_once(' ')?.1.parse().ok()
        };
        let score = |node| value("smartvox_promotion_score", node);
        let standby = score(scenario::peer(&active)).is_some_and(|score| score < 10_000);
        let both = ["node1", "node2"].iter().all(|it| value("smartvox_degraded", it).is_some());
        if both && standby && score(&active) == Some(10_000) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(told);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn hot_standby() {
    if !nix::unistd::geteuid().is_root() {
        testnet::skipped("hot_standby", "needs root");
        return;
    }
    let built = &scenario::programs();
    let daemons = Daemon::real();
    if daemons.is_empty() {
        testnet::skipped("hot_standby", "needs a real OpenSIPS with module clusterer");
    }
    for (number, daemon) in daemons.iter().enumerate() {
        println!("hot standby: runs against {daemon}");
        let name = format!("hot-standby-{number}");
        let lab = scenario::up_for(Example::HotStandby, &name, built, daemon, 10_000)
            .unwrap_or_else(|e| panic!("{e}"));
        scenario::configure_as(Example::HotStandby, &lab, Fencing::On)
            .unwrap_or_else(|e| panic!("{e}"));
        let client = Prober::start(
            &lab.netns_path("client").expect("the client's namespace"),
            Question::Sip(scenario::sip()),
            Duration::from_millis(100),
        )
        .expect("a client");
        let pair = Pair::new(lab, Example::HotStandby);
        let cluster = Cluster { pair, client };
        for (name, step) in STEPS {
            let begun = Instant::now();
            cluster.active().and_then(|_| step(&cluster)).unwrap_or_else(|error| {
                let lab = &cluster.pair.lab;
                let (status, logs) = (scenario::status(lab), complaints(lab));
                panic!("{daemon}: {name}: {error}\n{status}\n{logs}")
            });
            println!("ok: {name} ({} s)", begun.elapsed().as_secs());
        }
    }
}
