//! The probe over each transport, and what only one of them can show.

use std::net::TcpListener;

use nix::sys::signal::Signal;
use testnet::{Agent, Outcome, wait_until};

use crate::site::{PROCESSES_AT, Site, processes, recurring, signal};
use crate::{LONG, ends, every_daemon, every_daemon_with_mi, fails};

/// Starts a daemon with these sockets, and an MI that tells which process does what.
fn start_with(site: &Site, sockets: &[&str]) {
    let mut config = site.config_with(sockets);
    config.mi_datagram = Some(format!("udp:{PROCESSES_AT}"));
    site.write(&config.text());
    site.start();
}

/// The agent with a short probe timeout, for what is silent. On a busy machine, an answer may take longer.
fn hasty(site: &Site) -> Agent {
    let agent = site.agent().param("sip_probe_timeout", "300ms").param("sip_probe_attempts", "2");
    // No more patience than that.
    agent.param("stall_limit", "0")
}

/// A monitor in which every listener has to answer.
fn every_listener(agent: &Agent) -> Outcome {
    recurring(&agent.clone().env("OCF_CHECK_LEVEL", "20"))
}

/// The same, with what it has written to the log.
fn every_listener_logged(site: &Site, agent: &Agent) -> (Outcome, String) {
    let path = site.path("log");
    std::fs::write(&path, "").unwrap();
    let outcome = every_listener(&agent.clone().env("HA_LOGFILE", &path).env("HA_debug", "1"));
    (outcome, std::fs::read_to_string(&path).unwrap())
}

#[track_caller]
fn is_in(log: &str, line: &str) {
    assert!(log.contains(line), "{line:?} is not in {log}");
}

#[test]
fn both_transports_in_both_families() {
    testnet::root_or_skip!();
    every_daemon("both_transports_in_both_families", |site| {
        let all = ["udp:127.0.0.1:5060", "udp:[::1]:5060", "tcp:127.0.0.1:5060", "tcp:[::1]:5060"];
        site.configure(&all);
        site.start();
        let asked = site.patient();
        for target in all {
            let agent = asked.clone().param("sip_probe", target);
            ends(&recurring(&agent.clone().param("sip_probe_codes", "200")), 0);
            // An answer that does not count tells who gave it.
            let outcome = recurring(&agent.param("sip_probe_codes", "299"));
            fails(&outcome, 1, &format!("OPTIONS at {target} is answered with 200, not among"));
        }
        ends(&every_listener(&asked), 0);
        let (outcome, log) = every_listener_logged(site, &asked.param("sip_probe_codes", "299"));
        fails(&outcome, 1, "OPTIONS at udp:127.0.0.1:5060 is answered with ");
        for target in all {
            is_in(&log, &format!("OPTIONS at {target} is answered with "));
        }
        site.stop();
    });
}

