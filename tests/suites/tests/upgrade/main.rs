//! A pair is upgraded to another Debian, one node after the other, as docs/upgrading.md tells: from this machine's to
//! that of `LAB_ROOT`, whose Corosync, Pacemaker and pcs are newer. While the cluster has nodes of both, the
//! service moves, and the new one is fenced and replaced by the old one.
//! `make test-debian13` makes such a root.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab::Root;
use suites::daemon::Daemon;
use suites::gateway;
use suites::pair::Pair;
use suites::probe::{Prober, Question};
use suites::scenario::{self, Changes, Example, Fencing, peer};

/// Generous: a shared two-core machine can stall for seconds, and nothing here is a measurement.
const PATIENCE: Duration = Duration::from_secs(240);

/// A pair on the machine's system, and what it is upgraded to.
struct Upgrade {
    pair: Pair,
    client: Prober,
    root: PathBuf,
}

impl Upgrade {
    fn up(example: Example, daemon: &Daemon, root: &Path) -> Result<Self, String> {
        let name = format!("upgrade-{}", example.name());
        // Not those of LAB_ROOT.
        let changes = Changes {
            roots: vec![Root { node: None, directory: "/".into() }],
            ..Changes::default()
        };
        let lab =
            scenario::up_with(example, &name, &scenario::programs(), daemon, 10_000, changes)?;
        scenario::configure_as(example, &lab, Fencing::On)?;
        let netns = lab.netns_path("client").map_err(|error| error.to_string())?;
        let client =
            Prober::start(&netns, Question::Sip(scenario::sip()), Duration::from_millis(100))
                .map_err(|error| error.to_string())?;
        Ok(Self { pair: Pair::new(lab, example), client, root: root.to_owned() })
    }

    fn serves(&self, fits: impl Fn(&str) -> bool) -> Result<String, String> {
        self.pair.serves(&self.client, PATIENCE, fits)
    }

    fn run(&self, node: &str, command: &[&str]) -> Result<String, String> {
        self.pair.run(node, command)
    }

    /// The node that does not serve leaves the cluster, boots the other system with the configuration that
    /// it has, and is back.
    fn upgrade(&self, node: &str) -> Result<(), String> {
        let text = |error: lab::Error| error.to_string();
        let serving = peer(node);
        self.run(serving, &["pcs", "node", "standby", node])?;
        self.run(serving, &["crm_resource", "--wait", "--timeout=240s"])?;
        self.run(node, &["pcs", "cluster", "stop", "--force"])?;
        self.pair.lab.kill(node).map_err(text)?;
        self.pair.lab.reinstall(node, &self.root).map_err(text)?;
        self.pair.lab.boot(node).map_err(text)?;
        self.pair.wait_whole(PATIENCE)?;
        self.run(serving, &["pcs", "node", "unstandby", node])?;
        self.serves(|now| now == serving).map(drop)
    }

    /// As an administrator moves the service, typing on the node that has it, when the cluster knows that
    /// both reach the gateway: from one of which it does not know that, the service would go back.
    fn move_to(&self, node: &str) -> Result<(), String> {
        let from = peer(node);
        gateway::wait_known(&self.pair.lab, |_| true, PATIENCE)?;
        self.run(from, &["pcs", "node", "standby", from])?;
        self.run(from, &["crm_resource", "--wait", "--timeout=240s"])?;
        self.run(from, &["pcs", "node", "unstandby", from])?;
        self.serves(|now| now == node).map(drop)
    }

    /// The node that serves loses power: it is fenced, and replaced by the other one.
    fn power_cut(&self, node: &str) -> Result<(), String> {
        self.serves(|now| now == node)?;
        self.pair.lab.kill(node).map_err(|error| error.to_string())?;
        self.pair.wait_whole(PATIENCE)?;
        self.serves(|now| now != node).map(drop)
    }

    /// Whether the nodes run different versions of Pacemaker, by its own word.
    fn is_mixed(&self, expected: bool) -> Result<(), String> {
        let xml = self.pair.lab.crm_mon_xml().map_err(|error| error.to_string())?;
        let says = format!("mixed_version=\"{expected}\"");
        if xml.contains(&says) { Ok(()) } else { Err(format!("not {says} in\n{xml}")) }
    }
}

type Step<'a> = (&'a str, &'a dyn Fn() -> Result<(), String>);

fn play(example: Example, daemon: &Daemon, root: &Path) -> Result<(), String> {
    println!("{}: runs against {daemon}", example.name());
    let upgrade = Upgrade::up(example, daemon, root)?;
    let first = upgrade.serves(|_| true)?;
    let second = peer(&first);
    let steps: &[Step<'_>] = &[
        ("one system", &|| upgrade.is_mixed(false)),
        ("the node that stands by is upgraded", &|| upgrade.upgrade(second)),
        ("two systems", &|| upgrade.is_mixed(true)),
        ("to the new one", &|| upgrade.move_to(second)),
        // Not that of the old one: a cluster of the new version alone does not let it in again.
        ("power cut of the new one", &|| upgrade.power_cut(second)),
        ("smartvox check", &|| scenario::nothing_to_find(&upgrade.pair.lab, PATIENCE)),
        ("to the new one, again", &|| upgrade.move_to(second)),
        ("the other node is upgraded", &|| upgrade.upgrade(&first)),
        ("one system again", &|| upgrade.is_mixed(false)),
        ("the schema is upgraded", &|| {
            upgrade.run("node1", &["cibadmin", "--upgrade", "--force"]).map(drop)
        }),
        ("to the one that was upgraded last", &|| upgrade.move_to(&first)),
        ("smartvox check, again", &|| scenario::nothing_to_find(&upgrade.pair.lab, PATIENCE)),
    ];
    for (name, step) in steps {
        let begun = Instant::now();
        step().map_err(|error| {
            format!("{}: {name}: {error}\n{}", example.name(), scenario::status(&upgrade.pair.lab))
        })?;
        println!("ok: {}: {name} ({} s)", example.name(), begun.elapsed().as_secs());
    }
    Ok(())
}

#[test]
fn rolling_upgrade() {
    if !nix::unistd::geteuid().is_root() {
        testnet::skipped("rolling_upgrade", "needs root");
        return;
    }
    let root = scenario::root_of_all().unwrap_or_else(|error| panic!("{error}"));
    let Some(root) = root.filter(|root| root != Path::new("/")) else {
        let reason = "needs the root of another Debian in LAB_ROOT: make test-debian13";
        testnet::skipped("rolling_upgrade", reason);
        return;
    };
    let real = Daemon::real().into_iter().next();
    let daemon = real.clone().unwrap_or_else(Daemon::stand_in_for_suite);
    play(Example::ActiveStandby, &daemon, &root).unwrap_or_else(|error| panic!("{error}"));
    match real {
        Some(daemon) => play(Example::HotStandby, &daemon, &root).unwrap_or_else(|e| panic!("{e}")),
        None => {
            let reason = "needs a real OpenSIPS with module clusterer";
            testnet::skipped("rolling_upgrade: hot standby", reason);
        }
    }
}
