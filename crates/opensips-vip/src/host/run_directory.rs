//! The files of this agent that live as long as the host runs.

use std::fs::DirBuilder;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hostnet::{LinkIndex, LinkName, MacAddress, NamespaceName};

/// Where the agents of this project keep their locks.
const DIRECTORY: &str = "/run/smartvox";
/// How the marks of [`RunDirectory::promotion_mark`] begin.
const PROMOTED: &str = "promoted-";

/// The run directory, and what is in it for the network namespace of this process: one host may
/// have the same address in several namespaces.
#[derive(Clone, Debug)]
pub(crate) struct RunDirectory {
    path: PathBuf,
    /// Number of the network namespace (namespaces(7)); 0 without /proc.
    namespace: u64,
    /// What is behind the address in names: nothing, or `%eth0` for one that is another one there.
    zone: String,
}

impl RunDirectory {
    /// `/run/smartvox`, whether it exists or not.
    pub(crate) fn new() -> Self {
        let namespace = std::fs::metadata("/proc/self/ns/net").map_or(0, |metadata| metadata.ino());
        Self { path: DIRECTORY.into(), namespace, zone: String::new() }
    }

    /// For a VIP that is link-local, with the link that it is on.
    #[must_use]
    pub(crate) fn on(mut self, link: Option<&LinkName>) -> Self {
        self.zone = link.map(|link| format!("%{link}")).unwrap_or_default();
        self
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
        self.path.join(format!("announcer-{ip}{}@{}.lock", self.zone, self.namespace))
    }

    /// The lock of a start or stop of the address.
    pub(crate) fn action_lock(&self, ip: IpAddr) -> PathBuf {
        self.path.join(format!("vip-{ip}{}@{}.lock", self.zone, self.namespace))
    }

    /// The lock for the moment in which the address is added, or [`RunDirectory::stop_mark`] made.
    pub(crate) fn adding_lock(&self, ip: IpAddr) -> PathBuf {
        self.path.join(format!("adding-{ip}{}@{}.lock", self.zone, self.namespace))
    }

    /// There while a start is under way that a stop has overtaken.
    pub(crate) fn stop_mark(&self, ip: IpAddr) -> PathBuf {
        self.path.join(format!("stopped-{ip}{}@{}", self.zone, self.namespace))
    }

    /// Remembers that another host claims the address; whether the same one did before.
    pub(crate) fn remember_rival(&self, ip: IpAddr, rival: MacAddress) -> bool {
        let path = self.rival(ip);
        let before = std::fs::read_to_string(&path);
        let before = before.is_ok_and(|text| text.trim_end().parse().ok() == Some(rival));
        // Without the file the next look is a first one again.
        let written = self.create().and_then(|()| std::fs::write(&path, format!("{rival}\n")));
        if let Err(error) = written {
            log::warn!("{}: {error}", path.display());
        }
        before
    }

    /// Nobody claims the address any more.
    pub(crate) fn forget_rival(&self, ip: IpAddr) {
        forget(&self.rival(ip));
    }

    /// The address is not on this host any more.
    pub(crate) fn forget(&self, ip: IpAddr) {
        self.forget_rival(ip);
        forget(&self.announced(ip));
    }

    /// Notes in which network namespace, this process's, the address is by that name. Without the note
    /// only the name leads there.
    pub(crate) fn note_namespace(&self, ip: IpAddr, name: &NamespaceName) {
        let path = self.namespace_note(ip, name);
        let text = format!("{}\n", self.namespace);
        if let Err(error) = self.create().and_then(|()| std::fs::write(&path, text)) {
            log::debug!("{}: {error}", path.display());
        }
    }

    /// The number of the namespace that was noted for that name.
    pub(crate) fn noted_namespace(&self, ip: IpAddr, name: &NamespaceName) -> Option<u64> {
        std::fs::read_to_string(self.namespace_note(ip, name)).ok()?.trim_end().parse().ok()
    }

    /// The address is not there any more.
    pub(crate) fn forget_namespace(&self, ip: IpAddr, name: &NamespaceName) {
        forget(&self.namespace_note(ip, name));
    }

    fn namespace_note(&self, ip: IpAddr, name: &NamespaceName) -> PathBuf {
        self.path.join(format!("namespace-{ip}@{name}"))
    }

    /// Notes that the address has just been announced, for people. Not being able to is no fault.
    pub(crate) fn note_announcement(&self, ip: IpAddr) {
        let written = self.create().and_then(|()| std::fs::write(self.announced(ip), ""));
        if let Err(error) = written {
            log::debug!("{}: {error}", self.announced(ip).display());
        }
    }

    /// How long ago the address was announced; `None` if that is not known.
    pub(crate) fn last_announcement(&self, ip: IpAddr) -> Option<Duration> {
        let written = std::fs::metadata(self.announced(ip)).and_then(|it| it.modified()).ok()?;
        // The clock may have been set back.
        Some(written.elapsed().unwrap_or_default())
    }

    fn announced(&self, ip: IpAddr) -> PathBuf {
        self.path.join(format!("announced-{ip}{}@{}", self.zone, self.namespace))
    }

    fn rival(&self, ip: IpAddr) -> PathBuf {
        self.path.join(format!("rival-{ip}{}@{}", self.zone, self.namespace))
    }

    /// There while a link's `promote_secondaries` is on that was off before, so that a later stop puts
    /// it back if the one that has set it was killed.
    pub(crate) fn promotion_mark(&self, link: LinkIndex) -> PathBuf {
        self.path.join(format!("{PROMOTED}{link}@{}", self.namespace))
    }

    /// The links with such a mark.
    pub(crate) fn promotion_marks(&self) -> Vec<LinkIndex> {
        let Ok(entries) = std::fs::read_dir(&self.path) else { return Vec::new() };
        let link = |name: &str| {
            let (link, namespace) = name.strip_prefix(PROMOTED)?.split_once('@')?;
            let ours = namespace.parse() == Ok(self.namespace);
            LinkIndex::new(link.parse().ok()?).filter(|_| ours)
        };
        entries.filter_map(|entry| link(entry.ok()?.file_name().to_str()?)).collect()
    }

    /// The lock for a change of a link's `promote_secondaries` that is put back: two stops at the
    /// same time must not put back each other's.
    pub(crate) fn promotion_lock(&self, link: LinkIndex) -> PathBuf {
        self.path.join(format!("promote-secondaries-{link}@{}.lock", self.namespace))
    }
}

fn forget(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!("{}: {error}", path.display());
        }
        _ => {}
    }
}
