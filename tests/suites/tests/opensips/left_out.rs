//! Sockets that the configuration declares and the daemon leaves out, and lists of sockets that the agent
//! does not understand: no green light on them.

use std::process::Command;

use opensips_stand_in::Version;
use testnet::{Outcome, wait_until};

use crate::site::{every_daemon_that, stand_in_alone};
use crate::{LONG, Site, ends, fails};

/// A name that no name server knows (RFC 6761, 6.4).
const UNKNOWN: &str = "udp:\"no.such.invalid\":5062";
const WHY: &str = "leaves out a socket of its configuration (could not resolve no.such.invalid)";

/// From 3.6 on the check succeeds all the same.
fn leaves_out(version: Version) -> bool {
    !matches!(version, Version::V2_4 | Version::V3_4)
}

/// A start that has not much time for the name server.
fn hurried(site: &Site, action: &str) -> Outcome {
    site.agent().env("OCF_RESKEY_CRM_meta_timeout", "9000").action(action)
}

#[test]
fn a_socket_that_is_left_out_fails_the_start() {
    testnet::root_or_skip!();
    every_daemon_that(leaves_out, "a_socket_that_is_left_out_fails_the_start", |site| {
        let name = "udp:127.0.0.1:5062 as \"no.such.invalid\"";
        for (socket, why) in [(UNKNOWN, WHY), (name, "could not resolve advertised name")] {
            site.configure(&["udp:127.0.0.1:5060", socket]);
            fails(&hurried(site, "start"), 1, why);
            site.nothing_is_left();
            let checked = site.agent().env("OCF_CHECK_LEVEL", "10").action("validate-all");
            assert_ne!(checked.code, 0);
            assert!(checked.stderr.contains(why), "{}", checked.stderr);
        }
        // Without the check, the daemon says so itself.
        let unchecked = site.agent().param("start_check", "no");
        site.configure(&["udp:127.0.0.1:5060", UNKNOWN]);
        fails(&unchecked.action("start"), 1, WHY);
        site.nothing_is_left();
    });
}

/// Looks it up in a file of its own.
fn with_hosts(site: &Site) -> std::path::PathBuf {
    let hosts = site.path("hosts");
    std::fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
    let mut mount = Command::new("mount");
    mount.arg("--bind").arg(&hosts).arg("/etc/hosts");
    assert!(site.on_host(|| mount.status()).unwrap().success());
    hosts
}

#[test]
fn a_name_server_that_comes_late_is_waited_for() {
    testnet::root_or_skip!();
    every_daemon_that(leaves_out, "a_name_server_that_comes_late_is_waited_for", |site| {
        let hosts = with_hosts(site);
        site.configure(&["udp:127.0.0.1:5060", "udp:\"late.invalid\":5062"]);
        let mut command = site.command("start");
        let mut start = site.host.spawn(command.env("OCF_RESKEY_CRM_meta_timeout", "300000"));
        wait_until("start has begun", LONG, || {
            site.files("/run/smartvox").iter().any(|file| file.ends_with(".lock"))
        });
        // Whatever moment this is: the first check or the tenth finds the name.
        let known = "127.0.0.1 localhost late.invalid\n";
        std::fs::write(hosts, known).unwrap();
        assert!(start.wait().unwrap().success());
        assert!(site.state().contains("listener udp:127.0.0.1:5062 "), "{}", site.state());
        ends(&site.monitor(), 0);
        site.stop();
    });
}

#[test]
fn a_running_daemon_that_has_left_out_a_socket_is_degraded() {
    testnet::root_or_skip!();
    every_daemon_that(leaves_out, "a_running_daemon_that_has_left_out_a_socket", |site| {
        site.start();
        ends(&site.monitor(), 0);
        site.forget();
        site.configure(&["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", UNKNOWN]);
        // It serves: nothing is ended for a name.
        ends(&site.agent().action("start"), 0);
        for _ in 0..2 {
            fails(&site.monitor(), 190, WHY);
        }
        site.stop();
    });
}

#[test]
fn an_invisible_character_hides_no_socket() {
    testnet::root_or_skip!();
    every_daemon_that(
        |_| true,
        "an_invisible_character_hides_no_socket",
        |site| {
            let text = site.config_with(&["udp:127.0.0.1:5060"]).text();
            site.write(&format!("\u{feff}{text}"));
            site.start();
            assert!(site.state().contains("listener udp:127.0.0.1:5060 "), "{}", site.state());
            ends(&site.monitor(), 0);
            site.stop();
        },
    );
}

#[test]
fn a_list_of_sockets_that_is_not_understood_is_said() {
    testnet::root_or_skip!();
    stand_in_alone("a_list_of_sockets_that_is_not_understood_is_said", |site| {
        let text = site.config_with(&["udp:127.0.0.1:5060"]).text();
        site.write(&format!("# OPENSIPS_STAND_IN_LISTENING=elsewhere\n{text}"));
        let why = "the sockets of this configuration are not known (OpenSIPS prints no list of them): \
                   name them in listeners";
        site.start();
        // What the processes hold is watched nevertheless.
        assert!(site.state().contains("listener udp:127.0.0.1:5060 "), "{}", site.state());
        fails(&site.monitor(), 190, why);
        site.stop();
        let named = site.agent().param("listeners", "udp:127.0.0.1:5060");
        ends(&named.action("start"), 0);
        ends(&crate::site::recurring(&named), 0);
        ends(&named.action("stop"), 0);
    });
}
