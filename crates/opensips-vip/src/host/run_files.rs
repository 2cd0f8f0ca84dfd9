//! The files of a VIP in the run directory of both agents.
//!
//! Locks are named after the address and not after the resource, so that an action by hand finds those
//! of the cluster. All of them only help: without the directory the actions go on without them.

mod new_carrier;
mod published;

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use hostnet::{Link, LinkIndex, MacAddress, NamespaceName};
use hostproc::{ActionLockFiles, LockFile, RunDirectory};

use crate::decide::judge::Unannounced;
use crate::log_line::line;
use crate::params::{Nic, is_link_local};

pub(crate) use published::Told;

/// The first part of the names of the marks of `promote_secondaries`.
const PROMOTED: &str = "promoted-";

/// The first parts of the names of the notes that a VIP is here, and that it was announced.
const HERE: &str = "here-";
const ANNOUNCED: &str = "announced-";
/// Those of the notes about other hosts with the same address.
const RIVAL: &str = "rival-";
const UNANNOUNCED: &str = "unannounced-";
const SEARCHED: &str = "searched-";

/// The note that nothing could be sent, in the place of the MAC address of another host.
const NOT_SENT: &str = "not-sent";
/// The same, that no process is left which announces the VIP.
const NO_ANNOUNCER: &str = "no-announcer";

/// The second word in the note of a conflict: start has found it, or nothing was announced because of it.
const TAKEN_OVER: &str = " taken-over";
const SEEN: &str = " seen";

/// Another host with the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) mac: MacAddress,
    pub(crate) origin: ConflictOrigin,
    /// How long ago the VIP was announced because of it; `None` if the clock has been set back since.
    pub(crate) announced: Option<Duration>,
}

/// What was done when the other host was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConflictOrigin {
    /// A monitor that asks from time to time has found it, and has not defended the VIP yet.
    Seen,
    /// monitor has found it, and has announced the VIP again.
    Found,
    /// start has found it, and has added the VIP because the previous owner is fenced.
    TakenOver,
}

/// What is known of a network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotedNamespace {
    pub(crate) number: u64,
    /// The link of the VIP, with its MAC address; `None` on `lo`.
    pub(crate) link: Option<(LinkIndex, MacAddress)>,
}

/// The files of one VIP in the network namespace of this process.
#[derive(Clone, Debug)]
pub(crate) struct RunFiles {
    run: RunDirectory,
    ip: IpAddr,
    /// The VIP in names of files: `192.0.2.10@4026531840`, and `fe80::10%3@4026531840`. One host can
    /// have the same address in several network namespaces (namespaces(7)), and the same link-local
    /// address on several links, whose names can change while they have it.
    vip: String,
    /// The number of the network namespace; 0 without /proc.
    namespace: u64,
}

impl RunFiles {
    /// The files of a VIP. `link` is that of a link-local VIP, and ignored for others.
    pub(crate) fn of(ip: IpAddr, link: Option<LinkIndex>) -> Self {
        let namespace = namespace_number().unwrap_or(0);
        let zone = link.filter(|_| is_link_local(ip)).map(|link| format!("%{link}"));
        let vip = format!("{ip}{}@{namespace}", zone.unwrap_or_default());
        Self { run: RunDirectory::default(), ip, vip, namespace }
    }

    /// Creates the directory.
    pub(crate) fn create_directory(&self) -> hostproc::Result<()> {
        Ok(self.run.create()?)
    }

    pub(crate) fn directory_exists(&self) -> bool {
        self.run.path().is_dir()
    }

    /// The lock of the actions that change something, and the mark of a stop that waits for it.
    pub(crate) fn action_lock(&self) -> ActionLockFiles {
        let (lock, mark) = (format!("vip-{}.lock", self.vip), format!("stopped-{}", self.vip));
        ActionLockFiles::new(&self.run, &lock, &mark)
    }

    /// Returns true if another VIP of this network namespace is being started or stopped. The lock of an
    /// action that was killed counts as well: it shows only that there was one.
    pub(crate) fn has_other_actions(&self) -> bool {
        let other = |name: &str| {
            let vip = name.strip_prefix("vip-")?.strip_suffix(".lock")?;
            let (_, namespace) = vip.rsplit_once('@')?;
            Some(vip != self.vip && namespace.parse() == Ok(self.namespace))
        };
        self.run.names().iter().filter_map(|name| other(name)).any(|is_other| is_other)
    }

