//! Settings of the network stack under `/proc/sys`.
//!
//! Network settings are per namespace: `/proc/sys/net` shows those of the thread that opens
//! the file.
//!
//! While the kernel has no memory or no descriptor left, a setting is read or written again, for up
//! to two seconds.

use std::io;
use std::path::{Path, PathBuf};

use crate::address::Family;
use crate::error::{Error, Result};
use crate::link::LinkName;
use crate::retry::{WITHOUT_DEADLINE, retry_within};

/// A tree of settings; `/proc/sys` by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    root: PathBuf,
}

impl Default for Sysctl {
    fn default() -> Self {
        Self::at("/proc/sys")
    }
}

impl Sysctl {
    /// A tree in another directory.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The value of a setting, without surrounding white space. `name` is a path, such as
    /// `net/ipv4/ip_forward`: names with dots are ambiguous, because interface names have dots.
    ///
    /// # Errors
    /// [`Error::SysctlMissing`], [`Error::SysctlDenied`], [`Error::Sysctl`]
    pub fn read(&self, name: impl AsRef<Path>) -> Result<String> {
        let path = self.root.join(name);
        let value = retry_within(WITHOUT_DEADLINE, || {
            std::fs::read_to_string(&path).map_err(|source| failed(&path, source))
        })?;
        Ok(value.trim().to_owned())
    }

    /// Sets a setting.
    ///
    /// # Errors
    /// [`Error::SysctlMissing`], [`Error::SysctlDenied`], [`Error::Sysctl`]
    pub fn write(&self, name: impl AsRef<Path>, value: &str) -> Result<()> {
        let path = self.root.join(name);
        let written = || {
            // fs::write() creates the file if the kernel has no such setting.
            let mut file = std::fs::OpenOptions::new().write(true).open(&path)?;
            // One write(2), newline included: the kernel reads a whole value from each.
            io::Write::write_all(&mut file, format!("{value}\n").as_bytes())
        };
        retry_within(WITHOUT_DEADLINE, || written().map_err(|source| failed(&path, source)))
    }

    /// Whether a program may bind to addresses that are not on this host
    /// (`net.ipv4.ip_nonlocal_bind`, `net.ipv6.ip_nonlocal_bind`).
    ///
    /// # Errors
    /// [`Error::SysctlMissing`], [`Error::SysctlDenied`], [`Error::SysctlUnexpected`],
    /// [`Error::Sysctl`]
    pub fn ip_nonlocal_bind(&self, family: Family) -> Result<bool> {
        self.switch(ip_nonlocal_bind(family))
    }

    /// Sets it until the next boot; settings that last belong in `/etc/sysctl.d`.
    ///
    /// # Errors
    /// [`Error::SysctlMissing`], [`Error::SysctlDenied`], [`Error::Sysctl`]
    pub fn set_ip_nonlocal_bind(&self, family: Family, on: bool) -> Result<()> {
        self.write(ip_nonlocal_bind(family), if on { "1" } else { "0" })
    }

    /// Whether a secondary IPv4 address of `link` becomes primary when the primary one is deleted.
    /// Otherwise the kernel deletes all secondary addresses of the subnet with the primary one.
    /// The setting counts as on if it is on for `all` or for the link
    /// (`IN_DEV_PROMOTE_SECONDARIES`, linux/inetdevice.h).
    ///
    /// # Errors
    /// [`Error::SysctlMissing`] also if there is no such link, [`Error::SysctlDenied`],
    /// [`Error::SysctlUnexpected`], [`Error::Sysctl`]
    pub fn promote_secondaries(&self, link: &LinkName) -> Result<bool> {
        Ok(self.switch(Path::new("net/ipv4/conf/all/promote_secondaries"))?
            || self.switch(promote_secondaries(link))?)
    }

    /// Sets `promote_secondaries` for one link.
    ///
    /// # Errors
    /// [`Error::SysctlMissing`] also if there is no such link, [`Error::SysctlDenied`],
    /// [`Error::Sysctl`]
    pub fn set_promote_secondaries(&self, link: &LinkName, on: bool) -> Result<()> {
        self.write(promote_secondaries(link), if on { "1" } else { "0" })
    }

    /// Whether this host forwards IPv6 between `link` and other links, so that it is a router to its
    /// neighbours there (RFC 4861).
    ///
    /// # Errors
    /// [`Error::SysctlMissing`] also if there is no such link, or no IPv6 on it,
    /// [`Error::SysctlUnexpected`], [`Error::Sysctl`]
    pub fn forwards_ipv6(&self, link: &LinkName) -> Result<bool> {
        self.switch(Path::new("net/ipv6/conf").join(link.as_str()).join("forwarding"))
    }

    fn switch(&self, name: impl AsRef<Path>) -> Result<bool> {
        let value = self.read(&name)?;
        // Every number other than 0 means on, as it does to the kernel.
        match value.parse::<i64>() {
            Ok(number) => Ok(number != 0),
            Err(_) => Err(Error::SysctlUnexpected { path: self.root.join(name), value }),
        }
    }
}

fn ip_nonlocal_bind(family: Family) -> &'static Path {
    Path::new(match family {
        Family::V4 => "net/ipv4/ip_nonlocal_bind",
        Family::V6 => "net/ipv6/ip_nonlocal_bind",
    })
}

/// A [`LinkName`] has no `/` and is not `..`: it is one component of the path.
fn promote_secondaries(link: &LinkName) -> PathBuf {
    Path::new("net/ipv4/conf").join(link.as_str()).join("promote_secondaries")
}

fn failed(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => Error::SysctlMissing { path, source },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Error::SysctlDenied { path, source }
        }
        _ => Error::Sysctl { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_needs_no_privilege() {
        let sysctl = Sysctl::default();
        assert!(!sysctl.read("kernel/ostype").unwrap().is_empty());
        sysctl.ip_nonlocal_bind(Family::V4).unwrap();
        sysctl.promote_secondaries(&"lo".parse().unwrap()).unwrap();
    }

    #[test]
    fn a_missing_setting_has_its_own_error_and_is_not_created() {
        let sysctl = Sysctl::default();
        let missing = |found: Error| matches!(found, Error::SysctlMissing { .. });
        assert!(missing(sysctl.read("net/ipv4/no_such_setting").unwrap_err()));
        assert!(missing(sysctl.write("net/ipv4/no_such_setting", "1").unwrap_err()));
        assert!(missing(sysctl.promote_secondaries(&"no-such-link".parse().unwrap()).unwrap_err()));
        let refused = |errno| failed(Path::new(""), io::Error::from_raw_os_error(errno));
        for errno in [nix::libc::EROFS, nix::libc::EPERM, nix::libc::EACCES] {
            assert!(matches!(refused(errno), Error::SysctlDenied { .. }));
        }
        assert!(matches!(refused(nix::libc::EINVAL), Error::Sysctl { .. }));
    }
}
