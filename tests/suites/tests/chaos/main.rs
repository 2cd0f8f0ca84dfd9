//! A representative part of `make chaos`: a few seeded rounds of each topology, and whether the
//! invariants hold. How long callers wait is the program's matter: a shared machine can stall for
//! seconds.

// Functions beside the tests are test code, too.
#![allow(clippy::expect_used)]

use std::path::Path;
use std::time::Duration;

use suites::chaos::fault::{Circumstances, NONE};
use suites::chaos::record::{Kind, Record};
use suites::chaos::run::{Plan, run};
use suites::chaos::{FAMILIES, faults};
use suites::daemon::Daemon;
use suites::site::setup::Configuration;
use suites::site::up::Means;

/// Faults of which a round takes some seconds, and which all of the observers see something of. None of
/// them justifies fencing.
const QUICK: [&str; 4] = ["kill-main", "address-deleted", "run-full-move", "agents-replaced"];

/// What is played: the first round, and how many. Together they have each of the faults.
const PLAYED: [(Configuration, u64, u64); 3] = [
    (Configuration::ActiveStandby, 1, 2),
    (Configuration::HotStandby, 3, 2),
    (Configuration::ThreeNodes, 2, 1),
];

#[test]
fn the_invariants_hold() {
    if !nix::unistd::geteuid().is_root() {
        testnet::skipped("chaos", "needs root");
        return;
    }
    let agent = testnet::binary("opensips-vip");
    let built = agent.parent().expect("a binary is in a directory");
    let daemon = Daemon::real()
        .into_iter()
        .next()
        .or_else(|| Daemon::stand_in(built))
        .expect("the stand-in is built by `cargo build --workspace --bins`");
    println!("chaos: runs against {daemon}");
    let means = Means { agents: built.to_owned(), daemon, token: 10_000, details: None };
    let directory = tempfile::tempdir().expect("a directory");
    let (means, kept) = (&means, directory.path());
    let records: Vec<_> = std::thread::scope(|scope| {
        let threads = PLAYED.map(|which| scope.spawn(move || rounds(which, means, kept)));
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect()
    });
    let mut wrong = Vec::new();
    for record in &records {
        let found = record.violations.iter().filter(|violation| violation.kind != Kind::Silent);
        let found: Vec<String> = found.map(ToString::to_string).collect();
        if !found.is_empty() {
            wrong.push(format!("{}: {}: {}", record.topology, record.line, found.join("; ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(records.len(), 5);
}

/// With all the time that a busy machine may need.
fn rounds(which: (Configuration, u64, u64), means: &Means, kept: &Path) -> Vec<Record> {
    let (configuration, first, rounds) = which;
    let plan = Plan {
        configuration,
        seed: 1,
        first,
        rounds,
        only: QUICK.map(str::to_owned).to_vec(),
        combined: 0,
        patience: Duration::from_secs(240),
        directory: kept.to_owned(),
    };
    run(&plan, means, &|line| println!("{}: {line}", configuration.name())).expect("rounds")
}

#[test]
fn every_fault_is_told_apart_and_has_limits() {
    let all: Vec<_> = FAMILIES.into_iter().flatten().collect();
    for (number, fault) in all.iter().enumerate() {
        let name = fault.name;
        assert!(all.iter().skip(number + 1).all(|other| other.name != name), "{name}");
        assert!(!name.is_empty() && !fault.what.is_empty() && !fault.why.is_empty(), "{name}");
        assert!(!fault.roles.is_empty() && fault.lasts.0 <= fault.lasts.1, "{name}");
        for hot in [false, true] {
            for role in fault.victims(hot) {
                let token = Duration::from_secs(3);
                let it = Circumstances { role: *role, hot, lasts: fault.lasts.1, token };
                let limit = (fault.allowed)(&it).silent;
                // A limit that nothing could exceed would be none.
                assert!((NONE..Duration::from_secs(60)).contains(&limit), "{name}: {limit:?}");
            }
        }
    }
    for name in QUICK {
        assert_eq!(faults(true).iter().filter(|fault| fault.name.contains(name)).count(), 1);
    }
}

#[test]
fn every_fault_is_explained() {
    let path = suites::scenario::repository().join("docs/chaos.md");
    let text = std::fs::read_to_string(&path).expect("docs/chaos.md");
    for fault in FAMILIES.into_iter().flatten() {
        let name = fault.name;
        let told = format!("| {name} | {}", fault.what);
        assert!(
            text.contains(&told),
            "docs/chaos.md says nothing of {name}: make chaos REPORT=docs"
        );
    }
}