    /// The lock that the announcer of the VIP holds.
    pub(crate) fn announcer_lock(&self) -> PathBuf {
        self.run.file(&format!("announcer-{}.lock", self.vip))
    }

    /// Notes the host that has been found with the same address, and that the VIP was announced again.
    /// Without the file, the next monitor takes the host for a new one.
    pub(crate) fn note_conflict(&self, mac: MacAddress, origin: ConflictOrigin) {
        let origin = match origin {
            ConflictOrigin::Seen => SEEN,
            ConflictOrigin::Found => "",
            ConflictOrigin::TakenOver => TAKEN_OVER,
        };
        self.write(&self.conflict(), &format!("{mac}{origin}\n"));
    }

    /// The host that was found with the same address and has not been silent since.
    pub(crate) fn noted_conflict(&self) -> Option<Conflict> {
        let (mac, origin) = parse_conflict(&self.run.read(&self.conflict())?)?;
        let announced = self.age(&self.conflict())?;
        Some(Conflict { mac, origin, announced })
    }

    pub(crate) fn forget_conflict(&self) {
        self.remove(&self.conflict());
    }

    fn conflict(&self) -> String {
        format!("{RIVAL}{}", self.vip)
    }

    /// Notes why the VIP is not announced, for the next monitor.
    pub(crate) fn note_unannounced(&self, why: Unannounced) {
        let text = match why {
            Unannounced::Conflict(mac) => mac.to_string(),
            Unannounced::NotSent => NOT_SENT.to_owned(),
            Unannounced::NoAnnouncer => NO_ANNOUNCER.to_owned(),
        };
        self.write(&self.unannounced(), &format!("{text}\n"));
    }

    /// Why the VIP is not announced.
    pub(crate) fn unannounced_because_of(&self) -> Option<Unannounced> {
        parse_unannounced(&self.run.read(&self.unannounced())?)
    }

    pub(crate) fn forget_unannounced(&self) {
        self.remove(&self.unannounced());
    }

    fn unannounced(&self) -> String {
        format!("{UNANNOUNCED}{}", self.vip)
    }

    /// The lock of the process that waits for the carrier on a node without the VIP.
    pub(crate) fn watcher_lock(&self) -> PathBuf {
        self.run.file(&format!("watcher-{}.lock", self.vip))
    }

    /// Notes the interval of the monitor that has failed for want of a carrier.
    pub(crate) fn note_failed_monitor(&self, interval: Duration) {
        self.write(&self.failed_monitor_note(), &format!("{}\n", interval.as_millis()));
    }

    /// The interval of the monitor that has failed for want of a carrier.
    pub(crate) fn failed_monitor(&self) -> Option<Duration> {
        let text = String::from_utf8(self.run.read(&self.failed_monitor_note())?).ok()?;
        text.trim_end().parse().ok().map(Duration::from_millis)
    }

    pub(crate) fn forget_failed_monitor(&self) {
        self.remove(&self.failed_monitor_note());
    }

    fn failed_monitor_note(&self) -> String {
        format!("failed-monitor-{}", self.vip)
    }

    /// Notes that the VIP was started or adopted here: stop removes it, also if nothing else in the tables
    /// tells it from an address of the host's own.
    pub(crate) fn note_here(&self, nic: Option<&Nic>) {
        let nic = nic.map_or_else(String::new, |nic| format!("{nic}\n"));
        self.write(&format!("{HERE}{}", self.vip), &nic);
    }

    /// The links of a link-local VIP that are noted in the network namespace of this process, each with what
    /// `nic` was.
    pub(crate) fn noted_links(ip: IpAddr) -> Vec<(LinkIndex, String)> {
        let files = Self::of(ip, None);
        let link = |name: &str| {
            let vip = name.strip_prefix(HERE)?;
            let (vip, namespace) = vip.rsplit_once('@')?;
            let (noted, link) = vip.split_once('%')?;
            let is_ours = noted.parse() == Ok(ip) && namespace.parse() == Ok(files.namespace);
            let link = LinkIndex::new(link.parse().ok()?).filter(|_| is_ours)?;
            let nic = files.run.read(name).unwrap_or_default();
            Some((link, String::from_utf8_lossy(&nic).trim_end().to_owned()))
        };
        files.run.names().iter().filter_map(|name| link(name)).collect()
    }

    /// Returns true if a note can be written now. On a file system that is full or read-only it can't, and
    /// a missing note proves nothing.
    pub(crate) fn can_keep_notes(&self) -> bool {
        let name = format!("writable-{}", self.vip);
        let written = self.run.write(&name, b"1\n");
        self.remove(&name);
        written.is_ok()
    }

