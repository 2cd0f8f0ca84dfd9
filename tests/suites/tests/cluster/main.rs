//! The whole: a real two-node cluster, configured by `pcs-examples/active-standby.sh` as it stands.
//! After each fault, seen from the neighbour: one owner of the address on the wire, SIP answered.
//!
//! One cluster for all steps: bringing one up costs more than most of them. A step begins with the
//! cluster whole and both resources running, and leaves it so.

mod async_monitor;
mod check;
mod documents;
mod ecosystem;
mod faults;
mod second;
mod tools;

use std::time::{Duration, Instant};

use lab::Lab;
use suites::daemon::Daemon;
use suites::probe::{Prober, Question};
use suites::scenario::{self, Fencing};

/// Generous: a shared two-core machine can stall for seconds, and nothing here is a measurement.
const PATIENCE: Duration = Duration::from_secs(240);

/// What a step works with.
struct Cluster {
    lab: Lab,
    client: Prober,
}

impl Cluster {
    /// Waits until both resources run on one node that fits, and proves from the neighbour's side
    /// that the service is there: SIP answered to a question asked from now on, one owner in ARP.
    fn serves(&self, fits: impl Fn(&str) -> bool) -> Result<String, String> {
        let node = scenario::wait_running_where(&self.lab, PATIENCE, fits)?;
        let since = Instant::now();
        while !self.client.answered_since(since) {
            if since.elapsed() > PATIENCE {
                return Err(format!("no SIP answer\n{}", scenario::status(&self.lab)));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let owners = scenario::answering_owners(&self.lab, PATIENCE)?;
        let expected = mac(&self.lab, &node)?;
        if owners.iter().eq([&expected]) {
            Ok(node)
        } else {
            Err(format!("owners on the wire: {owners:?}, expected {expected} alone ({node})"))
        }
    }

    /// Where the service is now.
    fn active(&self) -> Result<String, String> {
        self.serves(|_| true)
    }

    fn run(&self, node: &str, command: &[&str]) -> Result<String, String> {
        scenario::run(&self.lab, node, command)
    }

    /// Waits until both nodes have power and are members again.
    fn whole(&self) -> Result<(), String> {
        let begun = Instant::now();
        while self.lab.powered_nodes().map_err(|error| error.to_string())?.len() < 2 {
            if begun.elapsed() > PATIENCE {
                return Err("a node is still without power".to_owned());
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        self.lab.wait_online(PATIENCE).map(drop).map_err(|error| error.to_string())
    }
}

fn mac(lab: &Lab, node: &str) -> Result<String, String> {
    let mac = scenario::run(lab, node, &["cat", "/sys/class/net/eth0/address"])?;
    Ok(mac.trim().to_owned())
}

type Step = (&'static str, fn(&Cluster) -> Result<(), String>);

const STEPS: &[Step] = &[
    ("resources start in order, on one node", tools::start_order),
    ("pcs describes the agents", tools::describe),
    ("smartvox diagnose", check::diagnose),
    ("smartvox check, nodes that differ", check::nodes_that_differ),
    ("smartvox check, mistakes, and the commands that end them", check::mistakes),
    ("new values for a parameter", tools::new_values),
    ("crm_resource by hand", tools::by_hand),
    ("the commands of README and docs", documents::configured),
    ("pcs, crmsh and monitoring", ecosystem::configured),
    ("a second resource with the same configuration", second::resource),
    ("planned move", faults::planned_move),
    ("the address removed behind the cluster's back", faults::address_removed),
    ("kill -9 of OpenSIPS", faults::main_process_killed),
    ("kill -9 between two monitors", async_monitor::between_two_monitors),
    ("kill -9 in maintenance mode", async_monitor::in_maintenance),
    ("kill -9 while the peer is in standby", faults::killed_without_peer),
    ("gateway silent for both nodes", faults::gateway_silent),
    ("gateway silent for the active node", faults::gateway_lost),
    ("power cut, with fencing", faults::power_cut),
    ("power cut, without fencing", faults::power_cut_without_fencing),
];

#[test]
fn active_standby() {
    if !nix::unistd::geteuid().is_root() {
        testnet::skipped("active_standby", "needs root");
        return;
    }
    let built = &scenario::programs();
    let daemon = Daemon::real().into_iter().next().unwrap_or_else(Daemon::stand_in_for_suite);
    println!("cluster: runs against {daemon}");
    let lab =
        scenario::up("cluster-suite", built, &daemon, 10_000).unwrap_or_else(|e| panic!("{e}"));
    // What needs a cluster without resources.
    let begun = Instant::now();
    documents::new_cluster(&lab)
        .and_then(|()| ecosystem::new_cluster(&lab))
        .and_then(|()| documents::quick_start(&lab))
        .unwrap_or_else(|error| panic!("{error}\n{}", scenario::status(&lab)));
    println!("ok: a cluster without resources ({} s)", begun.elapsed().as_secs());
    scenario::configure(&lab, Fencing::On).unwrap_or_else(|e| panic!("{e}"));
    let client = Prober::start(
        &lab.netns_path("client").expect("the client's namespace"),
        Question::Sip(scenario::sip()),
        Duration::from_millis(100),
    )
    .expect("a client");
    let cluster = Cluster { lab, client };
    for (name, step) in STEPS {
        let begun = Instant::now();
        cluster
            .active()
            .and_then(|_| step(&cluster))
            .unwrap_or_else(|error| panic!("{name}: {error}\n{}", scenario::status(&cluster.lab)));
        println!("ok: {name} ({} s)", begun.elapsed().as_secs());
    }
}
