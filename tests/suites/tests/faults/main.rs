//! A few of the faults of `make faults-injected`: system calls that fail, one in each run.
//! The daemon is the stand-in, not OpenSIPS.

// Functions beside the tests are test code, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

use suites::daemon::Daemon;
use suites::faults::{Address, Case, Service, Share, Subject, play};

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
