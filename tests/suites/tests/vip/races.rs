//! Two VIPs start or stop at the same moment on one node: each ends as if it was alone.

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output};

use testnet::{Agent, Host, Outcome, wait_until};

use super::{
    HeldLock, LONG, Site, VIP, ends, fails, has_strace, instances, is_at_work, is_up, locks,
    others, plain, program, recurring, routing, shell,
};

/// How often two actions meet by chance; most faults need more rounds than that, which the tests with
/// strace don't.
const ROUNDS: u32 = 12;

/// Runs an action of two VIPs at once.
fn both(agents: &[Agent; 2], action: &str) -> [Outcome; 2] {
    std::thread::scope(|scope| {
        agents
            .each_ref()
            .map(|agent| scope.spawn(|| agent.action(action)))
            .map(|it| it.join().unwrap())
    })
}

#[track_caller]
fn both_end(agents: &[Agent; 2], action: &str) {
    both(agents, action).iter().for_each(|outcome| ends(outcome, 0));
}

/// An action by hand whose messages to the kernel strace(1) writes down.
fn traced(options: &[&str], words: &[&str]) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-e", "trace=sendto", "-o", "/run/trace"]).args(options);
    strace.arg(program()).args(words).env_clear();
    strace
}

/// Which message to the kernel of an action is the first of that type, counted from 1.
fn number_of(host: &Host, words: &[&str], kind: &str) -> usize {
    let output = host.output(&mut traced(&[], words));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    trace(host).lines().position(|line| line.contains(kind)).expect(kind) + 1
}

fn trace(host: &Host) -> String {
    host.run(|| std::fs::read_to_string("/run/trace").unwrap_or_default())
}

/// Holds an action before its message of that number, for the time of `meanwhile`.
fn held(host: &Host, words: &[&str], number: usize, meanwhile: impl FnOnce()) -> Output {
    host.run(|| std::fs::write("/run/trace", "").unwrap());
    let inject = format!("--inject=sendto:delay_enter=4000000:when={number}");
    std::thread::scope(|scope| {
        let action = scope.spawn(|| host.output(&mut traced(&[&inject], words)));
        wait_until("the action is at its message", LONG, || {
            trace(host).lines().count() + 1 >= number || action.is_finished()
        });
        meanwhile();
        action.join().unwrap()
    })
}

#[track_caller]
fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A node without an address of its own in the subnet of its VIPs, and the two VIPs.
fn siblings(site: &Site) -> [Agent; 2] {
    site.a.ip("addr flush dev eth0");
    for interface in ["all", "eth0"] {
        site.a.sysctl(&format!("net/ipv4/conf/{interface}/promote_secondaries"), "0");
    }
    [VIP, "192.0.2.11"].map(|ip| {
        let agent = plain(&site.a).param("ip", ip).param("nic", "eth0").param("cidr_netmask", "24");
        agent.param("announce_schedule", "0").param("duplicate_timeout", "10ms")
    })
}

#[test]
fn a_stop_keeps_the_vip_that_is_just_being_added() {
    testnet::root_or_skip!();
    if !has_strace("races::a_stop_keeps_the_vip_that_is_just_being_added") {
        return;
    }
    let site = Site::new();
    let [one, other] = siblings(&site);
    let stop = ["stop", "--ip", VIP];
    ends(&one.action("start"), 0);
    let number = number_of(&site.a, &stop, "RTM_DELADDR");
    ends(&one.action("start"), 0);
    succeeds(&held(&site.a, &stop, number, || ends(&other.action("start"), 0)));
    assert_eq!(others(&site.a), ["eth0 192.0.2.11/24"]);
    assert!(instances(&site.a).is_empty());
    ends(&recurring(&other), 0);
    let setting = "/proc/sys/net/ipv4/conf/eth0/promote_secondaries";
    assert_eq!(site.a.run(|| std::fs::read_to_string(setting).unwrap()).trim(), "0");
}

#[test]
fn one_stops_and_one_starts_again_and_again() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agents = siblings(&site);
    let [one, other] = &agents;
    let rounds = || {
        for _ in 0..ROUNDS {
            ends(&one.action("start"), 0);
            std::thread::scope(|scope| {
                let stop = scope.spawn(|| one.action("stop"));
                ends(&other.action("start"), 0);
                ends(&stop.join().unwrap(), 0);
            });
            ends(&recurring(other), 0);
            ends(&recurring(one), 7);
            ends(&other.action("stop"), 0);
        }
    };
    rounds();
    // As in a container: the kernel deletes the siblings, and they are added again.
    shell(&site.a, "mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys");
    rounds();
    assert!(locks(&site.a).is_empty(), "{:?}", locks(&site.a));
}

#[test]
fn a_start_waits_only_for_a_moment_for_a_deletion() {
    testnet::root_or_skip!();
    let site = Site::new();
    let [one, _] = siblings(&site);
    let held = HeldLock::of_promotion(&site.a);
    ends(&one.action("start"), 0);
    ends(&recurring(&one), 0);
    drop(held);
    ends(&one.action("stop"), 0);
}

