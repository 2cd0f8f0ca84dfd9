//! Busy, slow and silent are not dead: no restart for what none heals, and one for what is dead.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use testnet::{Agent, wait_until};

use crate::mi::{FAKE, deep};
use crate::mi_faults::{id, with_fake_socket};
use crate::site::{PROCESSES_AT, every_daemon, every_daemon_with_mi, recurring, stand_in_alone};
use crate::{LONG, Site, ends, fails};

const AT: &str = "udp:127.0.0.1:5060";

/// The configuration with an MI, and this in the place of the answer to OPTIONS: what a script does, and what
/// the stand-in, which reads none, is told by its switch.
fn script(site: &Site, statements: &str, switch: &str) {
    let mut config = site.config_with(&[AT]);
    config.mi_datagram = Some(format!("udp:{PROCESSES_AT}"));
    if !site.is_stand_in() {
        config.more = "loadmodule \"cfgutils.so\"\n".into();
    }
    let text = config.text();
    let before = "\tif (is_method(\"OPTIONS|INVITE|BYE\")) {";
    assert!(text.contains(before), "{text}");
    let told = format!("\tif (is_method(\"OPTIONS\")) {{\n\t\t{statements}\n\t}}\n{before}");
    site.write(&format!("# OPENSIPS_STAND_IN_{switch}\n{}", text.replace(before, &told)));
}

/// A short patience, for a daemon that is silent for long.
fn hasty(site: &Site) -> Agent {
    site.agent().param("sip_probe_timeout", "300ms").param("sip_probe_attempts", "2")
}

fn with_mi(agent: &Agent) -> Agent {
    agent.clone().param("mi", format!("datagram:{PROCESSES_AT}"))
}

/// A machine that stands still for a moment counts no progress in it.
fn tells(agent: &Agent, words: &str) {
    wait_until(words, LONG, || {
        let outcome = recurring(agent);
        ends(&outcome, 190);
        outcome.exit_reason.is_some_and(|reason| reason.contains(words))
    });
}

#[test]
fn a_script_that_drops_options_is_told() {
    testnet::root_or_skip!();
    every_daemon_with_mi("a_script_that_drops_options_is_told", |site| {
        script(site, "exit;", "SIP_ANSWER=none");
        // An hour, of which it takes seconds.
        let hour = site.agent().env("OCF_RESKEY_CRM_meta_timeout", "3600000");
        let start = hour.param("sip_probe_timeout", "600s").action("start");
        fails(&start, 1, &format!("takes OPTIONS at {AT} and does not answer within "));
        fails(&start, 1, ": let the script answer OPTIONS from this host, or set sip_probe=none");
        site.nothing_is_left();
        ends(&site.agent().param("sip_probe", "none").action("start"), 0);
        let words = format!("a worker takes requests at {AT} and does not answer OPTIONS");
        tells(&with_mi(&hasty(site)).param("stall_limit", "600s"), &words);
        tells(&with_mi(&hasty(site)).param("stall_limit", "600s"), &words);
        // Without the MI it is not known whether it makes progress.
        let patient = hasty(site).param("stall_limit", "600s");
        fails(&recurring(&patient), 190, "monitor fails after stall_limit=");
        fails(&recurring(&hasty(site).param("stall_limit", "0")), 1, "does not serve: no answer");
        ends(&recurring(&site.agent().param("sip_probe", "none")), 0);
        site.stop();
    });
}

