//! Calls through a hot standby that is moved: they don't fail, and those that are up end through the
//! other node, which knew their dialogs. `make calls` measures more of them in more cases.
//!
//! And calls between phones that have registered through active/standby, as its example stands; a node takes a call
//! only when it has forwarded it.

use std::time::Duration;

use suites::calls::case;
use suites::calls::fault::Fault;
use suites::calls::phones::Told;
use suites::calls::sipp::{self, Alice, Answering, Load};
use suites::daemon::Daemon;
use suites::pair::Pair;
use suites::scenario::{self, Example, Fencing};

/// Every call is still up when the move comes, and for some time after it.
const LOAD: Load =
    Load { rate: 20, length: Duration::from_secs(10), talk: Duration::from_secs(20), phones: true };
const BEFORE: Duration = Duration::from_secs(5);
/// Some calls to a phone, one after the other.
const SOME: Load = Load {
    rate: 5,
    length: Duration::from_secs(2),
    talk: Duration::from_millis(200),
    phones: false,
};
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn calls() {
    if !nix::unistd::geteuid().is_root() {
        testnet::skipped("calls", "needs root");
        return;
    }
    let built = &scenario::programs();
    let daemons = Daemon::real();
    if daemons.is_empty() {
        testnet::skipped("calls", "needs a real OpenSIPS: the stand-in routes no calls");
    }
    for (number, daemon) in daemons.iter().enumerate() {
        println!("calls: runs against {daemon}");
        let name = format!("calls-{number}");
        let example = Example::HotStandby;
        let lab = scenario::up_for(example, &name, built, daemon, 10_000)
            .unwrap_or_else(|error| panic!("{error}"));
        scenario::configure_as(example, &lab, Fencing::On)
            .unwrap_or_else(|error| panic!("{error}"));
        sipp::prepare(&lab).unwrap_or_else(|error| panic!("{error}"));
        let pair = Pair::new(lab, example);
        planned_move(&pair)
            .unwrap_or_else(|error| panic!("{daemon}: {error}\n{}", scenario::status(&pair.lab)));
    }
}

#[test]
fn registered_phones() {
    if !nix::unistd::geteuid().is_root() {
        testnet::skipped("registered_phones", "needs root");
        return;
    }
    let built = &scenario::programs();
    let daemons = Daemon::real();
    if daemons.is_empty() {
        testnet::skipped(
            "registered_phones",
            "needs a real OpenSIPS: the stand-in routes no calls",
        );
    }
    for (number, daemon) in daemons.iter().enumerate() {
        println!("registered_phones: runs against {daemon}");
        let name = format!("phones-{number}");
        let example = Example::ActiveStandby;
        let lab = scenario::up_for(example, &name, built, daemon, 10_000)
            .unwrap_or_else(|error| panic!("{error}"));
        scenario::configure_as(example, &lab, Fencing::On)
            .unwrap_or_else(|error| panic!("{error}"));
        sipp::prepare(&lab).unwrap_or_else(|error| panic!("{error}"));
        let pair = Pair::new(lab, example);
        before_and_after_a_move(&pair)
            .unwrap_or_else(|error| panic!("{daemon}: {error}\n{}", scenario::status(&pair.lab)));
    }
}

/// A failover ends the registrations, and the next REGISTER of a phone makes it reachable again.
fn before_and_after_a_move(pair: &Pair) -> Result<(), String> {
    let active = pair.wait_placed(PATIENCE, |_| true)?;
    let _bob = Answering::bob(&pair.lab)?;
    sipp::register(&pair.lab, "bob", sipp::BOB_PORT)?;
    assert_eq!(failed_calls(pair)?, 0, "to a phone that has registered");
    sipp::refused(&pair.lab, &active)?;
    sipp::taken(&pair.lab)?;
    Fault::PlannedMove.strike(pair, &active)?;
    pair.wait_placed(PATIENCE, |node| node != active)?;
    sipp::register(&pair.lab, "bob", sipp::BOB_PORT)?;
    assert_eq!(failed_calls(pair)?, 0, "after the next REGISTER");
    Ok(())
}

fn failed_calls(pair: &Pair) -> Result<u64, String> {
    let told = Alice::call(&pair.lab, SOME)?.finish(&pair.lab)?;
    assert_eq!(told.statistics.calls, SOME.calls());
    Ok(told.statistics.failed)
}

fn planned_move(pair: &Pair) -> Result<(), String> {
    let outcome = case::run(pair, Fault::PlannedMove, LOAD, BEFORE)?;
    let statistics = outcome.statistics;
    println!("{statistics:?}, up at the move: {}", outcome.up().count());
    assert_eq!(statistics.calls, LOAD.calls());
    // What a node has taken and not yet forwarded when the address goes is lost with it: a matter of
    // a millisecond, and of more where the machine is busy. Nothing else may fail.
    let (never, lost) = (outcome.calls.never_answered(), outcome.calls.taken_and_lost());
    assert_eq!(never, lost, "{}", outcome.errors);
    assert_eq!(usize::try_from(statistics.failed), Ok(lost), "{}", outcome.errors);
    assert!(lost <= 2, "{lost} calls lost in a planned move");
    // The standby had learnt of calls that the other node had set up.
    assert!(outcome.dialogs_at_peer > Some(0), "{:?}", outcome.dialogs_at_peer);
    let moved = outcome.parts.runs.iter().find(|run| run.what == "vip start");
    let moved = moved.ok_or("the log of the new node has no start of the address")?.ended;
    let through_the_other: Vec<_> =
        outcome.up().filter(|call| call.hung_up > Some(moved)).collect();
    assert!(!through_the_other.is_empty(), "no call was up for longer than the move took");
    assert!(through_the_other.iter().all(|call| call.ended.is_some()));
    phones(&outcome.phones)?;
    // Each BYE has ended a dialog there: none is left that only a timeout would end.
    assert_eq!(outcome.dialogs_left, Some(0));
    Ok(())
}

/// Registrations and sessions that are refreshed survive the move; connections over TCP end, and those who
/// connect again are registered.
fn phones(told: &[Told]) -> Result<(), String> {
    let [refreshed, reinvited, connected] = told else { return Err(format!("{told:?}")) };
    println!("{refreshed:?}\n{reinvited:?}\n{connected:?}");
    assert_eq!(refreshed.failed, 0, "{refreshed:?}");
    // As calls: a re-INVITE that was taken and not yet forwarded.
    assert!(reinvited.failed <= 2, "{reinvited:?}");
    assert_eq!(connected.failed, 0, "{connected:?}");
    assert!(connected.connections > 0, "a connection outlived its node: {connected:?}");
    Ok(())
}
