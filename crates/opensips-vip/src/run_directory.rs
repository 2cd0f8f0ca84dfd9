//! The files of this agent that live as long as the host runs.

use std::fs::DirBuilder;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use hostnet::{LinkIndex, MacAddress};

/// Where the agents of this project keep their locks.
const DIRECTORY: &str = "/run/smartvox";

/// The run directory, and what is in it for the network namespace of this process: one host may
/// have the same address in several namespaces.
#[derive(Clone, Debug)]
pub(crate) struct RunDirectory {
    path: PathBuf,
    /// Number of the network namespace (namespaces(7)); 0 without /proc.
    namespace: u64,
}

impl RunDirectory {
    /// `/run/smartvox`, whether it exists or not.
    pub(crate) fn new() -> Self {
        let namespace = std::fs::metadata("/proc/self/ns/net").map_or(0, |metadata| metadata.ino());
        Self { path: DIRECTORY.into(), namespace }
    }

    /// Makes it, 0755, unless it is there.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub(crate) fn create(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o755).create(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The lock of the announcer for an address. Named after the address and not the resource, so
    /// that a stop by hand finds it too.
    pub(crate) fn announcer_lock(&self, ip: IpAddr) -> PathBuf {
        self.path.join(format!("announcer-{ip}@{}.lock", self.namespace))
    }

    /// Remembers that another host claims the address; whether one did before.
    pub(crate) fn remember_rival(&self, ip: IpAddr, rival: MacAddress) -> bool {
        let path = self.rival(ip);
        let before = path.exists();
        // Without the file the next look is a first one again.
        let written = self.create().and_then(|()| std::fs::write(&path, format!("{rival}\n")));
        if let Err(error) = written {
            log::warn!("{}: {error}", path.display());
        }
        before
    }

    /// Nobody claims the address any more, or it is no concern of this host.
    pub(crate) fn forget_rival(&self, ip: IpAddr) {
        let path = self.rival(ip);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("{}: {error}", path.display());
            }
            _ => {}
        }
    }

    fn rival(&self, ip: IpAddr) -> PathBuf {
        self.path.join(format!("rival-{ip}@{}", self.namespace))
    }

    /// The lock for a change of a link's `promote_secondaries` that is put back: two stops at the
    /// same time must not put back each other's.
    pub(crate) fn promotion_lock(&self, link: LinkIndex) -> PathBuf {
        self.path.join(format!("promote-secondaries-{link}@{}.lock", self.namespace))
    }
}