/// A script that answers at one socket only, as for carriers behind another one: no start is refused, and no
/// service ends.
#[test]
fn a_silent_socket_beside_one_that_answers_ends_no_service() {
    testnet::root_or_skip!();
    every_daemon_with_mi("a_silent_socket_beside_one_that_answers_ends_no_service", |site| {
        let text = site.config_with(&[AT, "udp:127.0.0.1:5062"]).text();
        let before = "\tif (is_method(\"OPTIONS|INVITE|BYE\")) {";
        assert!(text.contains(before), "{text}");
        let silent = format!("\tif ($socket_in(port) == 5062) {{\n\t\texit;\n\t}}\n{before}");
        let text = text.replace(before, &silent);
        site.write(&format!("# OPENSIPS_STAND_IN_SIP_SILENT_PORT=5062\n{text}"));
        ends(&site.agent().action("start"), 0);
        let agent = hasty(site).param("stall_limit", "0");
        let main = site.main();
        for _ in 0..2 {
            fails(&recurring(&agent), 190, "no answer to OPTIONS at udp:127.0.0.1:5062");
        }
        // Nor does a start of what runs, or another answer than the one that counts.
        ends(&site.agent().action("start"), 0);
        assert_eq!(site.main(), main);
        // Where each socket is asked, each has to answer, and so has the best one.
        let every = agent.clone().env("OCF_CHECK_LEVEL", "20");
        fails(&recurring(&every), 1, "no answer to OPTIONS at udp:127.0.0.1:5062");
        let named = agent.param("sip_probe", "udp:127.0.0.1:5062");
        fails(&recurring(&named), 1, "no answer to OPTIONS at udp:127.0.0.1:5062");
        site.stop();
    });
}

/// Sockets of TCP share their workers: one of them tells of all.
#[test]
fn one_socket_of_each_transport_over_tcp_is_asked() {
    testnet::root_or_skip!();
    stand_in_alone("one_socket_of_each_transport_over_tcp_is_asked", |site| {
        let sockets = [AT, "tcp:127.0.0.1:5060", "tcp:127.0.0.1:5062"];
        let text = site.config_with(&sockets).text();
        site.write(&format!("# OPENSIPS_STAND_IN_SIP_SILENT_PORT=5062\n{text}"));
        ends(&site.agent().action("start"), 0);
        ends(&recurring(&hasty(site)), 0);
        let every = hasty(site).env("OCF_CHECK_LEVEL", "20");
        fails(&recurring(&every), 1, "no answer to OPTIONS at tcp:127.0.0.1:5062");
        site.stop();
    });
}

/// The lines of the manual, in front of everything else.
#[test]
fn the_lines_of_the_manual_answer() {
    testnet::root_or_skip!();
    every_daemon("the_lines_of_the_manual_answer", |site| {
        let lines = "route {\n\tif (is_method(\"OPTIONS\") && is_myself(\"$si\")) {\n\
                     \t\tsl_send_reply(202, \"OK\");\n\t\texit;\n\t}\n";
        let text = site.config_with(&[AT]).text();
        if site.is_stand_in() || !text.contains("route {\n") {
            return;
        }
        site.write(&text.replace("route {\n", lines));
        site.start();
        ends(&recurring(&site.patient().param("sip_probe_codes", "202")), 0);
        site.stop();
        if !site.has_module("tm") {
            return;
        }
        // Those of shm_fail.
        let lines = "route {\n\tif (is_method(\"OPTIONS\") && $rU == \"ping\" && is_myself(\"$si\")) {\n\
                     \t\tif (t_newtran()) {\n\t\t\tt_reply(202, \"OK\");\n\t\t} else {\n\
                     \t\t\tsl_send_reply(500, \"No memory\");\n\t\t}\n\t\texit;\n\t}\n";
        let mut config = site.config_with(&[AT]);
        config.more = "loadmodule \"tm.so\"\n".into();
        site.write(&config.text().replace("route {\n", lines));
        site.start();
        let asked = site.patient().param("sip_probe_uri", "sip:ping@localhost");
        ends(&recurring(&asked.param("sip_probe_codes", "202")), 0);
        site.stop();
    });
}

#[test]
fn exhausted_shared_memory_is_a_failure() {
    testnet::root_or_skip!();
    stand_in_alone("exhausted_shared_memory_is_a_failure", |site| {
        script(site, "exit;", "SHMEM_USED_PERCENT=99");
        ends(&site.agent().action("start"), 0);
        let asked = with_mi(&site.agent());
        // Level 0 asks no MI.
        ends(&recurring(&asked), 0);
        let deep = asked.env("OCF_CHECK_LEVEL", "10");
        let main = site.main();
        let words = format!("OpenSIPS (pid {main}) has no shared memory left: ");
        fails(&recurring(&deep), 1, &words);
        fails(&recurring(&deep), 1, " of 32 MB used, shm_fail=98%: raise shm_memory");
        // With little time the second look comes earlier; a machine that stands still has none.
        let hurried = deep.clone().env("OCF_RESKEY_CRM_meta_timeout", "2000");
        let is_found = || recurring(&hurried).exit_reason.is_some_and(|it| it.contains(&words));
        assert!((0..5).any(|_| is_found()));
        fails(&recurring(&deep.param("shm_fail", "100")), 190, " MB used, over shm_limit=90%");
        site.stop();
    });
}

