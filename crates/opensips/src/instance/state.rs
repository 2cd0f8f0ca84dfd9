//! What start remembers about an instance, in a text file of `key value` lines.

use std::ffi::OsStr;
use std::fmt::Write;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use hostproc::{Pid, Process, RunDirectory};

use crate::sockets::listener::Listener;

/// Digests of the configuration; a change of one is a change of what the daemon reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    /// Of the blocks of the script.
    pub(crate) routes: u64,
    /// Of all else.
    pub(crate) settings: u64,
}

/// Which configuration the daemon has read; unknown for one that this agent has not started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// Of the file as it was then.
    pub(crate) digests: Option<Digests>,
    /// Parameter `routes_version` when the routes were loaded; empty where it was not set.
    pub(crate) routes_version: Option<String>,
    /// A later version that could not be loaded, and why.
    pub(crate) refused: Option<(String, String)>,
}

/// What the configuration declared when the daemon's own check was asked last: it costs a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastCheck {
    /// In seconds since the boot.
    pub(crate) at: u64,
    /// The virtual addresses that were on this host: sockets of an interface are expanded to them.
    pub(crate) vips_here: Vec<IpAddr>,
    /// `None` where that is not known.
    pub(crate) declared: Option<Vec<Listener>>,
}

/// What the monitors of the nodes have told each other of the routes that are loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// What this node has published.
    pub(crate) told: Option<String>,
    /// The process of Pacemaker that was told: a later one may not know it.
    pub(crate) told_to: Option<Process>,
    /// The nodes with other routes at the last look, each with what it had published.
    pub(crate) unlike: Vec<(String, String)>,
}

/// What the monitors of an instance keep for the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Since when OPTIONS is not answered, in seconds since the boot.
    pub(crate) unanswered_since: Option<u64>,
    pub(crate) loaded: Loaded,
    pub(crate) last_check: Option<LastCheck>,
    pub(crate) comparison: Comparison,
}

/// An instance as it was when it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) main: Process,
    /// The session that the main process has created.
    pub(crate) session: i32,
    pub(crate) executable: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) pidfile: PathBuf,
    /// The listeners, each with the inode of its socket. As long as a socket with that inode listens
    /// there, it belongs to this instance: a socket lives as long as a process holds it, and only
    /// processes that the instance has started inherit it.
    pub(crate) listeners: Vec<(Listener, u32)>,
    /// What an operator should know as long as this instance lives, in one line each: monitor executes
    /// nothing that would find it out again.
    pub(crate) remarks: Vec<String>,
    pub(crate) kept: Kept,
}

impl State {
    /// `None` if there is no state, or none that can be understood.
    pub(crate) fn load(run: &RunDirectory, name: &str) -> Option<Self> {
        Self::parse(&run.read(name)?)
    }

