//! The daemon contract, fourth part: sockets on addresses that come and go, against the stand-in and
//! every real OpenSIPS found (see `contract.rs`).

// Functions that tests share may fail them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use nix::sys::signal::Signal;
use opensips_stand_in::{ConfigFile, Version};
use support::client::{SILENCE, request};
use support::{ABSENT, DEADLINE, Instance, PID_FILE, against_all};
use testnet::{Cable, Host, cable, root_or_skip, wait_until};

/// The host's own address in the network of [`ABSENT`].
const OWN: &str = "192.0.2.1";

#[test]
fn a_listener_on_an_absent_address_needs_nonlocal_bind() {
    root_or_skip!();
    against_all("absent address", |instance| {
        let socket = format!("{ABSENT}:5060");
        let sockets = vec![format!("udp:{socket}"), format!("tcp:{socket}")];
        let config = ConfigFile { sockets, ..instance.config() };
        assert_eq!(instance.start_with(&config, &[]), Some(255));
        let reason = format!(") on {ABSENT}: Cannot assign requested address");
        assert!(instance.errors().contains(&reason), "{}", instance.errors());
        assert!(!instance.exists(PID_FILE));
        instance.assert_nothing_left();

        // Messages to syslog alone: not a word on stderr.
        let quiet = ConfigFile { stderror: false, ..config.clone() };
        assert_eq!(instance.start_with(&quiet, &[]), Some(255));
        assert_eq!(instance.errors(), "");

        instance.host.sysctl("net/ipv4/ip_nonlocal_bind", "1");
        let running = instance.start(&config);
        instance.host.ip(&format!("addr add {ABSENT}/32 dev lo"));
        assert!(instance.serves_udp(&socket), "as soon as the address is there");
        wait_until("TCP is served", DEADLINE, || instance.serves_tcp(&socket));
        // The address is what matters, not the setting, for sockets that are open.
        instance.host.sysctl("net/ipv4/ip_nonlocal_bind", "0");
        assert!(instance.serves_udp(&socket));
        running.stop(Signal::SIGTERM);
    });
}

/// A host beside the instance's, and the instance's address there.
fn neighbour(instance: &Instance) -> (Host, Cable) {
    let host = Host::new("neighbour");
    let ends =
        [(&instance.host, "eth0", "02:00:00:00:00:01"), (&host, "eth0", "02:00:00:00:00:02")];
    let cable = cable(ends[0], ends[1]);
    instance.host.ip(&format!("addr add {OWN}/24 dev eth0"));
    host.ip("addr add 192.0.2.2/24 dev eth0");
    (host, cable)
}

/// Who answers OPTIONS that the neighbour sends to `to`; it takes an answer from anybody.
fn answering(neighbour: &Host, to: &str, within: Duration) -> Option<SocketAddr> {
    neighbour.run(|| {
        let socket = UdpSocket::bind("192.0.2.2:5060").unwrap();
        socket.set_read_timeout(Some(within)).unwrap();
        let options = request("OPTIONS", "sip:example.org", "UDP 192.0.2.2:5060", 70);
        socket.send_to(options.as_bytes(), to).unwrap();
        // ICMP says that nobody listens.
        socket.recv_from(&mut [0; 65_535]).ok().map(|(_, from)| from)
    })
}

#[test]
fn an_interface_or_a_star_is_expanded_once() {
    root_or_skip!();
    against_all("udp:eth0, udp:*", |instance| {
        let (neighbour, _cable) = neighbour(instance);
        for host in ["eth0", "*"] {
            let config =
                ConfigFile { sockets: vec![format!("udp:{host}:5060")], ..instance.config() };
            let running = instance.start(&config);
            let (own, vip) = (format!("{OWN}:5060"), format!("{ABSENT}:5060"));
            assert_eq!(answering(&neighbour, &own, DEADLINE), Some(own.parse().unwrap()));
            instance.host.ip(&format!("addr add {ABSENT}/24 dev eth0"));
            assert_eq!(answering(&neighbour, &vip, SILENCE), None, "{host}");
            running.stop(Signal::SIGTERM);

            let running = instance.start(&config);
            assert_eq!(answering(&neighbour, &vip, DEADLINE), Some(vip.parse().unwrap()));
            running.stop(Signal::SIGTERM);
            instance.host.ip(&format!("addr del {ABSENT}/24 dev eth0"));
        }
    });
}

#[test]
fn a_wildcard_answers_from_another_address_than_was_asked() {
    root_or_skip!();
    against_all("udp:0.0.0.0", |instance| {
        let (neighbour, _cable) = neighbour(instance);
        let config = ConfigFile { sockets: vec!["udp:0.0.0.0:5060".into()], ..instance.config() };
        instance.start(&config);
        instance.host.ip(&format!("addr add {ABSENT}/24 dev eth0"));
        let from = answering(&neighbour, &format!("{ABSENT}:5060"), DEADLINE);
        assert_eq!(from, Some(format!("{OWN}:5060").parse().unwrap()));
    });
}

#[test]
fn a_socket_whose_name_does_not_resolve_is_left_out() {
    root_or_skip!();
    against_all("socket=udp:\"no.such.invalid\"", |instance| {
        if matches!(instance.daemon.version, Version::V2_4 | Version::V3_4) {
            return;
        }
        let sockets = vec!["udp:127.0.0.1:5060".into(), "udp:\"no.such.invalid\":5062".into()];
        let config = ConfigFile { sockets, ..instance.config() };
        let running = instance.start(&config);
        let said = "ERROR:core:fix_socket: could not resolve no.such.invalid";
        assert!(instance.errors().contains(said), "{}", instance.errors());
        assert!(instance.serves_udp("127.0.0.1:5060"));
        running.stop(Signal::SIGTERM);
    });
}
