//! Which role the instance has on this node, as promote and demote have left it. Where there is no
//! sharing tag, nothing else tells; where there is one, it stays active after demote until another
//! node takes it, so it does not tell either.

use std::fmt::Write;
use std::io;
use std::path::Path;

use hostproc::{Pid, Process};

use crate::host::files::replace;

/// Role of an instance of a promotable clone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It serves.
    Promoted,
    /// It stands by.
    Unpromoted,
}

/// What is remembered, in a directory that a boot empties: a node that comes back is unpromoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Whose role it is: a main process that came later has been promoted by nobody.
    pub(crate) main: Process,
    /// The role.
    pub(crate) role: Role,
    /// The last monitor that looked found a sharing tag otherwise than the role demands.
    pub(crate) tag_astray: bool,
    /// The promotion score that Pacemaker was told last.
    pub(crate) score: Option<i32>,
}

impl Record {
    /// Of an instance that has just come up, or that nobody remembers.
    pub(crate) fn unpromoted(main: Process) -> Self {
        Self { main, role: Role::Unpromoted, tag_astray: false, score: None }
    }

    /// Of this main process, by what was left: another one has been promoted by nobody, and
    /// Pacemaker still has the score that it was told.
    pub(crate) fn following(known: Option<Self>, main: Process) -> Self {
        match known {
            Some(record) if record.main == main => record,
            other => {
                Self { score: other.and_then(|record| record.score), ..Self::unpromoted(main) }
            }
        }
    }

    /// Reads it; `None` where there is none, or none that can be understood.
    pub(crate) fn load(path: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(path).ok()?)
    }

    /// Writes it, in one step for whoever reads.
    ///
    /// # Errors
    /// The directory is missing or not writable.
    pub(crate) fn store(&self, path: &Path) -> io::Result<()> {
        replace(path, self.to_text().as_bytes())
    }

    fn to_text(self) -> String {
        let role = match self.role {
            Role::Promoted => "promoted",
            Role::Unpromoted => "unpromoted",
        };
        let mut text = format!("main {} {}\nrole {role}\n", self.main.pid, self.main.start_time);
        if self.tag_astray {
            text.push_str("tag_astray yes\n");
        }
        if let Some(score) = self.score {
            // Writing to a String can't fail.
            let _ = writeln!(text, "score {score}");
        }
        text.push_str("end\n");
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let (mut main, mut role, mut tag_astray, mut score) = (None, None, false, None);
        // Without its last line it was not written to the end.
        for line in text.strip_suffix("end\n")?.lines() {
            match line.split_once(' ')? {
                ("main", process) => {
                    let (pid, start_time) = process.split_once(' ')?;
                    let pid: Pid = pid.parse().ok()?;
                    main = Some(Process { pid, start_time: start_time.parse().ok()? });
                }
                ("role", "promoted") => role = Some(Role::Promoted),
                ("role", "unpromoted") => role = Some(Role::Unpromoted),
                ("tag_astray", "yes") => tag_astray = true,
                ("score", number) => score = Some(number.parse().ok()?),
                // Of a later version.
                _ => {}
            }
        }
        Some(Self { main: main?, role: role?, tag_astray, score })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> Record {
        let main = Process { pid: Pid::new(4711).unwrap(), start_time: 123 };
        Record { main, role: Role::Promoted, tag_astray: true, score: Some(-5) }
    }

    #[test]
    fn what_is_stored_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("opensips-x.role");
        assert_eq!(Record::load(&path), None);
        for record in [record(), Record::unpromoted(record().main)] {
            record.store(&path).unwrap();
            assert_eq!(Record::load(&path), Some(record));
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn half_a_record_is_none() {
        let text = record().to_text();
        for length in 0..text.len() {
            assert_eq!(Record::parse(&text[..length]), None);
        }
        assert_eq!(Record::parse("main 4711 123\nend\n"), None);
        let later = format!("since yesterday\n{text}");
        assert_eq!(Record::parse(&later), Some(record()));
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text: String) {
            let _ = Record::parse(&format!("{text}\nend\n"));
        }
    }
}
