//! Where a process lives: directory, environment, user, namespaces and control groups.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use hostfs::retry;
use nix::unistd::Uid;

use crate::error::{Error, Result};
use crate::process::Pid;
use crate::procfs::{ProcFs, unless_gone};

/// The numbers of the namespaces of a process (namespaces(7)). Two processes are in the same ones if
/// the numbers are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Namespaces {
    /// The network namespace.
    pub network: u64,
    /// The pid namespace.
    pub pid: u64,
}

/// A control group of a process: a line of `/proc/PID/cgroup` (cgroups(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlGroup {
    /// The controllers of a hierarchy of version 1, as `memory` or `name=systemd`; empty for the
    /// hierarchy of version 2.
    pub controllers: String,
    /// The path below the root of the hierarchy, as `/system.slice/opensips.service`.
    pub path: String,
}

impl ControlGroup {
    /// Whether the group is in the hierarchy by which systemd keeps its units: that of version 2, or
    /// the one of version 1 that has its name.
    #[must_use]
    pub fn is_of_systemd(&self) -> bool {
        self.controllers.is_empty() || self.controllers == "name=systemd"
    }
}

impl ProcFs {
    /// The working directory; `None` if the process is gone.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for a process that may not be traced, [`Error::Unreadable`]
    pub fn working_directory(&self, pid: Pid) -> Result<Option<PathBuf>> {
        let path = self.path(pid, "cwd");
        unless_gone(&path, retry(|| std::fs::read_link(&path)))
    }

    /// The value that a variable had when the process was executed; `None` if the process is gone or
    /// had no such variable. The process may have overwritten it since.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for a process that may not be traced, [`Error::Unreadable`]
    pub fn environment_variable(&self, pid: Pid, name: &str) -> Result<Option<OsString>> {
        let content = self.read(&self.path(pid, "environ"))?.unwrap_or_default();
        let value = content.split(|byte| *byte == 0).find_map(|entry| {
            entry.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="))
        });
        Ok(value.map(|value| OsStr::from_bytes(value).to_owned()))
    }

    /// The effective user, with whose permissions the process acts; `None` if it is gone. It is not
    /// the owner of the files in `/proc/PID`, which is root where a process has changed its user and
    /// cannot be dumped.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Unreadable`], [`Error::Malformed`]
    pub fn effective_user(&self, pid: Pid) -> Result<Option<Uid>> {
        let path = self.path(pid, "status");
        let Some(content) = self.read(&path)? else { return Ok(None) };
        let user = effective_user(&String::from_utf8_lossy(&content));
        user.map(Some).ok_or_else(|| Error::malformed(&path, &content))
    }

    /// Whether a process has a capability (capabilities(7)) in its effective set, by its number; `None` if it
    /// is gone.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Unreadable`], [`Error::Malformed`]
    pub fn is_capable(&self, pid: Pid, capability: u32) -> Result<Option<bool>> {
        let path = self.path(pid, "status");
        let Some(content) = self.read(&path)? else { return Ok(None) };
        let set = effective_capabilities(&String::from_utf8_lossy(&content));
        let set = set.ok_or_else(|| Error::malformed(&path, &content))?;
        Ok(Some(set.checked_shr(capability).is_some_and(|set| set & 1 == 1)))
    }

    /// What waits in a UDP socket of this network namespace until a process receives it, in bytes, with the
    /// overhead of the kernel; `None` if there is no such socket.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Unreadable`]
    pub fn udp_receive_queue(&self, inode: u32) -> Result<Option<u64>> {
        for table in ["net/udp", "net/udp6"] {
            let content = self.read(&self.root.join(table))?.unwrap_or_default();
            let found = receive_queue(&String::from_utf8_lossy(&content), inode);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The namespaces; `None` if the process is gone.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for a process that may not be traced, [`Error::Unreadable`],
    /// [`Error::Malformed`]
    pub fn namespaces(&self, pid: Pid) -> Result<Option<Namespaces>> {
        let network = self.namespace(pid, "net")?;
        let pid = self.namespace(pid, "pid")?;
        Ok(network.zip(pid).map(|(network, pid)| Namespaces { network, pid }))
    }

    /// A link to `net:[4026531840]`.
    fn namespace(&self, pid: Pid, kind: &str) -> Result<Option<u64>> {
        let path = self.path(pid, &format!("ns/{kind}"));
        let link = retry(|| std::fs::read_link(&path));
        let Some(target) = unless_gone(&path, link)? else { return Ok(None) };
        let number = || target.to_str()?.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']');
        let number = number().and_then(|number| number.parse().ok());
        let content = target.as_os_str().as_bytes();
        number.map(Some).ok_or_else(|| Error::malformed(&path, content))
    }

    /// The control groups, one in each hierarchy; `None` if the process is gone.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Unreadable`]
    pub fn control_groups(&self, pid: Pid) -> Result<Option<Vec<ControlGroup>>> {
        let content = self.read(&self.path(pid, "cgroup"))?;
        Ok(content.map(|content| control_groups(&String::from_utf8_lossy(&content))))
    }
}

/// The receive queue of the socket with this inode, in a table of proc(5), `/proc/net/udp`: in bytes, with
/// the overhead of the kernel.
pub(crate) fn receive_queue(table: &str, inode: u32) -> Option<u64> {
    // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
    let of_socket = |line: &&str| {
        line.split_ascii_whitespace().nth(9).is_some_and(|word| word.parse() == Ok(inode))
    };
    let line = table.lines().skip(1).find(of_socket)?;
    let (_, received) = line.split_ascii_whitespace().nth(4)?.split_once(':')?;
    u64::from_str_radix(received, 16).ok()
}

/// `Uid:  REAL EFFECTIVE SAVED FILESYSTEM` (proc(5)).
pub(crate) fn effective_user(status: &str) -> Option<Uid> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok().map(Uid::from_raw)
}

