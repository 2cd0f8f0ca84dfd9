//! Our column of the comparison with ocf:heartbeat:IPaddr2: each fault of the list, and the cases of
//! resource-agents' ocft.

// Functions beside the tests are test code, too.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::path::Path;

use suites::compare::ocft::CASES;
use suites::compare::{Contender, SCENARIOS};

fn ours() -> Contender {
    Contender::ours(&testnet::binary("opensips-vip"))
}

/// Our agent is put through the fault with this number.
#[track_caller]
fn is_right(number: u8) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.number == number).unwrap();
    let record = scenario.put_through(&ours());
    assert!(record.is_right(), "{number} {}: {}\n{record}", scenario.name, scenario.fault);
}

macro_rules! faults {
    ($($test:ident => $number:literal),* $(,)?) => {
        $(
            #[test]
            fn $test() {
                testnet::root_or_skip!();
                is_right($number);
            }
        )*

        #[test]
        fn every_fault_has_its_test() {
            let tested = [$($number),*];
            assert!(SCENARIOS.iter().map(|scenario| scenario.number).eq(tested));
        }
    };
}

faults! {
    no_announcement_after_stop => 1,
    stop_without_a_connected_route => 2,
    copies_of_the_address => 3,
    carrier_lost_with_an_altname => 4,
    ipv6_dadfailed => 5,
    ipv6_sibling_dadfailed => 6,
    ipv6_spelling => 7,
    start_without_carrier => 8,
    vip_is_the_primary_address => 9,
    source_of_a_destination => 10,
    network_namespace_missing => 11,
    source_of_the_default_route => 12,
    processes_of_a_monitor => 13,
    ipv6_address_labels => 14,
    interval_and_result_of_announcements => 15,
}

/// The scenarios can fail: programs that only say yes or no are right in none of them.
#[test]
fn an_agent_that_does_nothing_is_right_in_no_scenario() {
    testnet::root_or_skip!();
    let fooled: Vec<_> = ["/bin/true", "/bin/false"]
        .iter()
        .flat_map(|program| {
            let contender = Contender::ours(Path::new(program));
            SCENARIOS
                .iter()
                .filter(|scenario| scenario.put_through(&contender).is_right())
                .map(|scenario| format!("{program}: {}", scenario.name))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(fooled.is_empty(), "{fooled:?}");
}

/// Nor is one that does it the careless way; the faults that the peer's packaged version does not
/// have are seen in this one.
#[test]
fn a_careless_agent_is_caught() {
    testnet::root_or_skip!();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compare/careless-agent");
    let contender = Contender::ours(&program);
    let wrong = |number: u8| {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.number == number).unwrap();
        let record = scenario.put_through(&contender);
        assert_eq!(record.shows_fault(), Some(true), "{}\n{record}", scenario.name);
        record.wrong().join("; ")
    };
    assert!(wrong(1).contains("no frame for 192.0.2.10 after stop has returned"));
    assert!(wrong(14).contains("start leaves the labels alone"));
    assert!(wrong(15).contains("arp_interval=4000 keeps announcements apart"));
}

fn cases(file: &str) {
    let failed: Vec<_> = CASES
        .iter()
        .filter(|case| case.file == file)
        .filter_map(|case| {
            let record = case.put_through(&ours(), true);
            (!record.is_right()).then(|| format!("{} {}\n{record}", case.number, case.title))
        })
        .collect();
    assert!(failed.is_empty(), "{file}:\n{}", failed.join("\n"));
}

#[test]
fn ocft_cases_of_ipv4() {
    testnet::root_or_skip!();
    cases("IPaddr2v4");
}

#[test]
fn ocft_cases_of_ipv6() {
    testnet::root_or_skip!();
    cases("IPaddr2v6");
}
