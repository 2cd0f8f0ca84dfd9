//! Where a crash has left a core file (core(5)).

use std::ffi::OsStr;
use std::fmt;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::host::executable::is_core;
use crate::host::files::{Links, open_regular};
use crate::host::mounts::Mounts;
use crate::instance::state::State;
use deadline::Deadline;

/// What a crash has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    /// A file.
    File(PathBuf),
    /// systemd takes cores, and knows where they are.
    Journal,
}

impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "core {}", ocf::shown(path.as_os_str().as_bytes())),
            Self::Journal => f.write_str("see coredumpctl"),
        }
    }
}

/// A directory of cores may be full of them, or of anything: as many entries are looked at.
const ENTRIES: usize = 4096;
/// With less time than this left there is no search.
const ENOUGH: Duration = Duration::from_secs(1);

/// The youngest core of the daemon's program that has come since then; `None` also where little
/// time is left for a look.
pub(crate) fn find(state: &State, since: SystemTime, deadline: Deadline) -> Option<Core> {
    if deadline.remaining() < ENOUGH {
        return None;
    }
    let setting = |name: &str| std::fs::read(format!("/proc/sys/kernel/{name}")).ok();
    let pattern = setting("core_pattern")?;
    let uses_pid = setting("core_uses_pid").is_some_and(|value| value.trim_ascii() == b"1");
    match Place::of(pattern.trim_ascii(), uses_pid, state)? {
        // Not where a look may never come back (NFS): a monitor must.
        Place::Files { directory, .. } if Mounts::read().follow(&directory).unseen.is_some() => {
            None
        }
        Place::Files { directory, names } => youngest(&directory, &names, since).map(Core::File),
        Place::Journal => Some(Core::Journal),
    }
}

/// Where the kernel's setting has cores of the daemon go.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Files { directory: PathBuf, names: Names },
    Journal,
}

impl Place {
    /// `None` where nobody can tell: given to another program, or in a directory that has its name
    /// from the process.
    fn of(pattern: &[u8], uses_pid: bool, state: &State) -> Option<Self> {
        if let [b'|', program @ ..] = pattern {
            let systemd = program.windows(16).any(|word| word == b"systemd-coredump");
            return systemd.then_some(Self::Journal);
        }
        // `@` gives it to a socket, since Linux 6.16.
        if pattern.is_empty() || pattern.starts_with(b"@") {
            return None;
        }
        // What is relative begins where the process was.
        let path = state.directory.join(OsStr::from_bytes(pattern));
        let (directory, name) = (path.parent()?, path.file_name()?.as_bytes());
        if directory.as_os_str().as_bytes().contains(&b'%') {
            return None;
        }
        let program = state.executable.file_name().unwrap_or_default();
        let names = Names::of(name, program, uses_pid);
        Some(Self::Files { directory: directory.to_owned(), names })
    }
}

/// The names that a pattern makes: fixed parts with anything between them.
#[derive(Debug, PartialEq, Eq)]
struct Names(Vec<Vec<u8>>);

/// The kernel keeps as much of a program's name (`TASK_COMM_LEN` less its zero).
const COMM: usize = 15;

impl Names {
    fn of(pattern: &[u8], program: &OsStr, uses_pid: bool) -> Self {
        let mut parts = vec![Vec::new()];
        let mut has_pid = false;
        let mut bytes = pattern.iter();
        while let Some(&byte) = bytes.next() {
            let fixed = match (byte, if byte == b'%' { bytes.next() } else { None }) {
                (b'%', Some(b'%')) => b"%",
                (b'%', Some(b'e')) => program.as_bytes().get(..COMM).unwrap_or(program.as_bytes()),
                (b'%', specifier) => {
                    has_pid |= specifier == Some(&b'p');
                    parts.push(Vec::new());
                    continue;
                }
                _ => std::slice::from_ref(&byte),
            };
            if let Some(part) = parts.last_mut() {
                part.extend_from_slice(fixed);
            }
        }
        if uses_pid && !has_pid {
            if let Some(part) = parts.last_mut() {
                part.push(b'.');
            }
            parts.push(Vec::new());
        }
        Self(parts)
    }

    fn fit(&self, name: &[u8]) -> bool {
        let Some((first, rest)) = self.0.split_first() else { return false };
        let Some(mut left) = name.strip_prefix(first.as_slice()) else { return false };
        let Some((last, between)) = rest.split_last() else { return left.is_empty() };
        for part in between.iter().filter(|part| !part.is_empty()) {
            let found = left.windows(part.len()).position(|window| window == part.as_slice());
            let Some(behind) = found.and_then(|at| left.get(at + part.len()..)) else {
                return false;
            };
            left = behind;
        }
        left.ends_with(last)
    }
}

