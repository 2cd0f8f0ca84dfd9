//! What an action costs, in counts that no load changes: processes and system calls.

use std::collections::BTreeMap;

use testnet::{Host, agent};

use super::{Site, VIP, ends, program};

/// System calls of one action and of everything it starts, by name, as strace(1) counts them.
/// `None` if there is no strace, or it may not trace here.
fn counted(host: &Host, words: &[&str]) -> Option<BTreeMap<String, u32>> {
    if !std::path::Path::new("/usr/bin/strace").exists() {
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let table = directory.path().join("table");
    let (table_text, program) = (table.to_str().unwrap(), program());
    let arguments = ["-c", "-o", table_text, program.to_str().unwrap()];
    let outcome = agent(host, "/usr/bin/strace").args(arguments.iter().chain(words)).action("-f");
    if outcome.stderr.contains("ptrace") {
        return None;
    }
    ends(&outcome, 0);
    let table = std::fs::read_to_string(&table).unwrap();
    // % time, seconds, usecs/call, calls, errors if there were any, name.
    let counts = table.lines().filter_map(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        Some(((*columns.last()?).to_owned(), columns.get(3)?.parse().ok()?))
    });
    let counts: BTreeMap<_, _> = counts.filter(|(name, _)| name != "total").collect();
    assert!(counts.len() > 5, "{table}");
    Some(counts)
}

fn of(counts: &BTreeMap<String, u32>, names: &[&str]) -> u32 {
    names.iter().filter_map(|name| counts.get(*name)).sum()
}

const FORKS: [&str; 4] = ["clone", "clone3", "fork", "vfork"];

#[test]
fn monitor_starts_nothing_and_asks_little() {
    testnet::root_or_skip!();
    let site = Site::new();
    ends(&site.vip().param("announce_schedule", "0").action("start"), 0);
    for words in [
        &["monitor", "--ip", VIP, "--duplicate_check", "no"][..],
        &[
            "monitor",
            "--ip",
            VIP,
            "--nic",
            "eth0",
            "--cidr_netmask",
            "24",
            "--duplicate_check",
            "no",
        ],
    ] {
        let Some(counts) = counted(&site.a, words) else {
            testnet::skipped("cost::monitor_starts_nothing_and_asks_little", "needs strace");
            return;
        };
        let total: u32 = counts.values().sum();
        println!("monitor: {total} system calls");
        assert_eq!(of(&counts, &["execve", "execveat"]), 1, "{counts:?}");
        assert_eq!(of(&counts, &FORKS), 0, "{counts:?}");
        assert!(total < 120, "{total}: {counts:?}");
        // One socket, one question for the addresses, one for the link, one for the VIP's own route: an
        // address without it is listed, and does not serve.
        assert_eq!(of(&counts, &["socket"]), 1, "{counts:?}");
        assert_eq!(of(&counts, &["sendto", "sendmsg"]), 3, "{counts:?}");
    }
}

#[test]
fn stop_of_what_is_stopped_costs_no_more() {
    testnet::root_or_skip!();
    let site = Site::new();
    let Some(counts) = counted(&site.a, &["stop", "--ip", VIP]) else {
        testnet::skipped("cost::stop_of_what_is_stopped_costs_no_more", "needs strace");
        return;
    };
    assert_eq!(of(&counts, &FORKS), 0, "{counts:?}");
    assert!(counts.values().sum::<u32>() < 120, "{counts:?}");
}

#[test]
fn start_starts_at_most_the_announcer() {
    testnet::root_or_skip!();
    let site = Site::new();
    for (schedule, forks) in [("0", 0), ("0,10", 1)] {
        let words = ["start", "--ip", VIP, "--announce_schedule", schedule];
        let Some(counts) = counted(&site.a, &words) else {
            testnet::skipped("cost::start_starts_at_most_the_announcer", "needs strace");
            return;
        };
        assert_eq!(of(&counts, &FORKS), forks, "{counts:?}");
        assert_eq!(of(&counts, &["execve", "execveat"]), forks + 1, "{counts:?}");
    }
}
