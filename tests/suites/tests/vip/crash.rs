//! The agent is killed at each system call that changes something; then stop is 0, nothing is left, and
//! what belongs to others is as it was.

use std::process::Command;

use testnet::Host;

use super::{Site, ends, has_strace, instances, locks, plain, program, shell};

/// What can change something: messages to the kernel, files.
const CALLS: [&str; 8] =
    ["sendto", "sendmsg", "openat", "write", "rename", "unlink", "mkdir", "clone3"];
/// More calls of one kind than an action makes.
const ENOUGH: u32 = 120;

/// Addresses, routes and rules of all tables, and the setting that stop may change for a moment.
fn everything(host: &Host) -> String {
    let shown: String = [
        "-o addr show",
        "-d route show table all",
        "-d rule",
        "-d -6 route show table all",
        "-d -6 rule",
    ]
    .map(|what| host.ip(what))
    .concat();
    shown
}

fn site() -> Site {
    let site = Site::new();
    site.a.ip("route add default via 192.0.2.99 dev eth0 metric 100 mtu 1400");
    site.a.ip("rule add from 192.0.2.1 lookup 77 priority 500");
    super::wait_until_ipv6_is_settled(&site.a);
    site
}

const PARAMETERS: [&str; 8] = [
    "--ip=192.0.2.10",
    "--nic=eth0",
    "--gateway=192.0.2.99",
    "--source_for=0.0.0.0/0",
    "--duplicate_timeout=10ms",
    "--announce_schedule=0,600000",
    "--close_connections=yes",
    "--cidr_netmask=24",
];

/// Runs an action that is killed at its call number `at` of that kind; `false` if it has not so many.
fn killed_at(host: &Host, action: &str, call: &str, at: u32) -> bool {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    strace.arg(format!("--inject={call}:signal=SIGKILL:when={at}"));
    strace.arg(program()).arg(action).args(PARAMETERS).env_clear();
    let status = host.output(&mut strace).status;
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(9)
}

/// Kills the action everywhere; how often that was.
fn everywhere(site: &Site, action: &str, prepare: impl Fn()) -> u32 {
    let before = everything(&site.a);
    let stop = plain(&site.a).param("ip", super::VIP);
    let mut kills = 0;
    for call in CALLS {
        for at in 1..=ENOUGH {
            prepare();
            if !killed_at(&site.a, action, call, at) {
                ends(&stop.action("stop"), 0);
                break;
            }
            kills += 1;
            assert!(at < ENOUGH, "{call} does not end");
            ends(&stop.action("stop"), 0);
            let place = format!("{action} killed at {call} number {at}");
            assert!(instances(&site.a).is_empty(), "{place}");
            assert_eq!(everything(&site.a), before, "{place}");
            let left = locks(&site.a);
            let announcers: Vec<_> =
                left.iter().filter(|path| path.to_string_lossy().contains("announcer")).collect();
            assert!(announcers.is_empty(), "{place}: {announcers:?}");
        }
    }
    kills
}

#[test]
fn in_start() {
    testnet::root_or_skip!();
    if !has_strace("crash::in_start") {
        return;
    }
    let site = site();
    let kills = everywhere(&site, "start", || ());
    // Address, routes, rule, announcements, announcer: it was killed in the middle of much.
    assert!(kills > 20, "{kills}");
}

#[test]
fn in_stop() {
    testnet::root_or_skip!();
    if !has_strace("crash::in_stop") {
        return;
    }
    let site = site();
    let start = || {
        let mut agent = Command::new(program());
        let output = site.a.output(agent.arg("start").args(PARAMETERS).env_clear());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let kills = everywhere(&site, "stop", start);
    assert!(kills > 15, "{kills}");
}

#[test]
fn with_a_stop_that_was_interrupted_between_two_settings() {
    testnet::root_or_skip!();
    // promote_secondaries is set for the moment of the deletion: the VIP is the primary one here.
    let site = Site::new();
    site.a.ip("addr flush dev eth0 scope global");
    shell(&site.a, "echo 0 > /proc/sys/net/ipv4/conf/all/promote_secondaries");
    shell(&site.a, "echo 0 > /proc/sys/net/ipv4/conf/eth0/promote_secondaries");
    for call in ["sendto", "sendmsg", "openat", "write", "unlink"] {
        for at in 1..=ENOUGH {
            site.a.ip("addr add 192.0.2.10/24 dev eth0");
            site.a.ip("addr add 192.0.2.20/24 dev eth0");
            // Adopted: without a note, a primary address is the host's own.
            ends(&super::recurring(&plain(&site.a).param("ip", super::VIP)), 0);
            let killed = has_strace("crash::with_a_stop") && killed_at(&site.a, "stop", call, at);
            ends(&plain(&site.a).param("ip", super::VIP).action("stop"), 0);
            assert!(instances(&site.a).is_empty());
            assert_eq!(super::others(&site.a), ["eth0 192.0.2.20/24"], "{call} {at}");
            let setting = "/proc/sys/net/ipv4/conf/eth0/promote_secondaries";
            let setting = site.a.run(|| std::fs::read_to_string(setting).unwrap());
            assert_eq!(setting.trim(), "0", "{call} {at}");
            site.a.ip("addr flush dev eth0 scope global");
            if !killed {
                break;
            }
        }
    }
}