    /// # Errors
    /// The directory is not writable.
    pub(crate) fn store(&self, run: &RunDirectory, name: &str) -> hostfs::Result<()> {
        run.write(name, &self.to_bytes())
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = writeln!(text, "main {} {}", self.main.pid, self.main.start_time);
        let _ = writeln!(text, "session {}", self.session);
        for (listener, inode) in &self.listeners {
            let _ = writeln!(text, "listener {listener} {inode}");
        }
        for remark in &self.remarks {
            let _ = writeln!(text, "remark {}", remark.replace('\n', " "));
        }
        self.kept.write(&mut text);
        let mut bytes = text.into_bytes();
        // Parameters are checked for line ends; paths need not be UTF-8.
        for (key, path) in
            [("executable", &self.executable), ("config", &self.config), ("pidfile", &self.pidfile)]
        {
            bytes.extend_from_slice(key.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(path.as_os_str().as_bytes());
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(b"end\n");
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut main, mut session) = (None, None);
        let (mut listeners, mut remarks) = (Vec::new(), Vec::new());
        let (mut executable, mut config, mut pidfile) = (None, None, None);
        let mut kept = Kept::default();
        // A state without its last line is incomplete.
        for line in bytes.strip_suffix(b"end\n")?.split(|byte| *byte == b'\n') {
            let Some(space) = line.iter().position(|byte| *byte == b' ') else { continue };
            let (key, value) = line.split_at(space);
            let value = value.get(1..)?;
            let path = || Some(PathBuf::from(OsStr::from_bytes(value)));
            let text = || std::str::from_utf8(value).ok();
            match key {
                b"main" => {
                    let (pid, start_time) = text()?.split_once(' ')?;
                    let pid: Pid = pid.parse().ok()?;
                    main = Some(Process { pid, start_time: start_time.parse().ok()? });
                }
                b"session" => session = text()?.parse().ok(),
                b"listener" => {
                    let (listener, inode) = text()?.split_once(' ')?;
                    listeners.push((listener.parse().ok()?, inode.parse().ok()?));
                }
                b"remark" => remarks.push(text()?.to_owned()),
                b"executable" => executable = path(),
                b"config" => config = path(),
                b"pidfile" => pidfile = path(),
                // Or a line of another version.
                other => text().into_iter().for_each(|text| kept.read(other, text)),
            }
        }
        Some(Self {
            main: main?,
            session: session?,
            executable: executable?,
            config: config?,
            pidfile: pidfile?,
            listeners,
            remarks,
            kept,
        })
    }
}

impl Kept {
    fn write(&self, text: &mut String) {
        // Writing to a String can't fail.
        if let Some(since) = self.unanswered_since {
            let _ = writeln!(text, "unanswered {since}");
        }
        if let Some(Digests { routes, settings }) = self.loaded.digests {
            let _ = writeln!(text, "digests {routes:016x} {settings:016x}");
        }
        if let Some(version) = &self.loaded.routes_version {
            let _ = writeln!(text, "routes_version {}", version.replace('\n', " "));
        }
        if let Some((version, why)) = &self.loaded.refused {
            let why = why.replace('\n', " ");
            let _ = writeln!(text, "refused_version {version}\nrefused {why}");
        }
        let Comparison { told, told_to, unlike } = &self.comparison;
        if let Some(told) = told {
            let _ = writeln!(text, "routes_told {told}");
        }
        if let Some(Process { pid, start_time }) = told_to {
            let _ = writeln!(text, "routes_told_to {pid} {start_time}");
        }
        for (node, value) in unlike {
            let _ = writeln!(text, "routes_unlike {value} {}", node.replace('\n', " "));
        }
        if let Some(LastCheck { at, vips_here, declared }) = &self.last_check {
            let known = if declared.is_some() { "known" } else { "unknown" };
            let _ = writeln!(text, "checked {at} {known}");
            for vip in vips_here {
                let _ = writeln!(text, "checked_vip {vip}");
            }
            for listener in declared.iter().flatten() {
                let _ = writeln!(text, "declares {listener}");
            }
        }
    }

    /// Reads a line; one of another version is ignored.
    fn read(&mut self, key: &[u8], text: &str) {
        match key {
            b"unanswered" => self.unanswered_since = text.parse().ok(),
            b"digests" => self.loaded.digests = digests(text),
            b"routes_version" => self.loaded.routes_version = Some(text.to_owned()),
            b"refused_version" => {
                self.loaded.refused = Some((text.to_owned(), String::new()));
            }
            b"refused" => {
                if let Some((_, why)) = &mut self.loaded.refused {
                    text.clone_into(why);
                }
            }
            b"routes_told" => self.comparison.told = Some(text.to_owned()),
            b"routes_told_to" => self.comparison.told_to = process(text),
            b"routes_unlike" => {
                let unlike = text.split_once(' ').map(|(value, node)| (node.into(), value.into()));
                self.comparison.unlike.extend(unlike);
            }
            b"checked" => self.last_check = LastCheck::begin(text),
            // Half an answer is none: the daemon is asked again.
            _ => self.last_check = self.last_check.take().and_then(|last| last.with(key, text)),
        }
    }
}

/// A process as it is written: its number and its start time.
fn process(text: &str) -> Option<Process> {
    let (pid, start_time) = text.split_once(' ')?;
    Some(Process { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? })
}

impl LastCheck {
    fn begin(text: &str) -> Option<Self> {
        let (at, known) = text.split_once(' ')?;
        let declared = (known == "known").then(Vec::new);
        Some(Self { at: at.parse().ok()?, vips_here: Vec::new(), declared })
    }

