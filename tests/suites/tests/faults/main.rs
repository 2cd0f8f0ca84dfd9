//! A few of the faults of `make faults-injected`: system calls that fail, one in each run.
//! The daemon is the stand-in, not OpenSIPS.

// Functions beside the tests are test code, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

use suites::daemon::Daemon;
use suites::faults::{Address, Case, Service, Share, State, Subject, play};

/// Puts some faults to these actions, or to every one: each `of`-th, another one for each case.
fn some_of(subject: &dyn Subject, of: usize, cases: &[&str]) {
    let mut faults = 0;
    let wanted = |case: &Case| cases.is_empty() || cases.contains(&case.to_string().as_str());
    for (first, case) in subject.cases().into_iter().filter(wanted).enumerate() {
        let tally = play(subject, case, Share { kinds: false, first, of }, &|_| true).unwrap();
        assert_eq!(tally.violations, [""; 0]);
        faults += tally.faults;
    }
    // A record that shows no calls would pass everything.
    assert!(faults > 5, "{faults}");
}

/// Where the agents are that the suites test.
fn agents(name: &str) -> PathBuf {
    testnet::binary(name).parent().unwrap().to_owned()
}

fn has_strace(test: &str) -> bool {
    let found = Path::new("/usr/bin/strace").exists();
    if !found {
        testnet::skipped(test, "strace is not installed");
    }
    found
}

#[test]
fn of_the_address() {
    testnet::root_or_skip!();
    if has_strace("faults::of_the_address") {
        some_of(&Address::new(&agents("opensips-vip")), 151, &[]);
    }
}

#[test]
fn of_opensips() {
    testnet::root_or_skip!();
    if has_strace("faults::of_opensips") {
        let directory = tempfile::tempdir().unwrap();
        let daemon = Daemon::stand_in_for_suite();
        let service = Service::new(&agents("opensips"), &daemon, directory.path()).unwrap();
        let cases = ["start, stopped", "stop, started", "monitor, started", "demote, promoted"];
        some_of(&service, 1201, &cases);
    }
}

/// A start that fails bars its node, and one of promote moves the service. The calls are those after which they did.
#[test]
fn a_start_succeeds_though_one_call_met_a_shortage() {
    testnet::root_or_skip!();
    if has_strace("faults::a_start_succeeds") {
        let directory = tempfile::tempdir().unwrap();
        let daemon = Daemon::stand_in_for_suite();
        let service = Service::new(&agents("opensips"), &daemon, directory.path()).unwrap();
        let start = |case: &Case| case.to_string() == "start, stopped";
        let start = service.cases().into_iter().find(start).unwrap();
        let calls = ["flock", "ftruncate", "ppoll", "unlink", "memfd_create", "dup"];
        let wanted = |place: &str| {
            let is_one = calls.iter().any(|call| place.contains(&format!(": {call} number")));
            is_one && place.ends_with("ENOMEM")
        };
        let every = Share { kinds: true, first: 0, of: 1 };
        let tally = play(&service, start, every, &wanted).unwrap();
        assert_eq!(tally.violations, [""; 0]);
        assert!(tally.faults > calls.len(), "{}", tally.faults);
    }
}

/// Who can't look has no reason to end a service. The calls are those after which monitor did, the first and the
/// last of each kind.
#[test]
fn monitor_fails_nothing_that_it_could_not_look_at() {
    testnet::root_or_skip!();
    if !has_strace("faults::monitor_fails_nothing") {
        return;
    }
    let address = Address::new(&agents("opensips-vip"));
    let directory = tempfile::tempdir().unwrap();
    let daemon = Daemon::stand_in_for_suite();
    let service = Service::new(&agents("opensips"), &daemon, directory.path()).unwrap();
    let calls = ["epoll_create1", "socket", "readlink"];
    let wanted = |place: &str| {
        let is_one = calls.iter().any(|call| place.contains(&format!(": {call} number")));
        is_one && (place.ends_with("EIO") || place.ends_with("EPERM"))
    };
    let every = Share { kinds: true, first: 0, of: 1 };
    let subjects: [(&dyn Subject, &str); 3] = [
        (&address, "monitor, started"),
        (&service, "monitor, started"),
        (&service, "monitor, promoted"),
    ];
    for (subject, name) in subjects {
        let case = subject.cases().into_iter().find(|case| case.to_string() == name).unwrap();
        let tally = play(subject, case, every, &wanted).unwrap();
        assert_eq!(tally.violations, [""; 0], "{name}");
        assert!(tally.faults >= 4, "{name}: {}", tally.faults);
    }
}

/// A probe lists the processes of the host, and the resources that are noted there.
#[test]
fn a_probe_says_7_though_one_list_was_cut_short() {
    testnet::root_or_skip!();
    if has_strace("faults::a_probe_says_7") {
        let directory = tempfile::tempdir().unwrap();
        let daemon = Daemon::stand_in_for_suite();
        let service = Service::new(&agents("opensips"), &daemon, directory.path()).unwrap();
        let probe = |case: &Case| case.before == State::Stopped && case.action == "monitor";
        let probe = service.cases().into_iter().find(probe).unwrap();
        let wanted = |place: &str| place.contains("getdents64") && place.ends_with("ENOMEM");
        let every = Share { kinds: true, first: 0, of: 1 };
        let tally = play(&service, probe, every, &wanted).unwrap();
        assert_eq!(tally.violations, [""; 0]);
        assert!(tally.faults > 0);
    }
}
