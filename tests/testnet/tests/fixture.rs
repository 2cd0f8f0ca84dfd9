//! The fixture itself: what it promises to the tests that use it.

// Functions beside the tests are test code, too.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testnet::{Capture, Direction, Host, Switch, agent, cable, neighbour_cache, wait_until};

const A: &str = "02:00:00:00:00:0a";
const B: &str = "02:00:00:00:00:0b";
const C: &str = "02:00:00:00:00:0c";
const LONG: Duration = Duration::from_secs(60);

fn netns() -> u64 {
    std::fs::metadata("/proc/thread-self/ns/net").unwrap().ino()
}

#[test]
fn hosts_are_apart_and_have_a_run_of_their_own() {
    testnet::root_or_skip!();
    let (a, b) = (Host::new("a"), Host::new("b"));
    let outside = netns();
    let inside = a.run(netns);
    assert_ne!(inside, outside);
    assert_ne!(inside, b.run(netns));
    assert_eq!(inside, a.run(netns));
    let directory = std::env::current_dir().unwrap();
    assert_eq!(a.run(|| std::env::current_dir().unwrap()), directory);
    a.run(|| std::fs::write("/run/testnet-fixture", "a").unwrap());
    assert!(a.run(|| Path::new("/run/testnet-fixture").exists()));
    assert!(!b.run(|| Path::new("/run/testnet-fixture").exists()));
    assert!(!Path::new("/run/testnet-fixture").exists());
    // Links and settings as the host sees them.
    a.ip("link add eth9 type veth peer name eth8");
    assert!(a.run(|| Path::new("/sys/class/net/eth9").exists()));
    assert!(!b.run(|| Path::new("/sys/class/net/eth9").exists()));
    a.sysctl("net/ipv4/ip_nonlocal_bind", "1");
    let read = || std::fs::read_to_string("/proc/sys/net/ipv4/ip_nonlocal_bind").unwrap();
    assert_eq!((a.run(read).trim(), b.run(read).trim()), ("1", "0"));
}

#[test]
fn nothing_is_left_of_a_dropped_host() {
    testnet::root_or_skip!();
    let host = Host::new("a");
    // A grandchild in another session, which nobody waits for.
    let output = host.output(
        Command::new("sh")
            .args(["-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"])
            .stderr(Stdio::null()),
    );
    let pid: u32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    let alive = || {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
    };
    assert!(alive());
    drop(host);
    // A process that ends leaves its namespaces before it is a zombie (do_exit()).
    wait_until("it has ended", LONG, || !alive());
}

#[test]
fn a_cable_carries_frames_and_can_be_unplugged() {
    testnet::root_or_skip!();
    let (a, b) = (Host::new("a"), Host::new("b"));
    let cable = cable((&a, "eth0", A), (&b, "eth0", B));
    a.ip("addr add 192.0.2.1/24 dev eth0");
    b.ip("addr add 192.0.2.2/24 dev eth0");
    let sent = Capture::start(&a, "eth0");
    let received = Capture::start(&b, "eth0");
    let before = Instant::now();
    a.run(|| {
        let socket = std::net::UdpSocket::bind("192.0.2.1:0").unwrap();
        socket.send_to(b"x", "192.0.2.2:9").unwrap();
    });
    let question = sent.wait_for_arp("a question for b", LONG, |arp| {
        !arp.is_reply && arp.target_ip.octets() == [192, 0, 2, 2]
    });
    assert_eq!(question.direction, Direction::Sent);
    assert_eq!(question.sender_mac, [2, 0, 0, 0, 0, 0x0a]);
    assert!(question.at >= before && question.at <= Instant::now());
    let answer = sent.wait_for_arp("the answer", LONG, |arp| arp.is_reply);
    assert_eq!(answer.direction, Direction::Received);
    assert_eq!(answer.sender_mac, [2, 0, 0, 0, 0, 0x0b]);
    assert!(received.arp_frames().iter().any(|arp| arp.direction == Direction::Received));
    wait_until("a knows b", LONG, || {
        neighbour_cache(&a).iter().any(|neighbour| neighbour.mac.as_deref() == Some(B))
    });

    let carrier = |host: &Host| host.run(|| std::fs::read_to_string("/sys/class/net/eth0/carrier"));
    cable.unplug(&a);
    wait_until("a has lost its carrier", LONG, || carrier(&a).unwrap().trim() == "0");
    assert!(a.ip("link show eth0").contains(",UP"), "administratively up");
    cable.plug(&a);
    wait_until("a has its carrier back", LONG, || carrier(&a).unwrap().trim() == "1");
}

#[test]
fn a_switch_joins_three() {
    testnet::root_or_skip!();
    let switch = Switch::new("switch");
    let hosts = [Host::new("a"), Host::new("b"), Host::new("c")];
    let mut cables = Vec::new();
    for (number, (host, mac)) in hosts.iter().zip([A, B, C]).enumerate() {
        cables.push(switch.connect(host, "eth0", mac));
        host.ip(&format!("addr add 192.0.2.{}/24 dev eth0", number + 1));
    }
    for neighbour in [2, 3] {
        let ping = hosts[0].output(Command::new("ping").args([
            "-c1",
            "-W30",
            &format!("192.0.2.{neighbour}"),
        ]));
        assert!(ping.status.success(), "{}", String::from_utf8_lossy(&ping.stdout));
    }
}

#[test]
fn an_agent_is_run_with_a_clean_environment() {
    testnet::root_or_skip!();
    let host = Host::new("a");
    let directory = std::env::temp_dir().join(format!("testnet-agent-{}", std::process::id()));
    std::fs::write(
        &directory,
        "#!/bin/sh\nenv | sort\necho early >&2\necho ocf-exit-reason:first >&2\n\
         echo ocf-exit-reason:second $1 $2 >&2\nexit 7\n",
    )
    .unwrap();
    let made = agent(&host, "/bin/sh")
        .param("ip", "192.0.2.10")
        .args([directory.as_os_str(), "more".as_ref()]);
    // `sh -e SCRIPT more`: the action comes first.
    let outcome = made.action("-e");
    std::fs::remove_file(&directory).unwrap();
    assert_eq!(outcome.code, 7);
    assert_eq!(outcome.exit_reason.as_deref(), Some("second more"));
    assert!(outcome.stderr.starts_with("early\n"));
    let names: Vec<&str> =
        outcome.stdout.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    // What a shell sets by itself, and the parameter.
    assert!(
        names.iter().all(|name| ["OCF_RESKEY_ip", "PWD", "_", "SHLVL", "OLDPWD"].contains(name))
    );
    assert!(outcome.stdout.contains("OCF_RESKEY_ip=192.0.2.10\n"));
}

#[test]
#[should_panic(expected = "keeps its pipes open")]
fn an_agent_that_leaves_its_pipes_to_a_child_has_not_ended() {
    if testnet::missing_privilege().is_some() {
        testnet::skipped("an_agent_that_leaves_its_pipes_to_a_child_has_not_ended", "needs root");
        panic!("keeps its pipes open: skipped");
    }
    let host = Host::new("a");
    let left = agent(&host, "/bin/sh").args(["sleep 600 & exit 0"]);
    let _ = left.timeout(Duration::from_secs(5)).action("-c");
}

#[test]
#[should_panic(expected = "still runs")]
fn an_agent_that_hangs_is_killed() {
    if testnet::missing_privilege().is_some() {
        testnet::skipped("an_agent_that_hangs_is_killed", "needs root");
        panic!("still runs: skipped");
    }
    let host = Host::new("a");
    let _ = agent(&host, "/bin/sleep").timeout(Duration::from_millis(300)).action("600");
}
