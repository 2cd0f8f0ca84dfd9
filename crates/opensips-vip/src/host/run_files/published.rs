//! The notes of what this node has published about its carrier, and of who was told.

use std::time::Duration;

use hostproc::Process;

use super::RunFiles;
use crate::decide::carrier::AttributeName;

/// Who knows what was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Pacemaker's attribute daemon.
    pub(crate) daemon: Process,
    /// As [`ocf::Membership::noted`] has it.
    pub(crate) membership: Option<u64>,
}

impl Told {
    pub(crate) const fn uncertain(self) -> Self {
        Self { membership: Some(ocf::UNCERTAIN), ..self }
    }
}

impl RunFiles {
    /// Notes what this node has published about its carrier.
    pub(crate) fn note_published_carrier(&self, attribute: &AttributeName, usable: bool) {
        let value = if usable { "1\n" } else { "0\n" };
        self.write(attribute.as_str(), value);
    }

    /// What this node has published about its carrier; `None`: nothing.
    pub(crate) fn published_carrier(&self, attribute: &AttributeName) -> Option<bool> {
        match &*self.run.read(attribute.as_str())? {
            b"1\n" => Some(true),
            b"0\n" => Some(false),
            _ => None,
        }
    }

    /// Returns true if this node has ever published something about its carrier since the boot, also if
    /// what the cluster manager has now is not known.
    pub(crate) fn has_carrier_note(&self, attribute: &AttributeName) -> bool {
        self.run.read(attribute.as_str()).is_some()
    }

    /// What is published is not known after an attempt that has failed: it can have been taken. Where
    /// nothing was published before, nothing is noted.
    pub(crate) fn note_unknown_carrier(&self, attribute: &AttributeName) {
        if self.has_carrier_note(attribute) {
            self.write(attribute.as_str(), "unknown\n");
        }
    }

    /// Notes who knows what is published; it is compared again a while later. Returns true if the note could be
    /// written.
    pub(crate) fn note_told(&self, attribute: &AttributeName, told: Option<Told>) -> bool {
        let text = told.map(|Told { daemon: Process { pid, start_time }, membership }| {
            let membership = membership.map_or_else(String::new, |since| format!(" {since}"));
            format!("{pid} {start_time}{membership}\n")
        });
        self.write(&told_note(attribute), text.as_deref().unwrap_or("nobody\n"))
    }

    /// Whether it is not known that what was told has arrived.
    pub(crate) fn has_told_uncertainly(&self, attribute: &AttributeName) -> bool {
        let noted = self.told(attribute, Duration::ZERO).flatten();
        noted.is_some_and(|told| told == told.uncertain())
    }

    /// Who was noted, `None` within that being nobody; `None` if that was less than `recently` ago.
    pub(crate) fn told(
        &self,
        attribute: &AttributeName,
        recently: Duration,
    ) -> Option<Option<Told>> {
        let note = told_note(attribute);
        if self.age(&note).flatten().is_some_and(|age| age < recently) {
            return None;
        }
        let text = self.run.read(&note).and_then(|text| String::from_utf8(text).ok());
        Some(text.as_deref().and_then(parse_told))
    }
}

/// Without the third word in the note of an older version, and without Corosync.
fn parse_told(text: &str) -> Option<Told> {
    let mut words = text.split_ascii_whitespace();
    let (pid, start_time) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let membership = words.next().and_then(|word| word.parse().ok());
    Some(Told { daemon: Process { pid, start_time }, membership })
}

fn told_note(attribute: &AttributeName) -> String {
    format!("{attribute}.told")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostproc::{Pid, RunDirectory};

    #[test]
    fn who_was_told_is_noted_with_the_membership() {
        let directory = tempfile::tempdir().unwrap();
        let files = RunFiles {
            run: RunDirectory::at(directory.path()),
            ..RunFiles::of("192.0.2.10".parse().unwrap(), None)
        };
        let attribute = AttributeName::of(&ocf::InstanceName::new("vip".as_ref()));
        let noted = || files.told(&attribute, Duration::ZERO);
        assert_eq!(noted(), Some(None));
        let daemon = Process { pid: Pid::new(7).unwrap(), start_time: 9 };
        for membership in [Some(5), None] {
            let told = Told { daemon, membership };
            assert!(files.note_told(&attribute, Some(told)));
            assert_eq!(noted(), Some(Some(told)));
            assert!(!files.has_told_uncertainly(&attribute));
            assert!(files.note_told(&attribute, Some(told.uncertain())));
            assert!(files.has_told_uncertainly(&attribute));
        }
        // It was noted a moment ago.
        assert_eq!(files.told(&attribute, Duration::from_secs(600)), None);
        assert!(files.note_told(&attribute, None));
        assert_eq!(noted(), Some(None));
        // No note can be written.
        let nowhere = RunFiles { run: RunDirectory::at("/proc/no-such-directory"), ..files };
        assert!(!nowhere.note_told(&attribute, Some(Told { daemon, membership: None })));
    }
}
