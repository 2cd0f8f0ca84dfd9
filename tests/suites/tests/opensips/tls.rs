//! The probe over TLS. The stand-in speaks none.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use opensips_stand_in::Version;
use testnet::{Agent, wait_until};

use crate::site::{PROCESSES_AT, Site, processes, recurring, signal};
use crate::{LONG, ends, every_daemon, fails};

const AT: &str = "tls:127.0.0.1:5061";

/// A certificate that nobody has signed and that is not this host's, and its key.
fn certificate(site: &Site) -> bool {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "1", "-subj", "/CN=example.org", "-keyout"])
        .arg(site.path("key.pem"))
        .arg("-out")
        .arg(site.path("certificate.pem"))
        .output();
    let Ok(output) = made else { return false };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The daemon reads them as its own user.
    for file in ["key.pem", "certificate.pem", ""] {
        set_mode(&site.path(file), 0o755);
    }
    true
}

fn set_mode(path: &Path, mode: u32) {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(path, permissions).unwrap();
}

/// A daemon with a TLS listener; `more` of its domain.
fn configure(site: &Site, sockets: &[&str], more: &str) {
    let mut config = site.config_with(sockets);
    config.mi_datagram = Some(format!("udp:{PROCESSES_AT}"));
    let (certificate, key) = (site.path("certificate.pem"), site.path("key.pem"));
    config.more = format!(
        "loadmodule \"tls_openssl.so\"\n\
         loadmodule \"tls_mgm.so\"\n\
         loadmodule \"proto_tls.so\"\n\
         modparam(\"tls_mgm\", \"server_domain\", \"own\")\n\
         modparam(\"tls_mgm\", \"match_ip_address\", \"[own]*\")\n\
         modparam(\"tls_mgm\", \"certificate\", \"[own]{}\")\n\
         modparam(\"tls_mgm\", \"private_key\", \"[own]{}\")\n{more}",
        certificate.display(),
        key.display()
    );
    site.write(&config.text());
}

const NO_CLIENT_CERTIFICATE: &str = "modparam(\"tls_mgm\", \"verify_cert\", \"[own]0\")\n\
     modparam(\"tls_mgm\", \"require_cert\", \"[own]0\")\n";

fn with_each_version(test: &str, body: impl Fn(&Site, &str)) {
    let tested = AtomicBool::new(false);
    every_daemon(test, |site| {
        if !site.has_module("tls_openssl") || !certificate(site) {
            return;
        }
        for version in ["TLSv1_2", "TLSv1_3"] {
            body(site, &format!("modparam(\"tls_mgm\", \"tls_method\", \"[own]{version}\")\n"));
            tested.store(true, Ordering::Relaxed);
        }
    });
    if !tested.load(Ordering::Relaxed) {
        testnet::skipped(&format!("tls::{test}"), "needs OpenSIPS with tls_openssl, and openssl");
    }
}

fn hasty(site: &Site) -> Agent {
    site.agent().param("sip_probe_timeout", "2s").param("sip_probe_attempts", "2")
}

#[test]
fn options_over_tls() {
    testnet::root_or_skip!();
    with_each_version("options_over_tls", |site, version| {
        let domain = format!("{version}{NO_CLIENT_CERTIFICATE}");
        configure(site, &["udp:127.0.0.1:5060", AT, "tls:[::1]:5061"], &domain);
        site.start();
        for target in [AT, "tls:[::1]:5061"] {
            let asked = site.patient().param("sip_probe", target);
            ends(&recurring(&asked.clone().param("sip_probe_codes", "200")), 0);
            let outcome = recurring(&asked.param("sip_probe_codes", "299"));
            fails(&outcome, 1, &format!("OPTIONS at {target} is answered with 200, not among"));
        }
        let deep =
            |agent: Agent| agent.env("OCF_CHECK_LEVEL", "20").param("sip_probe_codes", "200");
        ends(&recurring(&deep(site.patient())), 0);
        for receiver in processes(site, "TCP receiver") {
            testnet::suspend(receiver);
        }
        // Silent, though TCP main accepts every connection, and makes the handshake (4.0).
        let silent = format!("no answer to OPTIONS at {AT} within 2 x 2s");
        fails(&recurring(&deep(hasty(site))), 1, &silent);
        site.stop();
    });
}

#[test]
fn a_client_certificate_is_wanted() {
    testnet::root_or_skip!();
    with_each_version("a_client_certificate_is_wanted", |site, version| {
        // As the daemon does by default; and nothing else could be asked.
        let domain = format!(
            "{version}modparam(\"tls_mgm\", \"ca_list\", \"[own]{}\")\n",
            site.path("certificate.pem").display()
        );
        configure(site, &[AT], &domain);
        site.start();
        ends(&recurring(&site.patient()), 0);
        let listed = recurring(&site.patient().param("sip_probe_codes", "200-499"));
        fails(&listed, 1, &format!("TLS refused (a client certificate?), so no code at {AT}"));
        for receiver in processes(site, "TCP receiver") {
            testnet::suspend(receiver);
        }
        let outcome = recurring(&hasty(site));
        // From 4.0 on TCP main makes the handshake, and that is as far as we come.
        match site.version {
            Version::V4_0 => fails(&outcome, 190, "are stopped (SIGSTOP)"),
            _ => fails(&outcome, 1, &format!("no answer to OPTIONS at {AT} within 2 x 2s")),
        }
        site.stop();
    });
}

#[test]
fn an_instance_that_nobody_remembers() {
    testnet::root_or_skip!();
    with_each_version("an_instance_that_nobody_remembers", |site, version| {
        configure(site, &[AT], &format!("{version}{NO_CLIENT_CERTIFICATE}"));
        let asked = hasty(site).param("mi", format!("datagram:{PROCESSES_AT}"));
        ends(&asked.action("start"), 0);
        site.forget();
        let receivers = processes(site, "TCP receiver");
        for receiver in &receivers {
            testnet::suspend(*receiver);
        }
        // From 4.0 on TCP main makes the handshake, and refuses what is none; before, nobody does.
        let transport = if site.version == Version::V4_0 { "tls" } else { "tcp" };
        let silent = format!("no answer to OPTIONS at {transport}:127.0.0.1:5061 within 2 x 2s");
        fails(&recurring(&asked), 1, &silent);
        assert_eq!(site.state(), "");
        for receiver in receivers {
            signal(receiver, Signal::SIGCONT);
        }
        wait_until("all is well again", LONG, || recurring(&asked).code == 0);
        // It is known for what it is, and asked from now on.
        let state = site.state();
        assert!(state.contains(&format!("listener {AT} ")), "{state}");
        let outcome = recurring(&site.patient().param("sip_probe_codes", "299"));
        fails(&outcome, 1, &format!("OPTIONS at {AT} is answered with 200, not among"));
        ends(&asked.action("stop"), 0);
        site.nothing_is_left();
    });
}
