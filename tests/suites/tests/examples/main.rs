//! The examples in `pcs-examples/` beside the two main ones (which the suites `cluster` and `hot_standby`
//! live with): each is executed as it stands on a real cluster, serves, moves once, and is taken away
//! again. Three clusters for all, at the same time, because bringing one up costs more than most of them.

mod fencing;
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
    ("hot-standby-crmsh.sh", twins::hot_standby),
];

/// Run on a copy of the configuration, or as what they make the cluster do: they say so.
const NOT_AS_THEY_STAND: &[&str] = &["fencing-ipmi.sh", "fencing-sbd.sh", "quorum-device.sh"];

const FENCING: &[Step] = &[
    ("fencing-ipmi.sh, fencing-sbd.sh", fencing::judged),
    ("active-standby.sh, every cable of node1 out", fencing::ping),
    ("quorum-device.sh", fencing::quorum_device),
    // As good here as with the others of a pair, whose cluster has more to do.
    ("active-standby-crmsh.sh", twins::active_standby),
];

const OF_THREE: &[Step] = &[("three-nodes.sh", steps::three_nodes)];

const CLUSTERS: &[(&str, u8, &[Step])] = &[
    ("examples-of-a-pair", 2, OF_A_PAIR),
    ("examples-of-fencing", 2, FENCING),
    ("examples-of-three", 3, OF_THREE),
];

fn play(name: &str, nodes: u8, steps: &[Step]) -> Result<(), String> {
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
fn every_example_serves() {
    if !nix::unistd::geteuid().is_root() {
        testnet::skipped("every_example_serves", "needs root");
        return;
    }
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let begin = |(name, nodes, steps): &'static (&str, u8, &[Step])| {
            scope.spawn(move || play(name, *nodes, steps))
        };
        let threads: Vec<_> = CLUSTERS.iter().map(begin).collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("a thread").err()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An example that nobody runs, or that nobody finds, would rot.
#[test]
fn every_example_is_run_and_named() {
    let steps = CLUSTERS.iter().flat_map(|(_, _, steps)| steps.iter().map(|(name, _)| *name));
    // The suites `cluster`, `hot_standby` and `migration` run these.
    let elsewhere = ["active-standby.sh", "hot-standby.sh", "migrate-from-IPaddr2.sh"];
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
        assert_eq!(NOT_AS_THEY_STAND.contains(&name), says_not, "{name}");
        assert!(run.contains(name) || says_not, "{name}: run by a test, or says why not");
    }
}

/// The examples of a pair are complete each, so that one file is enough; their fencing must not part.
#[test]
fn the_fencing_of_the_pairs_is_the_same() {
    let block = |name: &str| {
        let text = steps::text(name).expect("an example");
        let from = text.find("if [ -n \"$FENCE_AGENT\" ]").expect("the fencing");
        let to = text[from..].find("\nfi\n").expect("its end");
        let words =
            text[from..from + to].lines().filter(|line| !line.trim_start().starts_with('#'));
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let first = block("active-standby.sh");
    assert!(first.iter().any(|line| line.contains("fence_heuristics_ping")), "{first:?}");
    for other in ["hot-standby.sh", "dual-stack.sh", "two-networks.sh", "several-instances.sh"] {
        assert_eq!(block(other), first, "{other}");
    }
}
