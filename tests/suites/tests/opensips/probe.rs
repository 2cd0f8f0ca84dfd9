//! Which socket is asked, and what counts as an answer.

use crate::site::recurring;
use crate::{LONG, ends, every_daemon, fails};

#[test]
fn where_is_asked() {
    testnet::root_or_skip!();
    every_daemon("where_is_asked", |site| {
        site.configure(&["tcp:127.0.0.1:5060", "udp:0.0.0.0:5062", "udp:127.0.0.1:5064"]);
        site.start();
        // An answer that never counts tells who gave it.
        let asked =
            site.agent().param("sip_probe_codes", "299").param("sip_probe_timeout", "100ms");
        fails(&recurring(&asked), 1, "OPTIONS at udp:127.0.0.1:5062 answered ");
        let elsewhere = asked.clone().param("sip_probe", "udp:127.0.0.1:5064");
        fails(&recurring(&elsewhere), 1, "OPTIONS at udp:127.0.0.1:5064 answered ");
        // On another host, it is not asked.
        ends(&recurring(&asked.clone().param("sip_probe", "udp:192.0.2.1:5060")), 0);
        ends(&recurring(&asked.clone().param("sip_probe", "none")), 0);
        // Nobody there.
        let nobody = asked.clone().param("sip_probe", "udp:127.0.0.1:5099");
        fails(&recurring(&nobody), 1, "no answer to OPTIONS at udp:127.0.0.1:5099");
        site.stop();
    });
}

#[test]
fn an_instance_without_udp_is_not_asked() {
    testnet::root_or_skip!();
    every_daemon("an_instance_without_udp_is_not_asked", |site| {
        site.configure(&["tcp:127.0.0.1:5060"]);
        site.start();
        ends(&site.monitor(), 0);
        site.stop();
    });
}

#[test]
fn a_socket_that_closes_is_seen() {
    testnet::root_or_skip!();
    every_daemon("a_socket_that_closes_is_seen", |site| {
        site.start();
        ends(&site.monitor(), 0);
        // The process that listens on TCP goes first of all; UDP still answers.
        let inode = site.on_host(|| {
            let table = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
            let line = table.lines().find(|line| line.contains("0100007F:13C4")).unwrap();
            line.split_whitespace().nth(9).unwrap().to_owned()
        });
        let holders: Vec<i32> =
            site.processes().into_iter().filter(|pid| holds(*pid, &inode)).collect();
        assert!(!holders.is_empty());
        let main = site.main();
        // With the main process stopped, nobody reacts to the death of a worker.
        crate::site::stop_signal(main);
        for pid in holders.iter().filter(|pid| **pid != main) {
            crate::site::signal(*pid, nix::sys::signal::Signal::SIGKILL);
        }
        testnet::wait_until("monitor sees it", LONG, || site.monitor().code == 1);
        site.stop();
    });
}

fn holds(pid: i32, inode: &str) -> bool {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let wanted = format!("socket:[{inode}]");
    entries
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .any(|target| target.to_string_lossy() == wanted)
}
