//! The note that the carrier of a link has just come, for the starts of all VIPs on that link. The kernel tells
//! how often a carrier has come, and not when.

use std::path::Path;
use std::time::Duration;

use hostnet::LinkIndex;

use super::RunFiles;
use crate::host::boot_time::since_boot;

const NEW_CARRIER: &str = "new-carrier-";

/// How long a carrier counts as new. A start comes that much later if it follows from the carrier, or if the
/// cluster starts several VIPs.
const NEW: Duration = Duration::from_secs(2);

impl RunFiles {
    /// Notes that the carrier of this link has just come.
    pub(crate) fn note_new_carrier(&self, link: LinkIndex) {
        self.write(&self.new_carrier(link), &format!("{}\n", since_boot().as_millis()));
    }

    /// Returns true if the carrier of this link came a moment ago, as far as a process of this agent has seen it
    /// come. Another loss since then changes nothing: the carrier that is there now is newer still.
    pub(crate) fn has_new_carrier(&self, link: LinkIndex) -> bool {
        self.run.read(&self.new_carrier(link)).is_some_and(|note| is_new(&note, since_boot()))
    }

    /// Removes such notes when they tell nothing any more, those of other network namespaces, too. One that is
    /// still true stays: the start of another VIP, or the next one of this VIP, needs it.
    pub(super) fn forget_old_carriers(&self) {
        let is_ours = |name: &str| name.starts_with(NEW_CARRIER);
        let names = self.run.names();
        let now = since_boot();
        for name in names.iter().filter(|name| is_ours(name)) {
            if self.run.read(name).is_some_and(|note| !is_new(&note, now)) {
                self.remove(name);
            }
        }
        let unfinished = |name: &String| {
            let (file, _) = hostfs::unfinished(Path::new(name))?;
            file.to_str().filter(|name| is_ours(name)).map(str::to_owned)
        };
        let unfinished: Vec<_> = names.iter().filter_map(unfinished).collect();
        if !unfinished.is_empty() {
            self.run.remove_unfinished(&unfinished);
        }
    }

    fn new_carrier(&self, link: LinkIndex) -> String {
        format!("{NEW_CARRIER}{link}@{}", self.namespace)
    }
}

/// Whether a note of that time is new at this time since boot.
fn is_new(note: &[u8], now: Duration) -> bool {
    let text = std::str::from_utf8(note).ok();
    let noted = text.and_then(|text| text.trim_end().parse().ok()).map(Duration::from_millis);
    noted.and_then(|noted| now.checked_sub(noted)).is_some_and(|age| age < NEW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostproc::RunDirectory;

    #[test]
    fn a_carrier_is_new_for_a_moment() {
        let now = Duration::from_secs(100);
        for (note, new) in [
            (&b"100000\n"[..], true),
            (b"98001\n", true),
            (b"98000\n", false),
            // A clock that could not be read.
            (b"0\n", false),
            // Of another boot: the directory is in no tmpfs here.
            (b"100001\n", false),
            (b"", false),
            (b"-1\n", false),
            (b"\xff\n", false),
        ] {
            assert_eq!(is_new(note, now), new, "{note:?}");
        }
    }

    #[test]
    fn a_note_is_about_one_link_and_goes_when_it_is_old() {
        let directory = tempfile::tempdir().unwrap();
        let files = RunFiles {
            run: RunDirectory::at(directory.path()),
            ..RunFiles::of("192.0.2.10".parse().unwrap(), None)
        };
        let [eth0, eth1] = [2, 3].map(|index| LinkIndex::new(index).unwrap());
        files.note_new_carrier(eth0);
        // Left by a process that was killed while it wrote.
        files.run.write("new-carrier-7@1.4294967295.new", b"").unwrap();
        files.run.write("new-carrier-7@1", b"1\n").unwrap();
        files.run.write("here-192.0.2.11@1", b"").unwrap();
        assert!(!files.has_new_carrier(eth1));
        files.forget_old_carriers();
        let mut left = files.run.names();
        left.sort();
        assert_eq!(left, ["here-192.0.2.11@1".to_owned(), files.new_carrier(eth0)]);
    }
}