    /// Returns true if the VIP was started or adopted here. An announcement is a note, too: earlier versions
    /// of this agent leave no other one.
    pub(crate) fn is_noted_here(&self) -> bool {
        let has = |name: String| self.run.file(&name).exists();
        has(format!("{HERE}{}", self.vip)) || has(self.announced())
    }

    /// The VIPs that are noted in this network namespace.
    pub(crate) fn noted_vips(&self) -> Vec<IpAddr> {
        let vip = |name: &str| {
            let vip = name.strip_prefix(HERE).or_else(|| name.strip_prefix(ANNOUNCED))?;
            let (vip, namespace) = vip.rsplit_once('@')?;
            let (ip, _) = vip.split_once('%').unwrap_or((vip, ""));
            ip.parse().ok().filter(|_| namespace.parse() == Ok(self.namespace))
        };
        self.run.names().iter().filter_map(|name| vip(name)).collect()
    }

    /// Removes the notes about a VIP that is not on this host any more.
    pub(crate) fn forget(&self) {
        self.forget_unannounced();
        self.forget_conflict();
        self.remove(&self.announced());
        self.remove(&self.searched());
        let here = format!("{HERE}{}", self.vip);
        self.remove(&here);
        let notes = [self.unannounced(), self.conflict(), self.announced(), self.searched(), here];
        self.run.remove_unfinished(&notes);
        self.run.remove_unfinished(&[self.failed_monitor_note()]);
        self.forget_old_carriers();
    }

    /// The file that says that the cluster was told that it has held the VIP; `None` if it is there, or if
    /// no file can be there. It stays when the VIP is stopped.
    pub(crate) fn untold_held(&self) -> Option<PathBuf> {
        let path = self.run.file(&format!("held-{}", self.vip));
        (!path.exists() && self.create_directory().is_ok()).then_some(path)
    }

    /// Notes that the VIP is on this link in the network namespace of this process, for the time when that
    /// has lost its name.
    pub(crate) fn note_namespace(&self, name: &NamespaceName, link: &Link) {
        let mac = link.mac.filter(|_| !link.loopback);
        let link = mac.map_or_else(String::new, |mac| format!(" {} {mac}", link.index));
        self.write(&self.namespace_note(name), &format!("{}{link}\n", self.namespace));
    }

    /// The network namespace that had this name when the VIP was started in it.
    pub(crate) fn noted_namespace(&self, name: &NamespaceName) -> Option<NotedNamespace> {
        parse_namespace(&self.run.read(&self.namespace_note(name))?)
    }

    /// Forgets the namespace, and that the VIP is in it: the next one with its number is another program's.
    pub(crate) fn forget_namespace(&self, name: &NamespaceName) {
        if let Some(NotedNamespace { number, .. }) = self.noted_namespace(name) {
            for note in [HERE, ANNOUNCED, RIVAL, UNANNOUNCED, SEARCHED] {
                self.remove(&format!("{note}{}@{number}", self.ip));
            }
        }
        self.remove(&self.namespace_note(name));
    }

    /// Found by name, so the number of the namespace is not part of it.
    fn namespace_note(&self, name: &NamespaceName) -> String {
        format!("namespace-{}@{name}", self.ip)
    }

    /// Notes that the VIP has just been announced with this MAC address.
    pub(crate) fn note_announcement(&self, mac: Option<MacAddress>) {
        let text = mac.map_or_else(String::new, |mac| format!("{mac}\n"));
        self.write(&self.announced(), &text);
        self.forget_unannounced();
    }

    /// The MAC address with which the VIP was announced last; `None` also if that is not known.
    pub(crate) fn announced_mac(&self) -> Option<MacAddress> {
        String::from_utf8(self.run.read(&self.announced())?).ok()?.trim_end().parse().ok()
    }

    /// How long ago the VIP was announced, if that is known.
    pub(crate) fn last_announcement(&self) -> Option<Duration> {
        // Zero if the clock has been set back since.
        Some(self.age(&self.announced())?.unwrap_or_default())
    }

    /// Notes that start or monitor has just asked whether another host has the VIP.
    pub(crate) fn note_search(&self) {
        self.write(&self.searched(), "");
    }

    /// How long ago that was asked; `None` also if the clock has been set back since.
    pub(crate) fn last_search(&self) -> Option<Duration> {
        self.age(&self.searched()).flatten()
    }

