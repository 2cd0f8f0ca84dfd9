//! Reads what tells whether an address is the host's own: the kernel's tables, and the configuration of
//! Corosync and of the host's network.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use deadline::Deadline;
use hostfs::Links;
use hostnet::{Address, Family, Netlink, Result, TABLE_MAIN};

use super::run_files::RunFiles;
use super::{settled, tables};
use crate::decide::own_address::{self, OwnAddress};
use crate::log_line::line;

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
///
/// A file that can't be read is logged at the level `unread`, and counts as one without the address, as where no note
/// can be kept: a VIP that stays on two nodes is worse than an address of the host that has to be added again.
pub(crate) fn find(
    netlink: &Netlink,
    files: &RunFiles,
    ip: IpAddr,
    instances: &[Address],
    in_namespace: bool,
    unread: log::Level,
    until: Deadline,
) -> Result<Option<OwnAddress>> {
    if files.is_noted_here() {
        return Ok(None);
    }
    if !in_namespace {
        let mut look = Look::at(Path::new("/"));
        let own = look.for_own(ip, !instances.is_empty());
        look.tell(ip, unread);
        if own.is_some() {
            return Ok(own);
        }
    }
    if instances.is_empty() {
        return Ok(None);
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

/// A look at the configuration of a host.
struct Look<'a> {
    root: &'a Path,
    /// What exists and could not be read.
    unread: Vec<hostfs::Error>,
}

impl<'a> Look<'a> {
    fn at(root: &'a Path) -> Self {
        Self { root, unread: Vec::new() }
    }

    /// By Corosync's configuration, and by that of the host's network if the address `is_here`.
    fn for_own(&mut self, ip: IpAddr, is_here: bool) -> Option<OwnAddress> {
        let of_corosync = self.of_corosync(ip);
        of_corosync.or_else(|| if is_here { self.configured(ip) } else { None })
    }

    /// Which files could not be read.
    fn tell(&self, ip: IpAddr, level: log::Level) {
        for error in &self.unread {
            let line = line().field("file", error.path.display());
            let note = format!("can't be read: whether it gives {ip} to this node is not known");
            log::log!(level, "{}", line.field("error", hostfs::cause(&error.source)).note(note));
        }
    }

    fn of_corosync(&mut self, ip: IpAddr) -> Option<OwnAddress> {
        let corosync = self.text(&self.root.join(COROSYNC))?;
        let hosts = self.text(&self.root.join("etc/hosts")).unwrap_or_default();
        let file = Path::new("/").join(COROSYNC);
        own_address::is_of_corosync(&corosync, &hosts, ip)
            .then_some(OwnAddress::Corosync { ip, file })
    }

    fn configured(&mut self, ip: IpAddr) -> Option<OwnAddress> {
        let paths: Vec<_> =
            NETWORK.iter().flat_map(|path| self.files_of(&self.root.join(path))).collect();
        let gives = |text: String| own_address::is_configured_in(&text, ip);
        let found = paths.into_iter().find(|path| self.text(path).is_some_and(gives))?;
        let file =
            found.strip_prefix(self.root).map_or(found.clone(), |it| Path::new("/").join(it));
        Some(OwnAddress::Configured { ip, file })
    }

    /// The file, or the files in the directory.
    fn files_of(&mut self, path: &Path) -> Vec<PathBuf> {
        match hostfs::names(path) {
            Ok(names) => names.into_iter().map(|name| path.join(name)).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => vec![path.to_owned()],
            Err(source) => {
                self.miss(hostfs::Error { operation: "list", path: path.to_owned(), source });
                Vec::new()
            }
        }
    }

    /// The text of a file; `None` if there is none that can be read.
    fn text(&mut self, path: &Path) -> Option<String> {
        match hostfs::read_regular(path, Links::Followed, LIMIT) {
            Ok(text) => Some(String::from_utf8_lossy(&text).into_owned()),
            Err(error) => {
                self.miss(error);
                None
            }
        }
    }

    /// Neither what is absent nor a directory, a device or a FIFO (no error of a system call) configures anything.
    fn miss(&mut self, error: hostfs::Error) {
        let nothing =
            matches!(error.source.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory);
        if !nothing && error.source.raw_os_error().is_some() {
            self.unread.push(error);
        }
    }
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
        let look = |ip| {
            let mut look = Look::at(root.path());
            let found = (look.of_corosync(ip), look.configured(ip));
            assert!(look.unread.is_empty(), "{:?}", look.unread);
            found
        };
        let ip = "192.0.2.1".parse().unwrap();
        assert_eq!(look(ip), (None, None));
        write("etc/netplan/50-cloud-init.yaml", "      addresses: [192.0.2.1/24]\n");
        write("etc/network/interfaces", "iface eth0 inet dhcp\n");
        write("etc/systemd/network/eth0.network.d/more.conf", "[Network]\n");
        write("etc/corosync/corosync.conf", "  ring0_addr: node1\n");
        write("etc/hosts", "192.0.2.1 node1\n");
        // As systemd-networkd is told to ignore a file.
        std::os::unix::fs::symlink("/dev/null", root.path().join("etc/systemd/network/99.link"))
            .unwrap();
        let configured =
            OwnAddress::Configured { ip, file: "/etc/netplan/50-cloud-init.yaml".into() };
        let corosync = OwnAddress::Corosync { ip, file: "/etc/corosync/corosync.conf".into() };
        assert_eq!(look(ip), (Some(corosync), Some(configured)));
        assert_eq!(look("192.0.2.10".parse().unwrap()), (None, None));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let root = tempfile::tempdir().unwrap();
        // As root, no mode makes a file unreadable.
        let endless = |path: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(&path, &path).unwrap();
        };
        for path in ["etc/corosync/corosync.conf", "etc/netplan/a.yaml", "etc/systemd/network"] {
            endless(path);
        }
        let mut look = Look::at(root.path());
        let ip = "192.0.2.1".parse().unwrap();
        assert_eq!((look.of_corosync(ip), look.configured(ip)), (None, None));
        let told: Vec<_> =
            look.unread.iter().map(|it| it.path.strip_prefix(root.path()).unwrap()).collect();
        // Directories first, then the files in them.
        let unread = ["etc/corosync/corosync.conf", "etc/systemd/network", "etc/netplan/a.yaml"];
        assert_eq!(told, unread.map(Path::new));
        // Also where another file answers the question.
        std::fs::create_dir_all(root.path().join("etc/network")).unwrap();
        std::fs::write(root.path().join("etc/network/interfaces"), "address 192.0.2.1/24").unwrap();
        let mut look = Look::at(root.path());
        assert!(look.for_own(ip, true).is_some());
        assert!(look.unread.iter().any(|it| it.path.ends_with(unread[0])), "{:?}", look.unread);
    }
}
