//! When the members of the cluster changed last, without asking the cluster.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where Corosync keeps the number of its ring: a file `ringid_NODE`, written at each change of the membership
/// (`memb_state_commit_enter` and `corosync_ring_id_store` of Corosync 3).
const DIRECTORY: &str = "/var/lib/corosync";

/// For how long after a change Pacemaker may still delete what the nodes have published. Its controllers delete the
/// transient attributes of a node that they have lost, within a second or two, also where it is back by then.
const SETTLING: Duration = Duration::from_secs(5);

/// The last change of the cluster's membership, as far as this node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// There is no such file: another cluster layer, a remote node.
    Unknown,
    /// It has just changed: what follows from that may not have happened yet.
    Changing,
    /// A number that every change alters.
    Since(u64),
}

/// What to note where it is not known that what was told has arrived: no membership is equal to it.
pub const UNCERTAIN: u64 = 0;

impl Membership {
    /// Looks at the file; no process is started.
    #[must_use]
    pub fn now() -> Self {
        Self::of(Path::new(DIRECTORY), SystemTime::now())
    }

    fn of(directory: &Path, now: SystemTime) -> Self {
        let written = fs::read_dir(directory).into_iter().flatten().flatten().filter_map(|entry| {
            let is_ring = entry.file_name().as_encoded_bytes().starts_with(b"ringid_");
            is_ring.then(|| entry.metadata().ok()?.modified().ok())?
        });
        let written: Vec<SystemTime> = written.collect();
        if written.is_empty() {
            return Self::Unknown;
        }
        // A clock that was set back does not make it young for ever.
        let is_young =
            |time: &SystemTime| now.duration_since(*time).is_ok_and(|age| age < SETTLING);
        if written.iter().any(is_young) {
            return Self::Changing;
        }
        // A node whose number has changed has left another file, which may be the younger one.
        let nanoseconds = written.iter().map(|time| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            u64::try_from(since).unwrap_or(u64::MAX)
        });
        Self::Since(nanoseconds.fold(0, u64::wrapping_add).max(UNCERTAIN + 1))
    }

    /// What to note of it; `None` for nothing.
    #[must_use]
    pub const fn noted(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Changing => Some(UNCERTAIN),
            Self::Since(time) => Some(time),
        }
    }

    /// Whether it has changed, and settled, since this was noted; so it has where nothing was noted, as by an older
    /// version.
    #[must_use]
    pub fn has_changed(self, noted: Option<u64>) -> bool {
        matches!(self, Self::Since(time) if noted != Some(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_when_it_has_settled() {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let at = |later: u64| Membership::of(directory.path(), now + Duration::from_secs(later));
        assert_eq!(at(0), Membership::Unknown);
        fs::write(directory.path().join("authkey"), "").unwrap();
        assert_eq!(at(0), Membership::Unknown);
        let ring = fs::File::create(directory.path().join("ringid_1")).unwrap();
        ring.set_modified(now).unwrap();
        assert_eq!((at(0), at(4)), (Membership::Changing, Membership::Changing));
        let first = at(5);
        assert!(matches!(first, Membership::Since(time) if time > 0));
        ring.set_modified(now + Duration::from_secs(20)).unwrap();
        // The clock was set back.
        let second = at(10);
        assert_eq!(second, at(40));
        // What was told before, at, and after the change.
        assert!(!first.has_changed(first.noted()) && second.has_changed(first.noted()));
        assert!(!at(21).has_changed(first.noted()));
        assert!(second.has_changed(at(21).noted()) && !second.has_changed(second.noted()));
        assert!(second.has_changed(None) && !Membership::Unknown.has_changed(first.noted()));
        // The file of another node number, of a time that is still to come.
        let other = fs::File::create(directory.path().join("ringid_2")).unwrap();
        other.set_modified(now + Duration::from_secs(9999)).unwrap();
        let third = at(60);
        ring.set_modified(now + Duration::from_secs(30)).unwrap();
        assert!(at(60).has_changed(third.noted()));
    }
}
