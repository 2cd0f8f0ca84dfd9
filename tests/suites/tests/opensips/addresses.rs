//! Sockets that are not on the virtual address itself.

use testnet::binary;

use crate::{Site, ends, every_daemon};

/// What validate-all of level 10 says to a person.
fn told(site: &Site) -> String {
    let agent = testnet::agent(&site.host, binary("opensips"))
        .timeout(crate::LONG)
        .env("OCF_CHECK_LEVEL", "10")
        .param("binary", &site.binary)
        .param("config", site.config())
        .param("user", "nobody")
        .param("group", "nogroup")
        .param("vip", "127.0.0.9");
    let outcome = agent.action("validate-all");
    ends(&outcome, 0);
    outcome.stderr
}

#[test]
fn a_listener_that_stands_in_for_the_virtual_address_is_told() {
    testnet::root_or_skip!();
    every_daemon("a_listener_that_stands_in_for_the_virtual_address_is_told", |site| {
        site.configure(&["udp:0.0.0.0:5060"]);
        let words = told(site);
        assert!(
            words.contains("vip 127.0.0.9 has no UDP socket of its own, udp:0.0.0.0:5060"),
            "{words}"
        );
        assert!(words.contains("answers from another address"), "{words}");
        // An interface is expanded to the addresses that it has now.
        site.configure(&["udp:lo:5060"]);
        let words = told(site);
        assert!(words.contains("vip 127.0.0.9 is served by no socket"), "{words}");
        site.configure(&["udp:0.0.0.0:5060", "udp:127.0.0.9:5061"]);
        let words = told(site);
        assert!(!words.contains("vip 127.0.0.9"), "{words}");
    });
}