    fn searched(&self) -> String {
        format!("{SEARCHED}{}", self.vip)
    }

    /// How long ago a file was written; `Some(None)` if the clock has been set back since.
    fn age(&self, name: &str) -> Option<Option<Duration>> {
        let metadata = std::fs::metadata(self.run.file(name)).ok()?;
        Some(metadata.modified().ok()?.elapsed().ok())
    }

    fn announced(&self) -> String {
        format!("{ANNOUNCED}{}", self.vip)
    }

    /// Marks a link whose `promote_secondaries` is on only for a deletion, so that another stop
    /// restores it if this one is killed.
    pub(crate) fn mark_promote_secondaries(&self, link: LinkIndex) {
        self.write(&self.promote_secondaries_mark(link), "");
    }

    pub(crate) fn is_promote_secondaries_marked(&self, link: LinkIndex) -> bool {
        self.run.file(&self.promote_secondaries_mark(link)).exists()
    }

    pub(crate) fn forget_promote_secondaries(&self, link: LinkIndex) {
        self.remove(&self.promote_secondaries_mark(link));
    }

    /// The links with such a mark.
    pub(crate) fn marked_promote_secondaries(&self) -> Vec<LinkIndex> {
        let link = |name: &str| {
            let (link, namespace) = name.strip_prefix(PROMOTED)?.split_once('@')?;
            let ours = namespace.parse() == Ok(self.namespace);
            LinkIndex::new(link.parse().ok()?).filter(|_| ours)
        };
        self.run.names().iter().filter_map(|name| link(name)).collect()
    }

    fn promote_secondaries_mark(&self, link: LinkIndex) -> String {
        format!("{PROMOTED}{link}@{}", self.namespace)
    }

    /// The lock for a change of a link's `promote_secondaries` that is restored afterwards.
    pub(crate) fn promote_secondaries_lock(&self, link: LinkIndex) -> PathBuf {
        self.run.file(&format!("promote-secondaries-{link}@{}.lock", self.namespace))
    }

    fn write(&self, name: &str, content: &str) -> bool {
        match self.run.write(name, content.as_bytes()) {
            Ok(()) => true,
            Err(error) => {
                log::debug!("{}", line().note(error));
                false
            }
        }
    }

    fn remove(&self, name: &str) {
        if let Err(error) = self.run.remove(name) {
            log::warn!("{}", line().note(error));
        }
    }
}

/// The host in a note, and how it was found.
pub(crate) fn parse_conflict(note: &[u8]) -> Option<(MacAddress, ConflictOrigin)> {
    let text = std::str::from_utf8(note).ok()?.trim_end();
    let (mac, origin) = match (text.strip_suffix(TAKEN_OVER), text.strip_suffix(SEEN)) {
        (Some(mac), _) => (mac, ConflictOrigin::TakenOver),
        (_, Some(mac)) => (mac, ConflictOrigin::Seen),
        (None, None) => (text, ConflictOrigin::Found),
    };
    Some((mac.parse().ok()?, origin))
}

pub(crate) fn parse_unannounced(note: &[u8]) -> Option<Unannounced> {
    match std::str::from_utf8(note).ok()?.trim_end() {
        NOT_SENT => Some(Unannounced::NotSent),
        NO_ANNOUNCER => Some(Unannounced::NoAnnouncer),
        mac => mac.parse().ok().map(Unannounced::Conflict),
    }
}

pub(crate) fn parse_namespace(note: &[u8]) -> Option<NotedNamespace> {
    let mut words = std::str::from_utf8(note).ok()?.split_whitespace();
    let number = words.next()?.parse().ok()?;
    let link = words.next().and_then(|link| LinkIndex::new(link.parse().ok()?));
    let mac = words.next().and_then(|mac| mac.parse().ok());
    Some(NotedNamespace { number, link: link.zip(mac) })
}

/// The number of the network namespace of this process, by the file or, if it can't be looked at, by what
/// its link says (`net:[4026531840]`).
fn namespace_number() -> Option<u64> {
    const PATH: &str = "/proc/self/ns/net";
    if let Ok(metadata) = std::fs::metadata(PATH) {
        return Some(metadata.ino());
    }
    let link = std::fs::read_link(PATH).ok()?;
    link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// Releases a lock and removes its file.
pub(crate) fn release(lock: Option<LockFile>) {
    if let Some(lock) = lock
        && let Err(error) = lock.remove()
    {
        log::debug!("{}", line().note(error));
    }
}
