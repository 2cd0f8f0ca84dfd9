//! Sockets of every transport: waited for, watched, in the instance's own hands.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::site::{PROCESSES_AT, STATE, processes, recurring, write};
use crate::stranger::Stranger;
use crate::{Site, ends, every_daemon, every_daemon_with_mi, fails};

/// Behind the plain ones, in the order in which the daemon lists them.
const OVER_TCP: [&str; 4] =
    ["tls:127.0.0.1:5061", "ws:127.0.0.1:5062", "wss:127.0.0.1:5063", "bin:127.0.0.1:5566"];
const MODULES: [&str; 5] = ["tls_mgm", "proto_tls", "proto_ws", "proto_wss", "proto_bin"];

/// A configuration with UDP and these, and a certificate of its own; nothing on stderr, for a daemon
/// that loses a listening socket complains without end.
fn configure_with(site: &Site, over_tcp: &[&str]) -> Result<(), String> {
    let missing = MODULES.iter().chain(&["tls_openssl"]).find(|name| !site.has_module(name));
    if let Some(name) = missing.filter(|_| !site.is_stand_in()) {
        return Err(format!("this daemon has no {name}"));
    }
    // Where the daemon's user can read them: 4.0 opens them in "TCP main".
    let (key, certificate) = ("/run/key.pem", "/run/certificate.pem");
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=test", "-keyout", key, "-out", certificate]);
    let made = site.on_host(|| {
        let made = openssl.output();
        let _ = std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644));
        made
    });
    match made {
        Err(error) => return Err(format!("openssl: {error}")),
        Ok(output) if !output.status.success() => {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(_) => {}
    }
    // A module without a socket of its protocol is refused.
    let protocols = over_tcp.iter().filter_map(|socket| socket.split_once(':'));
    let protocols = protocols.map(|(protocol, _)| format!("proto_{protocol}"));
    let modules: String = ["tls_openssl".to_owned(), "tls_mgm".to_owned()]
        .into_iter()
        .chain(protocols.filter(|module| module != "proto_tcp"))
        .map(|name| format!("loadmodule \"{name}.so\"\n"))
        .collect();
    let sockets = [&["udp:127.0.0.1:5060"], over_tcp].concat();
    let mut config = site.config_with(&sockets);
    config.stderror = false;
    config.mi_datagram = Some(format!("udp:{PROCESSES_AT}"));
    config.more = format!(
        "{modules}\
         modparam(\"tls_mgm\", \"server_domain\", \"test\")\n\
         modparam(\"tls_mgm\", \"match_ip_address\", \"[test]*\")\n\
         modparam(\"tls_mgm\", \"certificate\", \"[test]{certificate}\")\n\
         modparam(\"tls_mgm\", \"private_key\", \"[test]{key}\")\n\
         modparam(\"tls_mgm\", \"verify_cert\", \"[test]0\")\n\
         modparam(\"tls_mgm\", \"require_cert\", \"[test]0\")\n"
    );
    site.write(&config.text());
    Ok(())
}

#[test]
fn each_transport_over_tcp_is_asked() {
    const TEST: &str = "each_transport_over_tcp_is_asked";
    testnet::root_or_skip!();
    every_daemon_with_mi(TEST, |site| {
        for asked in ["tcp:127.0.0.1:5060", OVER_TCP[0], OVER_TCP[1], OVER_TCP[2]] {
            if let Err(why) = configure_with(site, &[asked]) {
                return testnet::skipped(TEST, &why);
            }
            site.start();
            ends(&site.monitor(), 0);
            let log = asked_at(site);
            assert!(log.contains(&format!("probe={asked} code=")), "{log}");
            // UDP and the MI answer.
            let kind = if site.is_stand_in() { "TCP" } else { "TCP receiver" };
            for receiver in processes(site, kind) {
                testnet::suspend(receiver);
            }
            let hasty =
                site.agent().param("sip_probe_timeout", "300ms").param("sip_probe_attempts", "2");
            let words = format!("does not serve: no answer to OPTIONS at {asked} within 2 x 0.3s");
            fails(&recurring(&hasty), 1, &words);
            site.stop();
        }
    });
}

/// What a monitor says of what it has asked.
fn asked_at(site: &Site) -> String {
    let path = site.path("log");
    std::fs::write(&path, "").unwrap();
    let logging = site.agent().env("HA_LOGFILE", &path).env("HA_debug", "1");
    ends(&recurring(&logging), 0);
    std::fs::read_to_string(path).unwrap()
}

