//! Which socket is asked, and what counts as an answer.

use std::net::{TcpListener, UdpSocket};

use nix::sys::signal::Signal;
use testnet::wait_until;

use crate::site::{STATE, Site, is_alive, recurring, signal, write};
use crate::stranger::Stranger;
use crate::{LONG, ends, every_daemon, fails};

#[test]
fn where_is_asked() {
    testnet::root_or_skip!();
    every_daemon("where_is_asked", |site| {
        site.configure(&["tcp:127.0.0.1:5060", "udp:0.0.0.0:5062", "udp:127.0.0.1:5064"]);
        site.start();
        // An answer that never counts tells who gave it.
        let asked = site.patient().param("sip_probe_codes", "299");
        fails(&recurring(&asked), 1, "OPTIONS at udp:127.0.0.1:5062 is answered with ");
        let elsewhere = asked.clone().param("sip_probe", "udp:127.0.0.1:5064");
        fails(&recurring(&elsewhere), 1, "OPTIONS at udp:127.0.0.1:5064 is answered with ");
        // On another host, it is not asked.
        ends(&recurring(&asked.clone().param("sip_probe", "udp:192.0.2.1:5060")), 0);
        ends(&recurring(&asked.clone().param("sip_probe", "none")), 0);
        // Nobody there.
        let nobody = site.agent().param("sip_probe_timeout", "100ms").param("stall_limit", "0");
        let nobody = nobody.param("sip_probe", "udp:127.0.0.1:5099");
        fails(&recurring(&nobody), 1, "no answer to OPTIONS at udp:127.0.0.1:5099");
        site.stop();
    });
}

#[test]
fn a_socket_that_closed_is_seen_though_the_others_answer() {
    testnet::root_or_skip!();
    every_daemon("a_socket_that_closed_is_seen_though_the_others_answer", |site| {
        site.start();
        ends(&site.monitor(), 0);
        // No daemon closes a socket and lives on when asked to; one more in the memory of start
        // looks the same to monitor.
        for (listener, transport) in [("udp:127.0.0.1:5099", "UDP"), ("tls:127.0.0.1:5099", "TCP")]
        {
            let state = site.state();
            write(site, STATE, &format!("listener {listener} 4294967295\n{state}"));
            let main = site.main();
            let reason = format!("OpenSIPS (pid {main}) does not listen on {listener}");
            fails(&site.monitor(), 1, &reason);
            // A stranger who takes the address does not make it well.
            let held = match transport {
                "UDP" => Stranger::udp(site, "127.0.0.1:5099"),
                _ => Stranger::tcp(site, "127.0.0.1:5099"),
            };
            let owner = format!("{listener} is held by ");
            fails(&site.monitor(), 1, &owner);
            fails(&site.monitor(), 1, &held.name());
            drop(held);
            write(site, STATE, &state);
            ends(&site.monitor(), 0);
        }
        site.stop();
    });
}

#[test]
fn a_dead_worker_is_seen_though_the_others_answer() {
    testnet::root_or_skip!();
    every_daemon("a_dead_worker_is_seen_though_the_others_answer", |site| {
        site.start();
        let worker = *site.workers().last().unwrap();
        // With the main process stopped, nobody reacts to the death of a worker.
        testnet::suspend(site.main());
        signal(worker, Signal::SIGKILL);
        let reason = format!("worker {worker} of OpenSIPS (pid ");
        wait_until("the worker is dead", LONG, || !is_alive(worker));
        assert!(site.answers("127.0.0.1:5060"));
        fails(&site.monitor(), 1, &reason);
        site.stop();
    });
}

