//! Settings of a network namespace, changed for real.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used)]

use hostnet::{Family, Sysctl};
use testnet::Host;

#[test]
fn settings_are_those_of_the_namespace() {
    testnet::root_or_skip!();
    let (a, b) = (Host::new("a"), Host::new("b"));
    let sysctl = Sysctl::default();
    for family in [Family::V4, Family::V6] {
        a.run(|| sysctl.set_ip_nonlocal_bind(family, true)).unwrap();
        assert!(a.run(|| sysctl.ip_nonlocal_bind(family)).unwrap());
        assert!(!b.run(|| sysctl.ip_nonlocal_bind(family)).unwrap());
        a.run(|| sysctl.set_ip_nonlocal_bind(family, false)).unwrap();
        assert!(!a.run(|| sysctl.ip_nonlocal_bind(family)).unwrap());
    }
}

#[test]
fn promote_secondaries_of_a_link_or_of_all() {
    testnet::root_or_skip!();
    let a = Host::new("a");
    let sysctl = Sysctl::default();
    let lo = "lo".parse().unwrap();
    a.run(|| {
        sysctl.write("net/ipv4/conf/all/promote_secondaries", "0").unwrap();
        sysctl.set_promote_secondaries(&lo, false).unwrap();
        assert!(!sysctl.promote_secondaries(&lo).unwrap());
        sysctl.set_promote_secondaries(&lo, true).unwrap();
        assert!(sysctl.promote_secondaries(&lo).unwrap());
        sysctl.set_promote_secondaries(&lo, false).unwrap();
        sysctl.write("net/ipv4/conf/all/promote_secondaries", "1").unwrap();
        assert!(sysctl.promote_secondaries(&lo).unwrap());
    });
}

#[test]
fn forwarding_of_ipv6_is_per_link() {
    testnet::root_or_skip!();
    let a = Host::new("a");
    let (sysctl, lo) = (Sysctl::default(), "lo".parse().unwrap());
    assert!(!a.run(|| sysctl.forwards_ipv6(&lo)).unwrap());
    a.sysctl("net/ipv6/conf/lo/forwarding", "1");
    assert!(a.run(|| sysctl.forwards_ipv6(&lo)).unwrap());
}