/// Closes a listening TCP socket under the daemon that holds it (`SOCK_DESTROY`): no daemon does
/// that itself and lives on.
fn close_under_the_daemon(site: &Site, port: u16) {
    let port = format!("sport = :{port}");
    let mut close = Command::new("ss");
    let closed = site.host.run(|| close.args(["-K", "-Htn", "state", "listening", &port]).output());
    let closed = closed.unwrap();
    assert!(closed.status.success() && !closed.stdout.is_empty(), "{closed:?}");
}

/// Sets SO_REUSEADDR, as every instance of the daemon does.
#[test]
fn every_protocol_over_tcp_is_waited_for_and_watched() {
    const TEST: &str = "every_protocol_over_tcp_is_waited_for_and_watched";
    testnet::root_or_skip!();
    every_daemon(TEST, |site| {
        if let Err(why) = configure_with(site, &OVER_TCP) {
            return testnet::skipped(TEST, &why);
        }
        site.start();
        let main = site.main();
        let state = site.state();
        for listener in OVER_TCP {
            assert!(state.contains(&format!("listener {listener} ")), "{state}");
        }
        ends(&site.monitor(), 0);
        for listener in OVER_TCP.iter().rev() {
            close_under_the_daemon(site, listener.rsplit(':').next().unwrap().parse().unwrap());
            let closed = format!("OpenSIPS (pid {main}) does not listen on {listener}");
            fails(&site.monitor(), 1, &closed);
            // Somebody takes its place.
            let address = listener.split_once(':').unwrap().1;
            let held = Stranger::tcp(site, address);
            fails(&site.monitor(), 1, &format!("{listener} is held by "));
            fails(&site.monitor(), 1, &held.name());
            drop(held);
        }
        site.stop();
    });
}

#[test]
fn a_second_socket_at_the_same_address_is_named() {
    testnet::root_or_skip!();
    every_daemon("a_second_socket_at_the_same_address_is_named", |site| {
        site.start();
        let second = Stranger::shared_udp(site, "127.0.0.1:5060");
        // It was bound last, so it gets the question, and says nothing.
        let asked =
            site.agent().param("sip_probe_timeout", "200ms").param("sip_probe_attempts", "1");
        fails(&recurring(&asked), 1, "udp:127.0.0.1:5060 is taken by ");
        fails(&recurring(&asked), 1, &second.name());
        // Where nobody is asked, it is there all the same.
        let unasked = asked.param("sip_probe", "none");
        fails(&recurring(&unasked), 190, "udp:127.0.0.1:5060 is shared with ");
        fails(&recurring(&unasked), 190, &second.name());
        // Nor is a daemon started beside it.
        ends(&site.agent().action("stop"), 0);
        fails(&site.agent().action("start"), 1, "udp:127.0.0.1:5060 is in use by ");
        fails(&site.agent().action("start"), 1, &second.name());
        site.nothing_is_left();
        // A wildcard beside the daemon's own address takes nothing away.
        drop(second);
        site.start();
        let wildcard = Stranger::shared_udp(site, "0.0.0.0:5060");
        ends(&site.monitor(), 0);
        drop(wildcard);
        site.stop();
    });
}

