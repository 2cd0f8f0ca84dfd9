//! What start remembers about the instance it brought up: a help for monitor and stop, never the
//! only truth. A text file of `key value` lines in a directory of root's.

use std::ffi::OsStr;
use std::fmt::Write;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use hostproc::{Pid, Process};

use crate::host::files::replace;
use crate::sockets::listener::Listener;

/// An instance as it was when it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Its main process.
    pub(crate) main: Process,
    /// The session that the daemon made for itself.
    pub(crate) session: i32,
    /// The executable.
    pub(crate) executable: PathBuf,
    /// `-f`
    pub(crate) config: PathBuf,
    /// `-P`
    pub(crate) pidfile: PathBuf,
    /// Its listeners, each with the inode of its socket. As long as that inode listens there,
    /// the socket belongs to this instance: a socket lives as long as somebody holds it, and
    /// nobody outside inherits it.
    pub(crate) listeners: Vec<(Listener, u32)>,
}

impl State {
    /// Reads it; `None` where there is none, or none that can be understood.
    pub(crate) fn load(path: &Path) -> Option<Self> {
        Self::parse(&std::fs::read(path).ok()?)
    }

    /// Writes it, in one step for whoever reads.
    ///
    /// # Errors
    /// The directory is missing or not writable.
    pub(crate) fn store(&self, path: &Path) -> io::Result<()> {
        replace(path, &self.to_bytes())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = writeln!(text, "main {} {}", self.main.pid, self.main.start_time);
        let _ = writeln!(text, "session {}", self.session);
        for (listener, inode) in &self.listeners {
            let _ = writeln!(text, "listener {listener} {inode}");
        }
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

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut main, mut session, mut listeners) = (None, None, Vec::new());
        let (mut executable, mut config, mut pidfile) = (None, None, None);
        // Without its last line it was not written to the end.
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
                b"executable" => executable = path(),
                b"config" => config = path(),
                b"pidfile" => pidfile = path(),
                // Of a later version.
                _ => {}
            }
        }
        Some(Self {
            main: main?,
            session: session?,
            executable: executable?,
            config: config?,
            pidfile: pidfile?,
            listeners,
        })
    }
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
        }
    }

    #[test]
    fn what_is_stored_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("opensips-x.state");
        assert_eq!(State::load(&path), None);
        state().store(&path).unwrap();
        assert_eq!(State::load(&path), Some(state()));
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

    proptest! {
        #[test]
        fn any_bytes_are_judged(mut bytes: Vec<u8>) {
            bytes.extend_from_slice(b"\nend\n");
            let _ = State::parse(&bytes);
        }
    }
}
