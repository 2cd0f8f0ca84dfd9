//! Named network namespaces. A host of the test network has its own `/run`, and so its own names.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{drop_capabilities, soon};
use hostnet::{Capability, Error, Family, NamespaceName, Netlink, NetworkNamespace, Sysctl};
use testnet::Host;

fn name(text: &str) -> NamespaceName {
    text.parse().unwrap()
}

fn links() -> Vec<String> {
    let links = Netlink::open().unwrap().links(soon()).unwrap();
    links.iter().map(|link| link.name.to_string()).collect()
}

#[test]
fn links_and_settings_are_those_of_the_namespace() {
    testnet::root_or_skip!();
    let a = Host::new("a");
    a.ip("link add eth0 type bridge");
    a.ip("netns add blue");
    a.ip("-n blue link add blue0 type bridge");
    a.run(|| {
        let sysctl = Sysctl::default();
        sysctl.set_ip_nonlocal_bind(Family::V4, false).unwrap();
        let elsewhere = Netlink::open().unwrap();
        NetworkNamespace::open(&name("blue")).unwrap().enter().unwrap();
        assert_eq!(links(), ["lo", "blue0"]);
        sysctl.set_ip_nonlocal_bind(Family::V4, true).unwrap();
        assert!(sysctl.ip_nonlocal_bind(Family::V4).unwrap());
        assert!(sysctl.promote_secondaries(&"blue0".parse().unwrap()).is_ok());
        let gone = sysctl.promote_secondaries(&"eth0".parse().unwrap());
        assert!(matches!(gone, Err(Error::SysctlMissing { .. })), "{gone:?}");
        // A program that this thread starts is in it, too.
        let started = std::process::Command::new("ip").args(["link", "show", "blue0"]).output();
        assert!(started.unwrap().status.success());
        // An open connection stays in the namespace in which it was opened.
        let eth0 = elsewhere.link_by_name(&"eth0".parse().unwrap(), soon()).unwrap();
        assert!(eth0.is_some());
    });
    // Other threads have not moved.
    a.run(|| {
        assert_eq!(links(), ["lo", "eth0"]);
        assert!(!Sysctl::default().ip_nonlocal_bind(Family::V4).unwrap());
    });
    a.ip("netns del blue");
}

#[test]
fn a_namespace_that_does_not_exist() {
    testnet::root_or_skip!();
    let a = Host::new("a");
    a.run(|| {
        let missing = NetworkNamespace::open(&name("blue")).unwrap_err();
        assert!(matches!(missing, Error::NoSuchNamespace { .. }), "{missing:?}");
        a.ip("netns add blue");
        let blue = NetworkNamespace::open(&name("blue")).unwrap();
        // An open namespace stays when its name is deleted.
        a.ip("netns del blue");
        blue.enter().unwrap();
        assert_eq!(links(), ["lo"]);
        // An empty file, as a killed container engine leaves it.
        std::fs::write("/run/netns/stale", "").unwrap();
        let stale = NetworkNamespace::open(&name("stale")).unwrap().enter().unwrap_err();
        assert!(matches!(stale, Error::NoSuchNamespace { .. }), "{stale:?}");
        // A namespace of another kind.
        std::os::unix::fs::symlink("/proc/self/ns/uts", "/run/netns/uts").unwrap();
        let other = NetworkNamespace::open(&name("uts")).unwrap().enter().unwrap_err();
        assert!(matches!(other, Error::NoSuchNamespace { .. }), "{other:?}");
    });
}

#[test]
fn without_the_privilege() {
    testnet::root_or_skip!();
    let a = Host::new("a");
    a.ip("netns add blue");
    a.run(|| {
        let blue = NetworkNamespace::open(&name("blue")).unwrap();
        drop_capabilities();
        let refused = blue.enter().unwrap_err();
        let Error::PermissionDenied { capability, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!(*capability, Capability::SysAdmin);
    });
    a.ip("netns del blue");
}