#[test]
fn a_daemon_that_answers_503() {
    testnet::root_or_skip!();
    every_daemon("a_daemon_that_answers_503", |site| {
        let text = site.config_with(&["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]).text();
        let refusing = text.replace("200, \"OK\"", "503, \"Service Unavailable\"");
        assert_ne!(refusing, text);
        // The stand-in does not read its script.
        site.write(&format!("# OPENSIPS_STAND_IN_SIP_ANSWER=503\n{refusing}"));
        site.start();
        // Whoever answers is alive; whether that is enough is the administrator's to say.
        ends(&every_listener(&site.patient()), 0);
        let meaning = |codes: &str| recurring(&site.patient().param("sip_probe_codes", codes));
        ends(&meaning("200,503"), 0);
        let words = "OPTIONS at udp:127.0.0.1:5060 is answered with 503: see sip_probe_codes";
        fails(&meaning("200,503=degraded"), 190, words);
        fails(&meaning("any,503=fail"), 1, "is answered with 503, not among sip_probe_codes");
        for (target, codes) in [("udp:127.0.0.1:5060", "200-499"), ("tcp:127.0.0.1:5060", "200")] {
            let asked = site.patient().param("sip_probe", target).param("sip_probe_codes", codes);
            let reason = "is answered with 503, not among sip_probe_codes: Service Unavailable";
            fails(&recurring(&asked), 1, &format!("OPTIONS at {target} {reason}"));
            ends(&recurring(&asked.param("sip_probe_codes", "503")), 0);
        }
        site.stop();
    });
}

#[test]
fn without_udp_tcp_is_asked() {
    testnet::root_or_skip!();
    every_daemon("without_udp_tcp_is_asked", |site| {
        site.configure(&["tcp:127.0.0.1:5060"]);
        site.start();
        ends(&site.monitor(), 0);
        let outcome = recurring(&site.patient().param("sip_probe_codes", "299"));
        fails(&outcome, 1, "OPTIONS at tcp:127.0.0.1:5060 is answered with ");
        site.stop();
    });
}

#[test]
fn tcp_and_mi_answer_while_udp_is_dead() {
    testnet::root_or_skip!();
    every_daemon_with_mi("tcp_and_mi_answer_while_udp_is_dead", |site| {
        start_with(site, &["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]);
        let receivers = processes(site, "SIP receiver udp:");
        for receiver in &receivers {
            testnet::suspend(*receiver);
        }
        let asked = hasty(site);
        let silent = "does not serve: no answer to OPTIONS at udp:127.0.0.1:5060 within 2 x 0.3s";
        fails(&recurring(&asked), 1, silent);
        fails(&every_listener(&asked), 1, silent);
        // Over TCP it is answered, and the MI has told what it was asked.
        let tcp = site.patient().param("sip_probe", "tcp:127.0.0.1:5060");
        fails(&recurring(&tcp), 190, "are stopped (SIGSTOP)");
        assert_eq!(processes(site, "SIP receiver udp:"), receivers);
        for receiver in receivers {
            signal(receiver, Signal::SIGCONT);
        }
        wait_until("all is well again", LONG, || every_listener(&asked).code == 0);
        site.stop();
    });
}

#[test]
fn udp_answers_while_tcp_is_dead() {
    testnet::root_or_skip!();
    every_daemon_with_mi("udp_answers_while_tcp_is_dead", |site| {
        start_with(site, &["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "tcp:127.0.0.1:5070"]);
        // TCP main of the real daemon goes on: it accepts connections, or even reads from them
        // (4.0), for receivers that take nothing; that of the stand-in is its own receiver.
        let kind = if site.is_stand_in() { "TCP" } else { "TCP receiver" };
        for receiver in processes(site, kind) {
            testnet::suspend(receiver);
        }
        let asked = hasty(site);
        let silent = "does not serve: no answer to OPTIONS at tcp:127.0.0.1:5060 within 2 x 0.3s";
        fails(&recurring(&asked), 1, silent);
        // Who is content with UDP says so.
        let udp = site.patient().param("sip_probe", "udp:127.0.0.1:5060");
        fails(&recurring(&udp), 190, "are stopped (SIGSTOP)");
        let tcp = asked.clone().param("sip_probe", "tcp:127.0.0.1:5060");
        fails(&recurring(&tcp), 1, "no answer to OPTIONS at tcp:127.0.0.1:5060 within 2 x 0.3s");
        let (outcome, log) = every_listener_logged(site, &asked);
        fails(&outcome, 1, "no answer to OPTIONS at tcp:127.0.0.1:5060 within");
        for port in [5060, 5070] {
            is_in(&log, &format!("no answer to OPTIONS at tcp:127.0.0.1:{port} within"));
        }
        site.stop();
    });
}

#[test]
fn one_silent_listener_among_others() {
    testnet::root_or_skip!();
    every_daemon_with_mi("one_silent_listener_among_others", |site| {
        start_with(site, &["udp:127.0.0.1:5060", "udp:127.0.0.1:5064", "tcp:127.0.0.1:5060"]);
        let receivers = processes(site, "SIP receiver udp:127.0.0.1:5064");
        for receiver in receivers {
            testnet::suspend(receiver);
        }
        let asked = hasty(site);
        // Each UDP socket has workers of its own: another one's answer says nothing.
        let other = site.patient().param("sip_probe", "udp:127.0.0.1:5060");
        fails(&recurring(&other), 190, "are stopped (SIGSTOP)");
        let silent = "no answer to OPTIONS at udp:127.0.0.1:5064 within 2 x 0.3s";
        fails(&recurring(&asked), 1, silent);
        fails(&every_listener(&asked), 1, silent);
        // A patience beyond the action's time: the verdict comes in time, with the name.
        let patient = asked
            .clone()
            .param("sip_probe_timeout", "600s")
            .env("OCF_RESKEY_CRM_meta_timeout", "3000");
        fails(&every_listener(&patient), 1, "no answer to OPTIONS at udp:127.0.0.1:5064 within");
        fails(&every_listener(&asked.param("sip_probe", "none")), 190, "are stopped (SIGSTOP)");
        site.stop();
    });
}

#[test]
fn what_is_elsewhere_or_no_sip_is_not_asked() {
    testnet::root_or_skip!();
    every_daemon("what_is_elsewhere_or_no_sip_is_not_asked", |site| {
        let mut config = site.config_with(&[
            "udp:127.0.0.1:5060",
            "udp:192.0.2.10:5060",
            "tcp:192.0.2.10:5060",
            "bin:127.0.0.1:5555",
        ]);
        config.more = "loadmodule \"proto_bin.so\"\n".into();
        site.write(&config.text());
        let asked = site.patient().param("nonlocal_bind", "ensure");
        ends(&asked.action("start"), 0);
        let (outcome, log) = every_listener_logged(site, &asked);
        ends(&outcome, 0);
        for listener in ["udp:192.0.2.10:5060", "tcp:192.0.2.10:5060", "bin:127.0.0.1:5555"] {
            is_in(&log, &format!("probe=none listener={listener} "));
        }
        // It has come: asked.
        site.host.ip("addr add 192.0.2.10/32 dev lo");
        ends(&every_listener(&asked), 0);
        let other = asked.clone().param("sip_probe_codes", "299");
        is_in(
            &every_listener_logged(site, &other).1,
            "OPTIONS at tcp:192.0.2.10:5060 is answered with ",
        );
        ends(&asked.action("stop"), 0);
    });
}

#[test]
fn connections_that_nobody_answers() {
    testnet::root_or_skip!();
    every_daemon("connections_that_nobody_answers", |site| {
        site.start();
        let asked = |at: &str| recurring(&hasty(site).param("sip_probe", at));
        for transport in ["tcp", "tls"] {
            let refused =
                format!("connection refused at {transport}:127.0.0.1:5099 within 2 x 0.3s");
            fails(&asked(&format!("{transport}:127.0.0.1:5099")), 1, &refused);
        }
        // The kernel takes the connection, and nobody accepts it.
        let deaf = site.on_host(|| TcpListener::bind("127.0.0.1:5098").unwrap());
        for transport in ["tcp", "tls"] {
            let silent = format!("no answer to OPTIONS at {transport}:127.0.0.1:5098 within");
            fails(&asked(&format!("{transport}:127.0.0.1:5098")), 1, &silent);
        }
        drop(deaf);
        // The daemon's own socket, and no TLS.
        let plain = asked("tls:127.0.0.1:5060");
        ends(&plain, 1);
        let reason = plain.exit_reason.unwrap_or_default();
        assert!(reason.contains(" at tls:127.0.0.1:5060 within 2 x 0.3s"), "{reason}");
        // None of this has hurt the daemon.
        ends(&every_listener(&site.patient()), 0);
        site.stop();
    });
}

#[test]
fn an_unknown_socket_of_an_adopted_instance_is_not_asked() {
    testnet::root_or_skip!();
    every_daemon("an_unknown_socket_of_an_adopted_instance_is_not_asked", |site| {
        let mut config = site.config_with(&["tcp:127.0.0.1:5060", "bin:127.0.0.1:5555"]);
        config.more = "loadmodule \"proto_bin.so\"\n".into();
        site.write(&config.text());
        site.start();
        site.forget();
        let asked = site.patient();
        ends(&recurring(&asked), 0);
        let state = site.state();
        assert!(state.contains("listener tcp:127.0.0.1:5060 "), "{state}");
        assert!(state.contains("listener unknown_tcp:127.0.0.1:5555 "), "{state}");
        ends(&every_listener(&asked), 0);
        site.stop();
    });
}

#[test]
fn an_instance_that_nobody_remembers_and_whose_tcp_is_dead() {
    testnet::root_or_skip!();
    every_daemon("an_instance_that_nobody_remembers_and_whose_tcp_is_dead", |site| {
        site.configure(&["tcp:127.0.0.1:5060"]);
        site.start();
        site.forget();
        let workers = site.workers();
        for worker in &workers {
            testnet::suspend(*worker);
        }
        let asked = hasty(site);
        let silent = "no answer to OPTIONS at tcp:127.0.0.1:5060 within 2 x 0.3s";
        for _ in 0..2 {
            fails(&recurring(&asked), 1, silent);
            fails(&every_listener(&asked), 1, silent);
        }
        // What does not serve is not remembered.
        assert_eq!(site.state(), "");
        for worker in workers {
            signal(worker, Signal::SIGCONT);
        }
        wait_until("all is well again", LONG, || recurring(&asked).code == 0);
        let state = site.state();
        assert!(state.contains("listener tcp:127.0.0.1:5060 "), "{state}");
        ends(&every_listener(&site.patient()), 0);
        site.stop();
    });
}