/// The youngest core among the files of these names, none older than `since`. The directory may be
/// the daemon's user's, who can put anything there, and something else a moment later: what is
/// opened is what is judged.
fn youngest(directory: &Path, names: &Names, since: SystemTime) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).ok()?.take(ENTRIES).flatten();
    let fitting = entries.filter(|entry| names.fit(entry.file_name().as_bytes()));
    let cores = fitting.filter_map(|entry| {
        let file = open_regular(&entry.path(), Links::Refused).ok()?;
        let written = file.metadata().and_then(|metadata| metadata.modified()).ok();
        let written = written.filter(|written| *written >= since)?;
        let mut start = Vec::new();
        file.take(64).read_to_end(&mut start).ok()?;
        is_core(&start).then(|| (written, entry.path()))
    });
    cores.max().map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostproc::{Pid, Process};
    fn state(directory: &Path) -> State {
        State {
            main: Process { pid: Pid::new(4711).unwrap(), start_time: 123 },
            session: 4710,
            executable: "/usr/sbin/opensips".into(),
            config: "/etc/o.cfg".into(),
            pidfile: "/run/o.pid".into(),
            directory: directory.to_owned(),
            listeners: Vec::new(),
        }
    }

    fn files(pattern: &str, uses_pid: bool) -> Option<(PathBuf, Names)> {
        match Place::of(pattern.as_bytes(), uses_pid, &state(Path::new("/var/lib/o")))? {
            Place::Files { directory, names } => Some((directory, names)),
            Place::Journal => None,
        }
    }

    #[test]
    fn where_the_setting_says() {
        let directory = |pattern| files(pattern, false).map(|(directory, _)| directory);
        assert_eq!(directory("core"), Some("/var/lib/o".into()));
        assert_eq!(directory("cores/core.%p"), Some("/var/lib/o/cores".into()));
        assert_eq!(directory("/var/crash/%e.%p"), Some("/var/crash".into()));
        for nowhere in ["", "|/usr/share/apport/apport %p", "@/run/cores", "/var/%u/core"] {
            assert_eq!(Place::of(nowhere.as_bytes(), false, &state(Path::new("/"))), None);
        }
        let systemd = b"|/lib/systemd/systemd-coredump %P %u %g %s %t 9223372036854775808 %h";
        assert_eq!(Place::of(systemd, false, &state(Path::new("/"))), Some(Place::Journal));
    }

    #[test]
    fn names_that_a_pattern_makes() {
        for (pattern, uses_pid, fitting, others) in [
            ("core", false, &["core"][..], &["core.1", "xcore", ""][..]),
            ("core", true, &["core.4711"], &["core", "core4711"]),
            ("core.%p", true, &["core.4711"], &["core"]),
            ("core-%e-%s-%p", false, &["core-opensips-11-4711"], &["core-other-11-4711"]),
            ("%t.100%%", false, &["17.100%"], &["17.100"]),
            ("a%pa", false, &["a1a", "aa"], &["a", "a1"]),
            ("core%", false, &["core"], &["cor"]),
        ] {
            let (_, names) = files(pattern, uses_pid).unwrap();
            for name in fitting {
                assert!(names.fit(name.as_bytes()), "{name} of {pattern}");
            }
            for name in others {
                assert!(!names.fit(name.as_bytes()), "{name} of {pattern}");
            }
        }
    }

    #[test]
    fn only_a_core_of_this_life() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| {
            std::fs::write(directory.path().join(name), content).unwrap();
        };
        let core = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[4, 0, 62, 0]].concat();
        let (_, names) = files("core.%p", false).unwrap();
        let since = SystemTime::now() - Duration::from_secs(600);
        let found = |since| youngest(directory.path(), &names, since);
        assert_eq!(found(since), None);
        write("core.1", b"no core");
        write("other", &core);
        std::fs::create_dir(directory.path().join("core.2")).unwrap();
        assert_eq!(found(since), None);
        // None of them is waited for, nor followed.
        nix::unistd::mkfifo(&directory.path().join("core.3"), nix::sys::stat::Mode::S_IRWXU)
            .unwrap();
        std::os::unix::fs::symlink("other", directory.path().join("core.4")).unwrap();
        assert_eq!(found(since), None);
        write("core.4711", &core);
        assert_eq!(found(since), Some(directory.path().join("core.4711")));
        assert_eq!(found(SystemTime::now() + Duration::from_secs(600)), None);
    }

    #[test]
    fn a_path_is_fit_for_a_reason() {
        let told = Core::File("/var/\u{1b}[31m\n/core".into()).to_string();
        assert_eq!(told, "core /var/\\u{1b}[31m\\n/core");
    }

    #[test]
    fn little_time_is_left_for_more_than_a_core() {
        let state = state(Path::new("/"));
        let soon = Deadline::now();
        assert_eq!(find(&state, SystemTime::UNIX_EPOCH, soon), None);
    }
}
