//! The examples in `pcs-examples/` beside the two main ones (which the suites `cluster` and `hot_standby`
//! live with): each is executed as it stands on a real cluster, serves, moves once, and is taken away
//! again. One cluster for all of a pair, because bringing one up costs more than most of them.

mod site;
mod steps;
mod twins;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use site::Site;
use suites::{document, scenario};

type Step = (&'static str, fn(&Site) -> Result<(), String>);

const OF_A_PAIR: &[Step] = &[
    ("dual-stack.sh", steps::dual_stack),
    ("two-networks.sh", steps::two_networks),
    ("several-instances.sh", steps::several_instances),
    ("active-standby-crmsh.sh", twins::active_standby),
    ("hot-standby-crmsh.sh", twins::hot_standby),
];

const OF_THREE: &[Step] = &[("three-nodes.sh", steps::three_nodes)];

fn play(name: &str, nodes: u8, steps: &[Step]) -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        testnet::skipped(name, "needs root");
        return Ok(());
    }
    let site = Site::up(name, nodes)?;
    for (example, step) in steps {
        let begun = Instant::now();
        step(&site)
            .and_then(|()| site.clear())
            .map_err(|error| format!("{example}: {error}\n{}", scenario::status(&site.lab)))?;
        println!("ok: {example} ({} s)", begun.elapsed().as_secs());
    }
    Ok(())
}

#[test]
fn examples_of_a_pair() {
    play("examples-of-a-pair", 2, OF_A_PAIR).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn examples_of_three() {
    play("examples-of-three", 3, OF_THREE).unwrap_or_else(|error| panic!("{error}"));
}

/// An example that nobody runs, or that nobody finds, would rot.
#[test]
fn every_example_is_run_and_named() {
    let steps = OF_A_PAIR.iter().chain(OF_THREE).map(|(name, _)| *name);
    // The suites `cluster`, `hot_standby`, `migration` and `carrier` run these.
    let elsewhere =
        ["active-standby.sh", "hot-standby.sh", "migrate-from-IPaddr2.sh", "degraded-metrics.sh"];
    let run: BTreeSet<&str> = steps.chain(elsewhere).collect();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let top = scenario::repository();
    let documents = document::documents().iter().map(|path| read(path)).collect::<String>();
    for entry in std::fs::read_dir(top.join("pcs-examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".sh") {
            continue;
        }
        assert!(documents.contains(&format!("/{name}")), "no document leads to {name}");
        let says_not = read(&path).contains("\n# Not run by the tests: ");
        assert!(run.contains(name) != says_not, "{name}: run by a test, or says why not");
    }
}
