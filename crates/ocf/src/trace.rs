//! The trace of one action, where crmsh, pcs and Pacemaker's tools expect it: `crm resource trace`
//! sets the parameter `trace_ra`, `crm_resource -VV` and `pcs resource debug-start --full` the variable
//! `OCF_TRACE_RA`. Names and places are those of `ocf_start_trace` in resource-agents' ocf-shellfuncs.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use log::Level;
use nix::libc;

use crate::{Action, Environment, InstanceName, local_time};

/// `$HA_VARLIB/trace_ra` of resource-agents.
const DIRECTORY: &str = "/var/lib/heartbeat/trace_ra";

/// Where the steps of the action are written to, each with its time.
#[derive(Debug)]
pub(crate) struct Trace {
    sink: Sink,
    time_zone: Option<OsString>,
}

#[derive(Debug)]
enum Sink {
    /// Not opened by its name: it can be a socket, which has none.
    Stderr,
    File(File),
}

impl Trace {
    /// The trace that the environment asks for. `None` if it asks for none. A file that can't be opened
    /// is the error: the action goes on without a trace.
    pub(crate) fn open(
        agent: &str,
        instance: &InstanceName,
        action: Action,
        environment: &Environment,
    ) -> Option<std::io::Result<Self>> {
        if !environment.trace {
            return None;
        }
        let time_zone = environment.time_zone.clone();
        let given = environment.trace_file.as_deref().and_then(destination);
        let sink = match given {
            Some(path) if path == Path::new("/dev/stderr") => Ok(Sink::Stderr),
            Some(path) => open(&path),
            None if std::io::stderr().is_terminal() => Ok(Sink::Stderr),
            None => {
                let directory = environment.trace_dir.as_deref().unwrap_or(DIRECTORY.as_ref());
                let time = local_time::file_stamp(SystemTime::now(), time_zone.as_deref());
                let name = format!("{}.{action}.{time}", instance.as_file_name());
                open(&Path::new(directory).join(agent).join(name))
            }
        };
        Some(sink.map(|sink| Self { sink, time_zone }))
    }

    /// Writes one line. What can't be written is lost.
    pub(crate) fn write(&self, level: Level, message: &str) {
        let time = local_time::clock(SystemTime::now(), self.time_zone.as_deref());
        let level = match level {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info | Level::Debug | Level::Trace => "",
        };
        let line = format!("+ {time}: {level}{message}\n");
        // One write(2), so that lines of several processes do not mix.
        let _ = match &self.sink {
            Sink::Stderr => std::io::stderr().write_all(line.as_bytes()),
            Sink::File(file) => (&*file).write_all(line.as_bytes()),
        };
    }
}

/// The value of `OCF_TRACE_FILE`: an open descriptor from 3 to 9, or an absolute path. `None` for
/// anything else.
fn destination(value: &OsStr) -> Option<PathBuf> {
    match value.as_encoded_bytes() {
        [digit @ b'3'..=b'9'] => Some(PathBuf::from(format!("/dev/fd/{}", digit - b'0'))),
        [b'/', ..] => Some(PathBuf::from(value)),
        _ => None,
    }
}

/// Opens a file for appending, with the directories that are missing. open(2) must not wait for the reader of a
/// FIFO.
fn open(path: &Path) -> std::io::Result<Sink> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640).custom_flags(libc::O_NONBLOCK);
    options.open(path).map(Sink::File)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let utc = [("TZ", "UTC0")];
        let pairs = pairs.iter().chain(&utc);
        Environment::read(pairs.map(|(name, value)| (OsString::from(name), OsString::from(value))))
    }

    fn trace(pairs: &[(&str, &str)]) -> Option<Trace> {
        let instance = InstanceName::new(OsStr::new("vip"));
        let opened = Trace::open("agent", &instance, Action::Start, &environment(pairs));
        opened.map(|opened| opened.unwrap())
    }

    #[test]
    fn none_unless_it_is_asked_for() {
        assert!(trace(&[]).is_none());
        for no in ["0", "no", "false", ""] {
            assert!(trace(&[("OCF_TRACE_RA", no), ("OCF_TRACE_FILE", "/dev/stderr")]).is_none());
        }
        assert!(trace(&[("OCF_RESKEY_trace_ra", "0")]).is_none());
    }

    #[test]
    fn a_file_where_crmsh_looks_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace_ra");
        let trace = trace(&[
            ("OCF_RESKEY_trace_ra", "1"),
            ("OCF_RESKEY_trace_dir", path.to_str().unwrap()),
        ]);
        trace.unwrap().write(Level::Debug, "action=start step=one");
        let files: Vec<_> = std::fs::read_dir(path.join("agent")).unwrap().collect();
        let [file] = files.as_slice() else { panic!("{files:?}") };
        let file = file.as_ref().unwrap();
        let digits = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
        let name = digits(file.file_name().to_str().unwrap());
        assert_eq!(name, "vip.start.0000-00-00.00:00:00");
        let text = digits(&std::fs::read_to_string(file.path()).unwrap());
        assert_eq!(text, "+ 00:00:00.000: action=start step=one\n");
    }

    #[test]
    fn a_path_or_a_descriptor() {
        assert_eq!(destination(OsStr::new("3")), Some("/dev/fd/3".into()));
        assert_eq!(destination(OsStr::new("/a/b")), Some("/a/b".into()));
        for other in ["2", "33", "relative", ""] {
            assert_eq!(destination(OsStr::new(other)), None, "{other}");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/file");
        let set = [("OCF_TRACE_RA", "1"), ("OCF_TRACE_FILE", path.to_str().unwrap())];
        trace(&set).unwrap().write(Level::Warn, "one");
        trace(&set).unwrap().write(Level::Error, "two");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(": warning: one\n") && text.contains(": error: two\n"), "{text}");
    }
}
