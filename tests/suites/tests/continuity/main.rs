//! A representative part of `make continuity`: our agents alone, and only whether the service comes
//! back by itself, without an operator. How long that takes beside IPaddr2 is the program's matter:
//! a shared machine can stall for seconds.

// Functions beside the tests are test code, too.
#![allow(clippy::expect_used)]

use std::time::Duration;

use suites::continuity::outcome::Outcome;
use suites::continuity::run::play;
use suites::continuity::sequence::Sequence;
use suites::continuity::{FAMILIES, named};
use suites::daemon::Daemon;
use suites::site::setup::{Configuration, Contender, Setup};
use suites::site::up::Means;

/// What is played here. A sequence that the agents have learnt to pass gets a line here, and then it
/// stays: the names are those of `continuity --list`.
const REPRESENTATIVE: &[(&str, Setup)] = &[
    ("one-cable-out", Setup::fenced(Configuration::ActiveStandby)),
    ("kill", Setup::unfenced(Configuration::QuickStart)),
    ("planned-move", Setup::fenced(Configuration::ActiveStandby)),
    ("switch-reboot-20", Setup::unfenced(Configuration::QuickStart)),
    ("phone-8", Setup::unfenced(Configuration::QuickStart)),
    ("mi-mistyped", Setup::fenced(Configuration::HotStandby)),
];

/// How many are played at the same time: most of it is waiting, but a cluster that starts needs a processor.
const AT_ONCE: usize = 3;

/// Generous: nothing here is a measurement.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn the_service_comes_back_by_itself() {
    if !nix::unistd::geteuid().is_root() {
        testnet::skipped("continuity", "needs root");
        return;
    }
    let agent = testnet::binary("opensips-vip");
    let built = agent.parent().expect("a binary is in a directory");
    let daemon = Daemon::real()
        .into_iter()
        .next()
        .or_else(|| Daemon::stand_in(built))
        .expect("the stand-in is built by `cargo build --workspace --bins`");
    println!("continuity: runs against {daemon}");
    let means = Means { agents: built.to_owned(), daemon, token: 10_000, details: None };
    let mut played: Vec<(String, Result<Outcome, String>)> = Vec::new();
    for (first, some) in REPRESENTATIVE.chunks(AT_ONCE).enumerate() {
        played.extend(play_at_once(&means, first, some));
    }
    let mut wrong = Vec::new();
    for (name, outcome) in played {
        match outcome {
            Err(error) => wrong.push(format!("{name}: not played: {error}")),
            Ok(outcome) if !outcome.serves || !outcome.operator.is_empty() => {
                wrong.push(format!("{name}: {outcome:?}"));
            }
            Ok(outcome) => println!("ok: {name}: {outcome:?}"),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Plays sequences on clusters of their own.
fn play_at_once(
    means: &Means,
    chunk: usize,
    some: &[(&'static str, Setup)],
) -> Vec<(String, Result<Outcome, String>)> {
    std::thread::scope(|scope| {
        let play_one = |number: usize, name: &'static str, setup: Setup| {
            let sequence = named(name).expect("a sequence of the program");
            let patient = Sequence { watch: PATIENCE, ..*sequence };
            let lab = format!("continuity-test-{chunk}-{number}-{}", std::process::id());
            (format!("{name}, {setup}"), play(&patient, setup, Contender::Ours, means, &lab, || {}))
        };
        let threads: Vec<_> = some
            .iter()
            .enumerate()
            .map(|(number, (name, setup))| scope.spawn(move || play_one(number, name, *setup)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
    })
}

#[test]
fn sequences_are_told_apart_by_name_and_can_be_played() {
    let all: Vec<&Sequence> = FAMILIES.into_iter().flatten().collect();
    for (number, sequence) in all.iter().enumerate() {
        let name = sequence.name;
        assert!(all.iter().skip(number + 1).all(|other| other.name != name), "{name}");
        assert!(!name.is_empty() && !sequence.what.is_empty(), "{name}");
        assert!(!sequence.setups.is_empty(), "{name}");
        assert!(sequence.least <= sequence.watch, "{name}");
    }
    for (name, setup) in REPRESENTATIVE {
        let sequence = named(name).unwrap_or_else(|| panic!("{name}: no such sequence"));
        assert!(sequence.setups.contains(setup), "{name}: not played in {setup}");
    }
}

#[test]
fn every_sequence_is_explained() {
    let path = suites::scenario::repository().join("docs/continuity.md");
    let text = std::fs::read_to_string(&path).expect("docs/continuity.md");
    for sequence in FAMILIES.into_iter().flatten() {
        let name = sequence.name;
        let told = |line: &str| {
            line.starts_with("| ") && line.split(['|', ',', ' ']).any(|word| word == name)
        };
        assert!(text.lines().any(told), "docs/continuity.md says nothing of {name}");
    }
}