/// `CapEff: 000001ffffffffff`
pub(crate) fn effective_capabilities(status: &str) -> Option<u64> {
    let digits = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

/// `HIERARCHY:CONTROLLERS:PATH` in each line.
pub(crate) fn control_groups(content: &str) -> Vec<ControlGroup> {
    let group = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?.to_owned(), fields.next()?.to_owned());
        Some(ControlGroup { controllers, path })
    };
    content.lines().filter_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{has_executed, spawn};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    #[test]
    fn a_child_in_its_surroundings() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().canonicalize().unwrap();
        let mut command = Command::new("sleep");
        let child = spawn(command.arg("600").current_dir(&real).env_clear().env("PWD", "/x"));
        let (proc, pid) = (ProcFs::default(), Pid::of(&child));
        has_executed(&proc, pid);
        assert_eq!(proc.working_directory(pid).unwrap(), Some(real));
        let variable = |name| proc.environment_variable(pid, name).unwrap();
        assert_eq!(variable("PWD"), Some("/x".into()));
        assert_eq!((variable("PW"), variable("HOME")), (None, None));
        assert_eq!(proc.effective_user(pid).unwrap(), Some(Uid::effective()));
        assert_eq!(proc.namespaces(pid).unwrap(), proc.namespaces(Pid::own()).unwrap());
        assert_eq!(proc.control_groups(pid).unwrap(), proc.control_groups(Pid::own()).unwrap());
    }

    #[test]
    fn a_namespace_has_the_number_of_its_file() {
        let found = ProcFs::default().namespaces(Pid::own()).unwrap().unwrap();
        let number = |kind: &str| std::fs::metadata(format!("/proc/self/ns/{kind}")).unwrap().ino();
        assert_eq!((found.network, found.pid), (number("net"), number("pid")));
    }

    #[test]
    fn a_process_that_is_gone() {
        let (proc, missing) = (ProcFs::default(), Pid::new(i32::MAX).unwrap());
        assert_eq!(proc.working_directory(missing).unwrap(), None);
        assert_eq!(proc.environment_variable(missing, "PWD").unwrap(), None);
        assert_eq!(proc.effective_user(missing).unwrap(), None);
        assert_eq!(proc.namespaces(missing).unwrap(), None);
        assert_eq!(proc.control_groups(missing).unwrap(), None);
    }

    #[test]
    fn the_effective_user_is_the_second_one() {
        let status = "Name:\topensips\nUid:\t0\t105\t105\t105\nGid:\t0\t0\t0\t0\n";
        assert_eq!(effective_user(status), Some(Uid::from_raw(105)));
        assert_eq!(effective_user("Name:\tx\n"), None);
    }

    #[test]
    fn what_waits_in_a_socket() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  \
                     timeout inode ref pointer drops\n  413: 0100007F:13C4 00000000:0000 07 \
                     00000000:00000300 00:00000000 00000000  65534        0 78901 2 0000000000000000 0\n";
        assert_eq!(receive_queue(table, 78901), Some(768));
        assert_eq!(receive_queue(table, 7890), None);
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode =
            std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().ino();
        let queue = || ProcFs::default().udp_receive_queue(u32::try_from(inode).unwrap()).unwrap();
        assert_eq!(queue(), Some(0));
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert!(queue().unwrap() > 0);
    }

    #[test]
    fn capabilities_are_bits() {
        assert_eq!(
            effective_capabilities("Name:\tx\nCapEff:\t0000000000080001\n"),
            Some(1 << 19 | 1)
        );
        assert_eq!(effective_capabilities("Name:\tx\n"), None);
        let proc = ProcFs::default();
        assert_eq!(proc.is_capable(Pid::own(), 64).unwrap(), Some(false));
        assert_eq!(proc.is_capable(Pid::new(i32::MAX).unwrap(), 19).unwrap(), None);
    }

    #[test]
    fn groups_of_both_versions() {
        let groups = control_groups("2:pids:/x\n1:name=systemd:/a.slice/b.service\n0::/c:d\n0:\n");
        let found: Vec<_> =
            groups.iter().map(|group| (group.is_of_systemd(), group.path.as_str())).collect();
        assert_eq!(found, [(false, "/x"), (true, "/a.slice/b.service"), (true, "/c:d")]);
    }
}
