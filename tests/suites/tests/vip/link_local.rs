//! A link-local VIP is the one on the link where it was started, whatever that link is called now.

use std::process::Command;

use testnet::{Agent, Host};

use super::{Site, ends, fails, files, plain, recurring, second_interface};

fn vip(host: &Host, nic: &str) -> Agent {
    plain(host).param("ip", "fe80::10").param("nic", nic).param("announce_schedule", "0,600000")
}

fn is_there(host: &Host) -> bool {
    host.ip("-6 addr show").contains("fe80::10/64")
}

#[test]
fn a_link_that_has_lost_the_name_of_nic() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip("link property add dev eth0 altname enp9s9");
    let altname = vip(&site.a, "enp9s9");
    for (nic, agent) in [("enp9s9", &altname), ("eth0", &vip(&site.a, "eth0"))] {
        ends(&agent.action("start"), 0);
        ends(&recurring(agent), 0);
        let mut rename = match nic {
            "enp9s9" => vec!["link", "property", "del", "dev", "eth0", "altname", "enp9s9"],
            _ => vec!["link", "set", "eth0", "name", "wan0"],
        };
        // Older kernels than 6.2 rename no link that is up.
        if !site.a.output(Command::new("ip").args(&mut rename)).status.success() {
            ends(&agent.action("stop"), 0);
            continue;
        }
        assert!(is_there(&site.a));
        let belongs = format!("fe80::10 belongs on interface {nic}, which does not exist");
        fails(&recurring(agent), 1, &belongs);
        fails(&agent.action("monitor"), 1, &belongs);
        ends(&agent.action("stop"), 0);
        assert!(!is_there(&site.a) && files(&site.a).is_empty(), "{:?}", files(&site.a));
        ends(&recurring(agent), 7);
    }
}

#[test]
fn by_hand_without_nic() {
    testnet::root_or_skip!();
    let site = Site::new();
    second_interface(&site.a);
    let by_hand = plain(&site.a).param("ip", "fe80::10");
    // An address that no start has added.
    site.a.ip("addr add fe80::10/64 dev eth1 nodad");
    ends(&by_hand.action("stop"), 0);
    assert!(is_there(&site.a));
    site.a.ip("addr del fe80::10/64 dev eth1");
    ends(&vip(&site.a, "eth0").action("start"), 0);
    // The connections of such an address can be on other links: they are neither waited for nor reset.
    let careful = by_hand.clone().param("drain", "1s").param("close_connections", "yes");
    ends(&careful.action("stop"), 0);
    assert!(!is_there(&site.a) && files(&site.a).is_empty(), "{:?}", files(&site.a));
    for nic in ["eth0", "eth1"] {
        ends(&vip(&site.a, nic).action("start"), 0);
    }
    let ambiguous = by_hand.action("stop");
    fails(&ambiguous, 2, "fe80::10 was started on several interfaces (eth");
    for nic in ["eth0", "eth1"] {
        ends(&vip(&site.a, nic).action("stop"), 0);
    }
    assert!(!is_there(&site.a) && files(&site.a).is_empty());
}
