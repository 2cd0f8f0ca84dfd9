//! How busy the daemon's processes are, as a monitor of level 10 sees it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

use testnet::wait_until;

use crate::mi::deep;
use crate::site::recurring;
use crate::{LONG, Site, ends, every_daemon_with_mi, fails};

const ENDPOINT: &str = "datagram:127.0.0.1:8080";

fn configure(site: &Site, switch: &str) {
    let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
    config.mi_datagram = Some("udp:127.0.0.1:8080".to_owned());
    config.more = switch.to_owned();
    site.write(&config.text());
}

/// Keeps the receivers at work while `test` runs.
fn under_load(site: &Site, test: impl FnOnce()) {
    let target: SocketAddr = "127.0.0.1:5060".parse().unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            site.on_host(|| {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                let request = suites::sip::options(target, socket.local_addr().unwrap(), 1);
                while !over.load(Ordering::Relaxed) {
                    socket.send_to(&request, target).unwrap();
                }
            });
        });
        let _over = crate::mi_faults::Over(&over);
        test();
    });
}

#[test]
fn busy_receivers_are_a_degradation() {
    testnet::root_or_skip!();
    every_daemon_with_mi("busy_receivers_are_a_degradation", |site| {
        configure(site, "");
        let agent = site.agent().param("mi", ENDPOINT);
        ends(&agent.action("start"), 0);
        let limited = agent.clone().param("load_limit", "1");
        // The daemon looks busy if the machine stalled within the last minute.
        wait_until("the receivers are idle", LONG, || deep(&limited).code == 0);
        // The stand-in counts nothing: it says what a switch tells it.
        if site.is_stand_in() {
            ends(&agent.action("stop"), 0);
            configure(site, "# OPENSIPS_STAND_IN_LOAD_PERCENT=97\n");
            ends(&agent.action("start"), 0);
            let words = "load: SIP receiver udp:127.0.0.1:5060 (2 processes) busy 97% of the last \
                         minute, over load_limit=96%";
            fails(&deep(&agent.clone().param("load_limit", "96")), 190, words);
            ends(&deep(&agent.clone().param("load_limit", "97")), 0);
        } else {
            under_load(site, || {
                wait_until("the receivers were busy", LONG, || deep(&limited).code == 190);
                let words = "load: SIP receiver udp:127.0.0.1:5060 (2 processes) busy ";
                fails(&deep(&limited), 190, words);
            });
        }
        // Only who asks for it, and only where the MI is asked at all.
        ends(&deep(&agent), 0);
        ends(&recurring(&limited), 0);
        ends(&agent.action("stop"), 0);
    });
}