/// What is in use at a peak is free at the second look.
#[test]
fn a_peak_of_shared_memory_is_no_failure() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    ends(&site.agent().action("start"), 0);
    let looks = AtomicUsize::new(0);
    let answer = |request: &str| {
        let result = if request.contains("\"get_statistics\"") {
            let used = if looks.fetch_add(1, Ordering::Relaxed) == 0 { 99 } else { 89 };
            json!({"shmem:total_size": 100, "shmem:real_used_size": used})
        } else {
            json!([])
        };
        let reply = json!({"jsonrpc": "2.0", "id": id(request), "result": result});
        vec![reply.to_string().into_bytes()]
    };
    let agent = site.agent().param("mi", format!("datagram:{FAKE}"));
    with_fake_socket(site, FAKE, answer, || {
        fails(&deep(&agent), 190, " MB used, over shm_limit=90%");
    });
    assert_eq!(looks.into_inner(), 2);
    site.stop();
}

#[test]
fn an_overloaded_daemon_is_not_ended() {
    testnet::root_or_skip!();
    every_daemon_with_mi("an_overloaded_daemon_is_not_ended", |site| {
        script(site, "usleep(300000);", "SIP_DELAY_MS=300");
        ends(&site.agent().param("sip_probe_timeout", "60s").action("start"), 0);
        let main = site.main();
        // As many as the queue takes, for the two workers.
        let storm: UdpSocket = site.on_host(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let to = "127.0.0.1:5060".parse().unwrap();
            for number in 1..=200 {
                let request = suites::sip::options(to, socket.local_addr().unwrap(), number);
                socket.send_to(&request, to).unwrap();
            }
            socket
        });
        let asked = with_mi(&hasty(site)).param("stall_limit", "600s");
        let first = recurring(&asked);
        ends(&first, 190);
        let reason = first.exit_reason.unwrap_or_default();
        // A machine that stands still for a moment counts no progress in it.
        assert!(
            reason.contains("OpenSIPS is overloaded") || reason.contains("stall_limit"),
            "{reason}"
        );
        assert!(site.state().contains("\nunanswered "), "{}", site.state());
        // It is through, the same one.
        wait_until("it answers again", LONG, || recurring(&site.patient()).code == 0);
        assert_eq!(site.main(), main);
        assert!(!site.state().contains("\nunanswered "), "{}", site.state());
        drop(storm);
        site.stop();
    });
}

#[test]
fn a_daemon_without_progress_fails_after_the_limit() {
    testnet::root_or_skip!();
    stand_in_alone("a_daemon_without_progress_fails_after_the_limit", |site| {
        script(site, "exit;", "SIP_DELAY_MS=3600000");
        ends(&site.agent().param("sip_probe", "none").action("start"), 0);
        let asked = with_mi(&hasty(site));
        // Both of its workers take one request and wait for their database.
        let patient = asked.clone().param("stall_limit", "3600s");
        let words = format!("no answer to OPTIONS at {AT}");
        wait_until("both are blocked", LONG, || {
            let outcome = recurring(&patient);
            ends(&outcome, 190);
            outcome.exit_reason.unwrap_or_default().contains(&words)
        });
        fails(&recurring(&patient), 190, "monitor fails after stall_limit=3600s");
        // The first silence was that long ago.
        let limited = asked.param("stall_limit", "1s");
        wait_until("the limit has passed", LONG, || recurring(&limited).code == 1);
        fails(&recurring(&limited), 1, &format!("does not serve: {words}"));
        site.stop();
    });
}