/// The parameters of two VIPs whose first choice is the same table, or the same metric.
fn routed() -> [[[&'static str; 7]; 2]; 2] {
    let four = ["192.0.2.10", "10.0.2.10"].map(|ip| {
        [
            "start",
            "--ip",
            ip,
            "--nic=eth0",
            "--cidr_netmask=24",
            "--gateway=192.0.2.99",
            "--announce_schedule=0",
        ]
    });
    let six = ["2001:db8::10", "2001:db8::11"].map(|ip| {
        [
            "start",
            "--ip",
            ip,
            "--nic=eth0",
            "--cidr_netmask=64",
            "--source_for=::/0",
            "--announce_schedule=0",
        ]
    });
    [four, six]
}

#[test]
fn a_table_or_metric_that_another_start_takes_first() {
    testnet::root_or_skip!();
    if !has_strace("races::a_table_or_metric_that_another_start_takes_first") {
        return;
    }
    let site = routing::site();
    let before = routing::tables(&site.a);
    for [one, other] in routed() {
        let by_hand = |action: &str, words: &[&str; 7]| {
            let output =
                site.a.output(Command::new(program()).arg(action).args(&words[1..]).env_clear());
            succeeds(&output);
        };
        let number = number_of(&site.a, &one, "RTM_NEWROUTE");
        by_hand("stop", &one);
        succeeds(&held(&site.a, &one, number, || by_hand("start", &other)));
        for action in ["monitor", "stop"] {
            by_hand(action, &one);
            by_hand(action, &other);
        }
        assert_eq!(routing::tables(&site.a), before);
    }
}

#[test]
fn two_vips_that_want_the_same_table_or_metric_start_at_once() {
    testnet::root_or_skip!();
    let site = routing::site();
    let before = routing::tables(&site.a);
    for pair in routed() {
        let agents = pair.map(|words| {
            let agent = plain(&site.a).param("ip", words[2]);
            words[3..].iter().fold(agent, |agent, word| {
                let (name, value) = word.trim_start_matches("--").split_once('=').unwrap();
                agent.param(name, value)
            })
        });
        for _ in 0..ROUNDS {
            both_end(&agents, "start");
            agents.iter().for_each(|agent| ends(&recurring(agent), 0));
            both_end(&agents, "stop");
            assert_eq!(routing::tables(&site.a), before);
        }
    }
}

/// Two VIPs that were given the same table: the one that has it keeps it, and monitor says so.
#[test]
fn a_route_table_stays_with_the_vip_whose_rule_leads_there() {
    testnet::root_or_skip!();
    let site = routing::site();
    let one = site.vip().param("gateway", "192.0.2.99").param("route_table", "100");
    ends(&one.action("start"), 0);
    // What the other start has added when it finds that out.
    site.a.ip("route add 192.0.3.0/24 dev eth0 table 100 proto 176");
    ends(&recurring(&one), 0);
    ends(&one.action("start"), 0);
    site.a.ip("route del 192.0.3.0/24 table 100");
    ends(&one.action("stop"), 0);
}

#[test]
fn a_failed_start_leaves_an_interface_up_that_another_vip_uses() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
    site.a.ip("link set eth0 down");
    // The switch may take long until it forwards again.
    let fails_later = site.vip().param("duplicate_timeout", "10s");
    let fails_later = fails_later.param("duplicate_wait", "3s").param("link_wait", "60s");
    let refused =
        |outcome: &Outcome| fails(outcome, 1, "192.0.2.10 is in use by 02:00:00:00:00:0b");
    // Alone, it leaves the interface as it was.
    refused(&fails_later.action("start"));
    assert!(site.a.ip("link show dev eth0").contains("state DOWN"));
    let other = plain(&site.a).param("ip", "192.0.2.11").param("link_wait", "60s");
    std::thread::scope(|scope| {
        let start = scope.spawn(|| fails_later.action("start"));
        wait_until("the interface is up", LONG, || is_up(&site.a, "eth0"));
        ends(&other.action("start"), 0);
        refused(&start.join().unwrap());
    });
    assert!(is_up(&site.a, "eth0"));
    ends(&recurring(&other), 0);
    ends(&other.action("stop"), 0);
    // Another start that has not added its address yet relies on the interface, too.
    site.a.ip("link set eth0 down");
    site.a.run(|| {
        let namespace = std::fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
        std::fs::write(format!("/run/smartvox/vip-192.0.2.12@{namespace}.lock"), "").unwrap();
    });
    refused(&fails_later.action("start"));
    assert!(is_up(&site.a, "eth0"));
}

/// The same address in two resources: a mistake that pcs refuses, and that must not end worse here.
#[test]
fn two_resources_with_one_address() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = |instance| {
        let agent = site.vip().under_pacemaker(instance).env("PCMK_service", "pacemaker-execd");
        agent.param("announce_schedule", "0,600000")
    };
    let agents = [agent("one"), agent("two")];
    for _ in 0..ROUNDS {
        both_end(&agents, "start");
        assert_eq!(instances(&site.a), [format!("eth0 {VIP}/24")]);
        agents.iter().for_each(|agent| ends(&recurring(agent), 0));
        assert!(super::announcer(&site.a).is_some());
        both_end(&agents, "stop");
        agents.iter().for_each(|agent| ends(&recurring(agent), 7));
        assert!(locks(&site.a).is_empty(), "{:?}", locks(&site.a));
    }
    assert!(!is_at_work(&site.a));
}