    /// Reads a line that follows the first one; `None` for one that can't be understood.
    fn with(mut self, key: &[u8], text: &str) -> Option<Self> {
        match (key, &mut self.declared) {
            (b"checked_vip", _) => self.vips_here.push(text.parse().ok()?),
            (b"declares", Some(declared)) => declared.push(text.parse().ok()?),
            _ => {}
        }
        Some(self)
    }
}

fn digests(text: &str) -> Option<Digests> {
    let (routes, settings) = text.split_once(' ')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(Digests { routes: number(routes)?, settings: number(settings)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state() -> State {
        State {
            main: Process { pid: Pid::new(4711).unwrap(), start_time: 123 },
            session: 4710,
            executable: "/usr/sbin/opensips".into(),
            config: "/etc/opensips/a b.cfg".into(),
            pidfile: OsStr::from_bytes(b"/run/\xff.pid").into(),
            listeners: vec![
                ("udp:192.0.2.10:5060".parse().unwrap(), 7),
                ("tls:[2001:db8::1]:5061".parse().unwrap(), 8),
            ],
            remarks: vec!["one socket less: restart it".into()],
            kept: Kept {
                unanswered_since: Some(77),
                loaded: Loaded {
                    digests: Some(Digests { routes: 1, settings: u64::MAX }),
                    routes_version: Some("of today".to_owned()),
                    refused: Some(("of now".to_owned(), "no answer".to_owned())),
                },
                last_check: Some(LastCheck {
                    at: 78,
                    vips_here: vec!["192.0.2.10".parse().unwrap()],
                    declared: Some(vec!["udp:192.0.2.10:5060".parse().unwrap()]),
                }),
                comparison: Comparison {
                    told: Some("1-ab".to_owned()),
                    told_to: Some(Process { pid: Pid::new(12).unwrap(), start_time: 13 }),
                    unlike: vec![("node2".to_owned(), "1-cd".to_owned())],
                },
            },
        }
    }

    #[test]
    fn what_is_stored_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let (run, name) = (RunDirectory::at(directory.path()), "opensips-x.state");
        assert_eq!(State::load(&run, name), None);
        state().store(&run, name).unwrap();
        assert_eq!(State::load(&run, name), Some(state()));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn half_a_state_is_none() {
        let bytes = state().to_bytes();
        for length in 0..bytes.len() {
            assert_eq!(State::parse(&bytes[..length]), None);
        }
        let later = [b"tag active\n", &bytes[..]].concat();
        assert_eq!(State::parse(&later), Some(state()));
    }

    /// What a monitor keeps for the next one is less than which processes are the instance's.
    #[test]
    fn what_is_kept_in_another_form_costs_no_more_than_itself() {
        let bytes = state().to_bytes();
        let without = bytes.strip_suffix(b"end\n").unwrap();
        for line in [&b"name \xff"[..], b"declares new-transport:x", b"checked_vip x", b"checked x"]
        {
            let other = [without, line, b"\nend\n"].concat();
            let read = State::parse(&other).unwrap();
            let kept = Kept { last_check: read.kept.last_check.clone(), ..state().kept };
            assert_eq!(read, State { kept, ..state() });
            assert_eq!(read.kept.last_check.is_some(), line.starts_with(b"name"), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(mut bytes: Vec<u8>) {
            bytes.extend_from_slice(b"\nend\n");
            let _ = State::parse(&bytes);
        }
    }
}
