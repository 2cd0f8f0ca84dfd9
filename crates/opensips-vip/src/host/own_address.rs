//! Reads what tells whether an address is the host's own: the kernel's tables, and the configuration of
//! Corosync and of the host's network.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use deadline::Deadline;
use hostfs::Links;
use hostnet::{Address, Family, Netlink, Result, TABLE_MAIN};

use super::run_files::RunFiles;
use super::{settled, tables};
use crate::decide::own_address::{self, OwnAddress};

/// Longest configuration file that is read, in bytes.
const LIMIT: u64 = 1024 * 1024;

const COROSYNC: &str = "etc/corosync/corosync.conf";

/// The files, and all files in the directories, in which the host's addresses are configured.
const NETWORK: [&str; 10] = [
    "etc/network/interfaces",
    "etc/network/interfaces.d",
    "etc/netplan",
    "run/netplan",
    "etc/systemd/network",
    "run/systemd/network",
    "etc/NetworkManager/system-connections",
    "run/NetworkManager/system-connections",
    "etc/sysconfig/network-scripts",
    "etc/sysconfig/network",
];

/// Why the address is the host's own, or one of Corosync; `None` also for a VIP that is noted as started or
/// adopted here. `instances` are those of the address; of one that is not here, only Corosync's configuration
/// is read. `in_namespace`: the VIP is not in the host's network, which the files are about.
pub(crate) fn find(
    netlink: &Netlink,
    files: &RunFiles,
    ip: IpAddr,
    instances: &[Address],
    in_namespace: bool,
    until: Deadline,
) -> Result<Option<OwnAddress>> {
    if files.is_noted_here() {
        return Ok(None);
    }
    let root = Path::new("/");
    if !in_namespace && let Some(own) = of_corosync(root, ip) {
        return Ok(Some(own));
    }
    if instances.is_empty() {
        return Ok(None);
    }
    if !in_namespace && let Some(own) = configured(root, ip) {
        return Ok(Some(own));
    }
    let family = Family::of(ip);
    let addresses = tables::addresses(netlink, family, until)?;
    let routes = settled(until, || netlink.routes(family, TABLE_MAIN, until))?;
    let tables = own_address::Tables {
        addresses: &addresses,
        vips: &files.noted_vips(),
        routes: &routes,
        names: &tables::link_names(netlink, until),
    };
    Ok(own_address::by_tables(instances, &tables))
}

fn of_corosync(root: &Path, ip: IpAddr) -> Option<OwnAddress> {
    let corosync = read(&root.join(COROSYNC))?;
    let hosts = read(&root.join("etc/hosts")).unwrap_or_default();
    let file = Path::new("/").join(COROSYNC);
    own_address::is_of_corosync(&corosync, &hosts, ip).then_some(OwnAddress::Corosync { ip, file })
}

fn configured(root: &Path, ip: IpAddr) -> Option<OwnAddress> {
    let found = NETWORK
        .iter()
        .flat_map(|path| files_of(&root.join(path)))
        .find(|path| read(path).is_some_and(|text| own_address::is_configured_in(&text, ip)))?;
    let file = found.strip_prefix(root).map_or(found.clone(), |path| Path::new("/").join(path));
    Some(OwnAddress::Configured { ip, file })
}

/// The file, or the files in the directory.
fn files_of(path: &Path) -> Vec<PathBuf> {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(_) => vec![path.to_owned()],
    }
}

/// The text of a file; `None` if there is none that can be read.
fn read(path: &Path) -> Option<String> {
    let text = hostfs::read_regular(path, Links::Followed, LIMIT).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_named() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let ip = "192.0.2.1".parse().unwrap();
        assert_eq!((of_corosync(root.path(), ip), configured(root.path(), ip)), (None, None));
        write("etc/netplan/50-cloud-init.yaml", "      addresses: [192.0.2.1/24]\n");
        write("etc/network/interfaces", "iface eth0 inet dhcp\n");
        write("etc/corosync/corosync.conf", "  ring0_addr: node1\n");
        write("etc/hosts", "192.0.2.1 node1\n");
        let file = PathBuf::from("/etc/netplan/50-cloud-init.yaml");
        assert_eq!(configured(root.path(), ip), Some(OwnAddress::Configured { ip, file }));
        let file = PathBuf::from("/etc/corosync/corosync.conf");
        assert_eq!(of_corosync(root.path(), ip), Some(OwnAddress::Corosync { ip, file }));
        let other = "192.0.2.10".parse().unwrap();
        assert_eq!((of_corosync(root.path(), other), configured(root.path(), other)), (None, None));
    }
}
