//! start, stop and monitor, again and again, on hosts where others change things, too.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use testnet::{Host, wait_until};

use super::{
    LONG, Site, VIP, announcer, ends, fails, instances, locks, others, recurring, second_interface,
    shell, state, vip,
};

#[test]
fn every_action_again() {
    testnet::root_or_skip!();
    let site = Site::new();
    let before = state(&site.a);
    for agent in [
        site.vip(),
        site.vip().param("nic", "eth0"),
        site.vip().param("nic", "eth0").param("cidr_netmask", "255.255.255.0"),
        site.vip().param("cidr_netmask", "32"),
    ] {
        ends(&agent.action("validate-all"), 0);
        ends(&agent.action("monitor"), 7);
        ends(&agent.action("stop"), 0);
        assert_eq!(state(&site.a), before);
        for _ in 0..3 {
            ends(&agent.action("start"), 0);
            assert_eq!(instances(&site.a).len(), 1);
            let started = state(&site.a);
            ends(&agent.action("monitor"), 0);
            ends(&recurring(&agent), 0);
            ends(&agent.action("reload-agent"), 0);
            ends(&agent.clone().env("OCF_CHECK_LEVEL", "10").action("validate-all"), 0);
            assert_eq!(state(&site.a), started);
        }
        for _ in 0..3 {
            ends(&agent.action("stop"), 0);
            assert_eq!(state(&site.a), before);
            ends(&recurring(&agent), 7);
        }
        assert!(locks(&site.a).is_empty());
    }
}

#[test]
fn the_address_as_it_was_asked_for() {
    testnet::root_or_skip!();
    let site = Site::new();
    let shown = |given: &[(&str, &str)]| {
        let agent = given.iter().fold(site.vip(), |agent, (name, value)| agent.param(name, value));
        ends(&agent.action("start"), 0);
        let line = site.a.ip(&format!("-4 -o addr show to {VIP}"));
        ends(&agent.action("stop"), 0);
        line
    };
    let line = shown(&[]);
    assert!(line.contains(&format!("{VIP}/24 brd 192.0.2.255 scope global")), "{line}");
    let line = shown(&[("iflabel", "sip"), ("broadcast", "-")]);
    assert!(line.contains("brd 192.0.2.0 ") && line.contains(" eth0:sip"), "{line}");
    let line = shown(&[("cidr_netmask", "32"), ("broadcast", "192.0.2.127")]);
    assert!(line.contains(&format!("{VIP}/32 brd 192.0.2.127 ")), "{line}");
    let line = shown(&[("cidr_netmask", "32")]);
    assert!(!line.contains("brd"), "{line}");
}

#[test]
fn an_address_that_is_there_already_is_adopted() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip(&format!("addr add {VIP}/24 dev eth0"));
    ends(&recurring(&site.vip()), 0);
    ends(&site.vip().action("start"), 0);
    assert_eq!(instances(&site.a), [format!("eth0 {VIP}/24")]);
    ends(&site.vip().action("stop"), 0);
    assert!(instances(&site.a).is_empty());
}

#[test]
fn an_address_in_the_wrong_place_is_moved() {
    testnet::root_or_skip!();
    let site = Site::new();
    second_interface(&site.a);
    let kept = others(&site.a);
    let agent = site.vip().param("nic", "eth0").param("cidr_netmask", "24");
    for wrong in [
        &["addr add 192.0.2.10/32 dev eth0"][..],
        &["addr add 192.0.2.10/24 dev eth1"],
        &["addr add 192.0.2.10 peer 192.0.2.77/24 dev eth0"],
        &["addr add 192.0.2.10 peer 203.0.113.1/32 dev eth0"],
        &["addr add 192.0.2.10/32 dev lo", "addr add 192.0.2.10/25 dev eth1"],
    ] {
        for command in wrong {
            site.a.ip(command);
        }
        fails(&recurring(&agent), 1, "192.0.2.10 belongs on eth0 with /24, but this node has");
        ends(&agent.action("start"), 0);
        assert_eq!(instances(&site.a), [format!("eth0 {VIP}/24")], "{wrong:?}");
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        assert_eq!(others(&site.a), kept);
    }
    // Beside the right one: it serves, but somebody should look; start puts it in order.
    ends(&agent.action("start"), 0);
    site.a.ip("addr add 192.0.2.10/32 dev eth1");
    fails(&recurring(&agent), 190, "more than once: remove 192.0.2.10/32 on eth1");
    ends(&agent.action("start"), 0);
    assert_eq!(instances(&site.a), [format!("eth0 {VIP}/24")]);
}

#[test]
fn there_is_no_moment_without_the_vip_while_it_is_moved() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip(&format!("addr add {VIP}/32 dev eth0"));
    // Every change of an address, in the kernel's order.
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut monitor = Command::new("ip");
    monitor.args(["-4", "-o", "monitor", "address"]).stdout(log.reopen().unwrap());
    let mut watcher = site.a.spawn(&mut monitor);
    let read = || std::fs::read_to_string(log.path()).unwrap();
    // It watches as soon as it shows a change.
    wait_until("ip monitor watches", LONG, || {
        site.a.ip("addr add 198.51.100.7/32 dev lo");
        site.a.ip("addr del 198.51.100.7/32 dev lo");
        !read().is_empty()
    });
    let agent = site.vip().param("nic", "eth0").param("cidr_netmask", "24");
    ends(&agent.action("start"), 0);
    let about_vip = || read().lines().filter(|line| line.contains(VIP)).count();
    wait_until("both changes are seen", LONG, || about_vip() >= 2);
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    let changes = read();
    let changes: Vec<_> = changes.lines().filter(|line| line.contains(VIP)).collect();
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(changes[0].contains("/24") && !changes[0].starts_with("Deleted"), "{changes:?}");
    assert!(changes[1].contains("/32") && changes[1].starts_with("Deleted"), "{changes:?}");
}

