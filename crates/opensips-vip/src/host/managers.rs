//! Other programs that manage the interface and may remove or add the VIP.

use std::net::IpAddr;
use std::path::Path;

use hostnet::Link;

/// The programs that manage the link, according to their run directories. These are about the host's network,
/// and in a namespace (`in_namespace`) another link has the same number.
pub(crate) fn of(link: &Link, ip: IpAddr, in_namespace: bool) -> Vec<String> {
    if in_namespace { Vec::new() } else { found(Path::new("/run"), link, ip) }
}

fn found(run: &Path, link: &Link, ip: IpAddr) -> Vec<String> {
    let contains = |path: String, words: &str| {
        std::fs::read_to_string(run.join(path)).is_ok_and(|text| text.contains(words))
    };
    let index = link.index;
    let mut found = Vec::new();
    // networkd writes ADMIN_STATE=unmanaged, and no NETWORK_FILE, for links that it does not manage.
    if contains(format!("systemd/netif/links/{index}"), "NETWORK_FILE=") {
        found.push("systemd-networkd (set KeepConfiguration=yes for the interface)".to_owned());
    }
    if contains(format!("NetworkManager/devices/{index}"), "managed=true") {
        found.push("NetworkManager".to_owned());
    }
    if ["keepalived.pid", "keepalived/keepalived.pid"].iter().any(|path| run.join(path).exists()) {
        found.push(format!("keepalived, if its configuration has {ip}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::link;

    #[test]
    fn by_their_run_directories() {
        let run = tempfile::tempdir().unwrap();
        let ip = "192.0.2.10".parse().unwrap();
        assert!(found(run.path(), &link(2, "eth0"), ip).is_empty());
        for (path, text) in [
            ("systemd/netif/links/2", "ADMIN_STATE=configured\nNETWORK_FILE=/etc/x.network\n"),
            ("systemd/netif/links/3", "ADMIN_STATE=unmanaged\n"),
            ("NetworkManager/devices/2", "[device]\nmanaged=true\n"),
            ("NetworkManager/devices/3", "[device]\nmanaged=false\n"),
        ] {
            let path = run.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let both = found(run.path(), &link(2, "eth0"), ip);
        assert_eq!(both.len(), 2);
        assert!(both[0].starts_with("systemd-networkd") && both[1] == "NetworkManager");
        assert!(found(run.path(), &link(3, "eth1"), ip).is_empty());
    }
}