#[test]
fn what_is_demanded_is_waited_for() {
    testnet::root_or_skip!();
    every_daemon("what_is_demanded_is_waited_for", |site| {
        let demanding = site.agent().param("listeners", "udp:127.0.0.1:5060,tls:127.0.0.1:5061");
        let hurried = demanding.clone().env("OCF_RESKEY_CRM_meta_timeout", "10000");
        for check in ["yes", "no"] {
            let outcome = hurried.clone().param("start_check", check).action("start");
            fails(&outcome, 1, "does not listen on tls:127.0.0.1:5061 after ");
            site.nothing_is_left();
        }
        // Somebody else's is no substitute, and is named before the daemon is executed.
        let held = Stranger::tcp(site, "127.0.0.1:5061");
        for check in ["yes", "no"] {
            let outcome = hurried.clone().param("start_check", check).action("start");
            fails(&outcome, 1, "tls:127.0.0.1:5061 is in use by ");
            fails(&outcome, 1, &held.name());
            site.nothing_is_left();
        }
        drop(held);
        site.configure(&["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "tcp:127.0.0.1:5061"]);
        ends(&demanding.action("start"), 0);
        ends(&recurring(&demanding), 0);
        ends(&demanding.action("start"), 0);
        site.stop();
    });
}

#[test]
fn what_is_demanded_of_an_instance_that_runs() {
    testnet::root_or_skip!();
    every_daemon("what_is_demanded_of_an_instance_that_runs", |site| {
        let sockets = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "tcp:127.0.0.1:5061"];
        let mut config = site.config_with(&sockets);
        config.stderror = false;
        site.write(&config.text());
        site.start();
        let main = site.main();
        let demanding = |more: &str| site.agent().param("listeners", more);
        let missing = demanding("sctp:127.0.0.1:5060 wss:127.0.0.1:443");
        let reason = format!("OpenSIPS (pid {main}) does not listen on wss:127.0.0.1:443");
        fails(&recurring(&missing), 1, &reason);
        let held = Stranger::tcp(site, "127.0.0.1:443");
        fails(&recurring(&missing), 1, "wss:127.0.0.1:443 is held by ");
        fails(&recurring(&missing), 1, &held.name());
        drop(held);
        ends(&recurring(&demanding("tls:127.0.0.1:5061")), 0);

        // Its memory is lost, with one of the sockets: what is open now would be taken for all.
        ends(&site.monitor(), 0);
        close_under_the_daemon(site, 5061);
        site.on_host(|| std::fs::remove_file(STATE).unwrap());
        let reason = format!("OpenSIPS (pid {main}) does not listen on tls:127.0.0.1:5061");
        fails(&recurring(&demanding("tls:127.0.0.1:5061")), 1, &reason);
        ends(&site.monitor(), 0);
        // And is remembered once it is there.
        ends(&recurring(&demanding("tcp:127.0.0.1:5060")), 0);
        site.stop();
    });
}

#[test]
fn a_demand_is_remembered_with_its_socket() {
    testnet::root_or_skip!();
    every_daemon("a_demand_is_remembered_with_its_socket", |site| {
        site.start();
        // As if the daemon had opened one that it does not declare.
        let state = site.state();
        let (of_tcp, others): (Vec<&str>, Vec<&str>) =
            state.lines().partition(|line| line.starts_with("listener tcp:"));
        assert_eq!(of_tcp.len(), 1, "{state}");
        write(site, STATE, &(others.join("\n") + "\n"));
        ends(&recurring(&site.agent().param("listeners", "tcp:127.0.0.1:5060")), 0);
        assert!(site.state().contains(of_tcp[0]), "{}", site.state());
        site.stop();
    });
}

#[test]
fn sctp() {
    const TEST: &str = "sctp";
    testnet::root_or_skip!();
    every_daemon(TEST, |site| {
        if !site.is_stand_in() && !site.has_module("proto_sctp") {
            return testnet::skipped(TEST, "this daemon has no proto_sctp");
        }
        site.configure(&["udp:127.0.0.1:5060", "sctp:127.0.0.1:5060"]);
        let none = socket(
            AddressFamily::Inet,
            SockType::SeqPacket,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::Sctp,
        );
        if none.is_ok() {
            site.start();
            assert!(site.state().contains("listener sctp:127.0.0.1:5060 "), "{}", site.state());
            ends(&site.monitor(), 0);
            return site.stop();
        }
        // Said before the daemon fails, as what it is: a component that is missing on this node.
        let reason = "sctp:127.0.0.1:5060 needs SCTP, which this kernel does not have";
        fails(&site.agent().action("start"), 5, reason);
        fails(&site.agent().env("OCF_CHECK_LEVEL", "10").action("validate-all"), 5, reason);
        site.nothing_is_left();
        // Without the check, in the daemon's own words.
        let unchecked = site.agent().param("start_check", "no");
        fails(&unchecked.action("start"), 1, "socket failed with Socket type not supported");
        site.nothing_is_left();
        // A demand that this kernel can't verify is not missed.
        site.configure(&["udp:127.0.0.1:5060"]);
        site.start();
        let demanding = site.agent().param("listeners", "sctp:127.0.0.1:5060");
        ends(&recurring(&demanding), 0);
        ends(&site.monitor(), 0);
        site.stop();
    });
}