#[test]
fn the_interface_vanishes() {
    testnet::root_or_skip!();
    let host = Host::new("host");
    let make = || {
        host.ip("link add eth0 type veth peer name far0");
        host.ip("link set far0 up");
        host.ip("link set eth0 up");
        host.ip("addr add 192.0.2.1/24 dev eth0");
        wait_until("eth0 is up", LONG, || super::is_up(&host, "eth0"));
    };
    make();
    let agent = vip(&host).param("nic", "eth0").param("cidr_netmask", "24");
    ends(&agent.clone().param("announce_schedule", "0,500,600000").action("start"), 0);
    assert!(announcer(&host).is_some());
    host.ip("link del eth0");
    ends(&recurring(&agent), 7);
    ends(&agent.action("monitor"), 7);
    fails(&super::hasty(&agent).action("start"), 1, "nic=eth0");
    wait_until("the announcer has ended", LONG, || locks(&host).is_empty());
    ends(&agent.action("stop"), 0);
    make();
    ends(&agent.action("start"), 0);
    ends(&recurring(&agent), 0);
    // Renamed, it is still the one that the kernel shows under the new name.
    host.ip("link set eth0 down");
    host.ip("link set eth0 name wan0");
    host.ip("link set wan0 up");
    fails(&recurring(&agent), 1, "interface eth0, which does not exist");
    ends(&agent.action("stop"), 0);
    assert!(instances(&host).is_empty());
}

/// 500 addresses of the VIP's own subnet and of another one.
fn crowd(host: &Host) {
    let lines = (0..500).map(|i| {
        let (net, at) = if i < 200 { ("192.0.2", i + 20) } else { ("198.51", i) };
        if net == "192.0.2" {
            format!("addr add {net}.{at}/24 dev eth0\n")
        } else {
            format!("addr add {net}.{}.{}/24 dev eth0\n", at / 200, at % 200 + 1)
        }
    });
    let batch: String = lines.collect();
    shell(host, &format!("ip -batch - <<'END'\n{batch}END\n"));
}

#[test]
fn among_500_other_addresses() {
    testnet::root_or_skip!();
    let site = Site::new();
    crowd(&site.a);
    let before = others(&site.a);
    assert_eq!(before.len(), 501);
    ends(&site.vip().action("monitor"), 7);
    ends(&site.vip().action("start"), 0);
    ends(&recurring(&site.vip()), 0);
    assert_eq!(others(&site.a), before);
    ends(&site.vip().action("stop"), 0);
    ends(&recurring(&site.vip()), 7);
    assert_eq!(others(&site.a), before);
}

#[test]
fn a_table_that_keeps_changing_is_never_read_as_not_running() {
    testnet::root_or_skip!();
    let site = Site::new();
    crowd(&site.a);
    ends(&site.vip().action("start"), 0);
    let over = AtomicBool::new(false);
    let codes = std::thread::scope(|scope| {
        for flapping in ["203.0.113.1/24 dev lo", "203.0.113.9/32 dev eth0"] {
            let (over, host) = (&over, &site.a);
            scope.spawn(move || {
                let both = format!("addr add {flapping}\naddr del {flapping}\n").repeat(100);
                while !over.load(Ordering::Relaxed) {
                    shell(host, &format!("ip -batch - <<'END'\n{both}END\n"));
                }
            });
        }
        let outcomes: Vec<_> = (0..150).map(|_| recurring(&site.vip())).collect();
        over.store(true, Ordering::Relaxed);
        outcomes
    });
    // 1 with the reason if the kernel never gave a consistent picture; never 7.
    for outcome in &codes {
        if outcome.code != 0 {
            fails(outcome, 1, "kept changing");
        }
    }
    assert!(codes.iter().any(|outcome| outcome.code == 0));
    ends(&site.vip().action("stop"), 0);
}

#[test]
fn what_something_else_has_removed_is_told() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("announce_schedule", "0");
    ends(&agent.action("start"), 0);
    site.a.ip(&format!("addr del {VIP}/24 dev eth0"));
    let reason = "192.0.2.10 has been removed from this node by something other than the cluster";
    fails(&recurring(&agent), 7, reason);
    // What a probe finds is no surprise.
    let probe = agent.action("monitor");
    ends(&probe, 7);
    assert_eq!(probe.exit_reason, None);
    ends(&agent.action("stop"), 0);
    let after = recurring(&agent);
    ends(&after, 7);
    assert_eq!(after.exit_reason, None);
}

/// Whatever the umask of the process that executes the agent.
#[test]
fn nobody_else_can_write_the_files() {
    use std::os::unix::fs::PermissionsExt;
    testnet::root_or_skip!();
    let site = Site::new();
    let program = super::program();
    shell(&site.a, &format!("umask 0; exec {} start --ip {VIP} 2>/dev/null", program.display()));
    let files = super::files(&site.a);
    assert!(files.len() > 2, "{files:?}");
    for file in files {
        let mode = site.a.run(|| std::fs::metadata(&file).unwrap().permissions().mode());
        assert_eq!(mode & 0o022, 0, "{} {mode:o}", file.display());
    }
    ends(&site.vip().action("stop"), 0);
}