#[test]
fn an_instance_that_nobody_remembers_is_asked_too() {
    testnet::root_or_skip!();
    every_daemon("an_instance_that_nobody_remembers_is_asked_too", |site| {
        site.configure(&["udp:127.0.0.1:5060", "udp:127.0.0.1:5064", "tcp:127.0.0.1:5060"]);
        site.start();
        let started = site.state();
        site.forget();
        let workers = site.workers();
        for worker in &workers {
            testnet::suspend(*worker);
        }
        let asked =
            site.agent().param("sip_probe_timeout", "200ms").param("sip_probe_attempts", "1");
        fails(&recurring(&asked), 1, "no answer to OPTIONS at udp:127.0.0.1:5060");
        // What does not serve is not remembered.
        assert_eq!(site.state(), "");
        for worker in &workers {
            signal(*worker, Signal::SIGCONT);
        }
        ends(&site.monitor(), 0);
        let listeners = |state: &str| {
            let lines = state.lines().filter(|line| line.starts_with("listener "));
            let mut lines: Vec<String> = lines.map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let adopted = site.state();
        assert_eq!(listeners(&adopted), listeners(&started));
        // The next one takes what was remembered.
        ends(&site.monitor(), 0);
        assert_eq!(site.state(), adopted);
        site.stop();
    });
}

/// How many sockets of UDP are bound on the host.
pub(crate) fn bound(site: &Site) -> usize {
    site.on_host(|| std::fs::read_to_string("/proc/thread-self/net/udp")).unwrap().lines().count()
}

#[test]
fn a_request_that_cannot_be_sent_for_a_moment() {
    testnet::root_or_skip!();
    every_daemon("a_request_that_cannot_be_sent_for_a_moment", |site| {
        site.start();
        let before = bound(site);
        // Rules before the table `local`, as no route (ENETUNREACH), and as a filter (EACCES).
        site.host.ip("rule add pref 100 lookup local");
        site.host.ip("rule del pref 0");
        for (rule, reason) in
            [("unreachable", "Network is unreachable"), ("prohibit", "Permission denied")]
        {
            site.host.ip(&format!("rule add pref 10 to 127.0.0.1 {rule}"));
            let asked = |timeout| site.agent().param("sip_probe_timeout", timeout);
            // Nothing is known of OpenSIPS, and a restart of it would heal nothing, however long it lasts.
            let reason =
                format!("OPTIONS can't be sent to udp:127.0.0.1:5060: {reason}: check ip rule");
            let hasty = asked("100ms").param("stall_limit", "0");
            fails(&recurring(&hasty), 190, &reason);
            fails(&recurring(&hasty), 190, &reason);
            fails(&recurring(&hasty.env("OCF_CHECK_LEVEL", "20")), 190, &reason);
            for attempts in ["1", "3"] {
                let patient = asked("60s")
                    .param("sip_probe_attempts", attempts)
                    .env("OCF_RESKEY_CRM_meta_timeout", "600000");
                let outcome = std::thread::scope(|scope| {
                    let asking = scope.spawn(|| recurring(&patient));
                    wait_until("it asks", LONG, || bound(site) > before || asking.is_finished());
                    site.host.ip(&format!("rule del pref 10 to 127.0.0.1 {rule}"));
                    asking.join().unwrap()
                });
                ends(&outcome, 0);
                site.host.ip(&format!("rule add pref 10 to 127.0.0.1 {rule}"));
            }
            site.host.ip(&format!("rule del pref 10 to 127.0.0.1 {rule}"));
        }
        site.stop();
    });
}

/// Every node may have the same firewall: a start that failed would bar each of them, and one that replaced what it finds
/// would end its calls.
#[test]
fn a_start_whose_request_cannot_be_sent() {
    testnet::root_or_skip!();
    every_daemon("a_start_whose_request_cannot_be_sent", |site| {
        site.host.ip("rule add pref 100 lookup local");
        site.host.ip("rule del pref 0");
        for rule in ["unreachable", "prohibit"] {
            site.host.ip(&format!("rule add pref 10 to 127.0.0.1 {rule}"));
            let agent = site.agent().param("sip_probe_timeout", "100ms");
            let agent = agent.env("OCF_RESKEY_CRM_meta_timeout", "600000");
            let starts = || {
                let log = site.path("start.log");
                std::fs::write(&log, "").unwrap();
                ends(&agent.clone().env("HA_LOGFILE", &log).action("start"), 0);
                let told = std::fs::read_to_string(&log).unwrap();
                let reason = "OPTIONS can't be sent to udp:127.0.0.1:5060: ";
                assert!(told.contains(reason), "{told}");
                site.main()
            };
            let main = starts();
            // One that is running is adopted, remembered or not.
            assert_eq!(starts(), main);
            site.forget();
            assert_eq!(starts(), main);
            fails(&recurring(&agent), 190, "can't be sent");
            site.host.ip(&format!("rule del pref 10 to 127.0.0.1 {rule}"));
            ends(&site.monitor(), 0);
            site.stop();
        }
    });
}

#[test]
fn a_host_that_has_no_port_left_for_a_moment() {
    testnet::root_or_skip!();
    every_daemon("a_host_that_has_no_port_left_for_a_moment", |site| {
        site.start();
        let range = |text: &str| {
            let path = "/proc/sys/net/ipv4/ip_local_port_range";
            site.on_host(|| std::fs::write(path, text).unwrap());
        };
        for (probe, probes) in [("udp:127.0.0.1:5060", "UDP"), ("tcp:127.0.0.1:5060", "TCP")] {
            // The clients of a host that has two ports for them.
            range("61000 61001");
            let taken: Vec<Box<dyn Send>> = site.on_host(|| {
                (61000..=61001)
                    .map(|port| -> Box<dyn Send> {
                        match probes {
                            "UDP" => Box::new(UdpSocket::bind(("127.0.0.1", port)).unwrap()),
                            _ => Box::new(TcpListener::bind(("127.0.0.1", port)).unwrap()),
                        }
                    })
                    .collect()
            });
            let asked = |timeout| {
                site.agent()
                    .param("sip_probe", probe)
                    .param("sip_probe_timeout", timeout)
                    .env("OCF_RESKEY_CRM_meta_timeout", "600000")
            };
            let reason = format!("OPTIONS can't be sent to {probe}: Address already in use");
            fails(&recurring(&asked("100ms")), 190, &reason);
            let patient = asked("10s");
            let outcome = std::thread::scope(|scope| {
                let asking = scope.spawn(|| recurring(&patient));
                wait_until("it is executed", LONG, || site.agent_runs() || asking.is_finished());
                // Long enough for an attempt, which can't be seen from outside.
                std::thread::sleep(std::time::Duration::from_millis(500));
                drop(taken);
                asking.join().unwrap()
            });
            ends(&outcome, 0);
        }
        site.stop();
    });
}
