//! `/proc/PID/fd`: what a process has open.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use hostfs::retry;

use crate::error::Result;
use crate::process::Pid;
use crate::procfs::{ProcFs, unless_gone};

/// In the directory of a process.
const DIRECTORY: &str = "fd";

impl ProcFs {
    /// The numbers of all descriptors of a process; `None` if it is gone.
    ///
    /// # Errors
    /// [`Error::NotPermitted`](crate::Error::NotPermitted) for a process that may not be traced,
    /// [`Error::Unreadable`](crate::Error::Unreadable)
    pub fn descriptors(&self, pid: Pid) -> Result<Option<Vec<RawFd>>> {
        let names = self.descriptor_names(pid)?;
        let number = |name: &OsString| name.to_str()?.parse().ok();
        Ok(names.map(|names| names.iter().filter_map(number).collect()))
    }

    /// The inode numbers of all sockets that a process holds; `None` if it is gone. The same socket
    /// has this number in the list of the kernel's sockets (sock_diag(7)).
    ///
    /// # Errors
    /// Those of [`ProcFs::descriptors`].
    pub fn socket_inodes(&self, pid: Pid) -> Result<Option<HashSet<u32>>> {
        let Some(names) = self.descriptor_names(pid)? else { return Ok(None) };
        let directory = self.path(pid, DIRECTORY);
        let inode = |target: PathBuf| -> Option<u32> {
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        };
        let mut inodes = HashSet::new();
        for path in names.into_iter().map(|name| directory.join(name)) {
            // One that is closed meanwhile is no socket of the process any more.
            let target = unless_gone(&path, retry(|| std::fs::read_link(&path)))?;
            inodes.extend(target.and_then(inode));
        }
        Ok(Some(inodes))
    }

    fn descriptor_names(&self, pid: Pid) -> Result<Option<Vec<OsString>>> {
        let directory = self.path(pid, DIRECTORY);
        unless_gone(&directory, hostfs::names(&directory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn descriptors_and_sockets_of_this_process() {
        let proc = ProcFs::default();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let number = socket.as_raw_fd();
        assert!(proc.descriptors(Pid::own()).unwrap().unwrap().contains(&number));
        let inode = std::fs::metadata(format!("/proc/self/fd/{number}")).unwrap().ino();
        let inodes = proc.socket_inodes(Pid::own()).unwrap().unwrap();
        assert!(inodes.contains(&u32::try_from(inode).unwrap()));
        let file = std::fs::File::open("/dev/null").unwrap();
        let inode = u32::try_from(file.metadata().unwrap().ino()).unwrap();
        assert!(!inodes.contains(&inode));
        let missing = Pid::new(i32::MAX).unwrap();
        assert_eq!(proc.descriptors(missing).unwrap(), None);
        assert_eq!(proc.socket_inodes(missing).unwrap(), None);
    }
}
