//! A few of the faults of `make faults-injected`: system calls that fail, one in each run.
//! The daemon is the stand-in, not OpenSIPS.

// Functions beside the tests are test code, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use suites::daemon::Daemon;
use suites::faults::{Address, Case, Service, Share, State, Subject, play};
use testnet::{Outcome, wait_until};

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

fn service(directory: &Path) -> Service {
    let daemon = Daemon::stand_in_for_suite();
    Service::new(&agents("opensips"), &daemon, directory).unwrap()
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
        let service = service(directory.path());
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
        let service = service(directory.path());
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
    let service = service(directory.path());
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

/// A monitor whose look at the sockets fails sees whether OpenSIPS lives and answers.
#[test]
fn a_failed_look_hides_no_death() {
    testnet::root_or_skip!();
    if !has_strace("faults::a_failed_look_hides_no_death") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let service = service(directory.path());
    let strace =
        ["/usr/bin/strace", "-qq", "-o", "/dev/null", "-e", "inject=socket:error=EIO:when=1"];
    let look = |stall_limit: &str| {
        let agent = service.agent().under(strace.map(str::to_owned));
        let agent = agent.env("OCF_RESKEY_CRM_meta_interval", "10000");
        agent.param("stall_limit", stall_limit).timeout(Duration::from_secs(120)).action("monitor")
    };
    let signal = |signal| {
        for pid in service.host().processes() {
            // One that has ended meanwhile has not to be told.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    };
    let is = |outcome: Outcome, code: i32, words: &str| {
        let reason = outcome.exit_reason.unwrap_or_default();
        assert!(outcome.code == code && reason.contains(words), "{}: {reason}", outcome.code);
    };
    assert_eq!(service.agent().action("start").code, 0);
    is(look("60s"), 190, "cannot open a sock_diag socket: Input/output error: see journalctl -k");
    signal(Signal::SIGSTOP);
    is(look("60s"), 190, "no answer to OPTIONS at udp:127.0.0.1:5060");
    is(look("0"), 1, "does not serve: no answer to OPTIONS");
    signal(Signal::SIGKILL);
    wait_until("OpenSIPS has ended", Duration::from_secs(60), || !service.is_alive());
    is(look("60s"), 7, "died");
}

/// A probe lists the processes of the host, and the resources that are noted there.
#[test]
fn a_probe_says_7_though_one_list_was_cut_short() {
    testnet::root_or_skip!();
    if has_strace("faults::a_probe_says_7") {
        let directory = tempfile::tempdir().unwrap();
        let service = service(directory.path());
        let probe = |case: &Case| case.before == State::Stopped && case.action == "monitor";
        let probe = service.cases().into_iter().find(probe).unwrap();
        let wanted = |place: &str| place.contains("getdents64") && place.ends_with("ENOMEM");
        let every = Share { kinds: true, first: 0, of: 1 };
        let tally = play(&service, probe, every, &wanted).unwrap();
        assert_eq!(tally.violations, [""; 0]);
        assert!(tally.faults > 0);
    }
}
