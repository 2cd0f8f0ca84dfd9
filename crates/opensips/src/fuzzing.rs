//! The decoders of this crate as targets of a fuzzer (tests/fuzz). A target panics if a decoder does, or if it
//! breaks a promise.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::sys::memfd::{MFdFlags, memfd_create};
use ocf::{InstanceName, Values};

use crate::cluster::{Status, node_and_value};
use crate::instance::role::Record;
use crate::instance::state::State;
use crate::params::Params;
use crate::process::command_line::{Arguments, parse_extra_options};
use crate::process::survey::PidFile;
use crate::promotion::tags::{refuse_declared_active, refuse_undeclared};
use crate::sockets::listener::{Declared, Listener};
use crate::{async_monitor, daemon, mi, sip};

/// A target with its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: &[Target] = &[
    ("sip_answer", sip::fuzzing::answer),
    ("sip_stream", sip::fuzzing::stream),
    ("websocket", sip::fuzzing::websocket),
    ("mi_reply", mi::fuzzing::reply),
    ("daemon_output", daemon::fuzzing::output),
    ("journal", daemon::fuzzing::journal),
    ("environment_file", daemon::fuzzing::environment_file),
    ("declared_sockets", declared_sockets),
    ("configuration", configuration),
    ("state", state),
    ("role", role),
    ("pid_file", pid_file),
    ("daemon_arguments", daemon_arguments),
    ("opensips_parameters", parameters),
    ("crm_mon", crm_mon),
];

/// What `opensips -C` prints.
fn declared_sockets(bytes: &[u8]) {
    let declared = Declared::read(&String::from_utf8_lossy(bytes));
    for listener in &declared.listeners {
        assert!(listener.local.port() != 0);
        assert!(
            listener.to_string().parse().is_ok_and(|again: Listener| again == *listener),
            "{listener}"
        );
    }
    assert!(declared.unknown.is_none_or(|why| !why.contains(char::is_control)));
}

/// Includes are followed, as on a host: the file is in memory, and its neighbours are open files.
fn configuration(bytes: &[u8]) {
    let Ok(file) = memfd_create("opensips.cfg", MFdFlags::MFD_CLOEXEC) else { return };
    let mut file = std::fs::File::from(file);
    if file.write_all(bytes).is_err() {
        return;
    }
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    daemon::fuzzing::configuration(&path);
    let values = [("mi", OsStr::new("fifo:/run/x")), ("sharing_tag", OsStr::new("vip/1"))];
    let values = values.into_iter().chain([("config", path.as_os_str())]);
    let Some(params) = read(&values.collect()) else { return };
    let _ = refuse_declared_active(&params);
    let _ = refuse_undeclared(&params);
}

/// What start and monitor remember: what is read is written as it was read.
fn state(bytes: &[u8]) {
    let Some(state) = State::parse(bytes) else { return };
    let written = state.to_bytes();
    assert_eq!(State::parse(&written), Some(state), "{}", String::from_utf8_lossy(&written));
}

/// What promote and demote remember.
fn role(bytes: &[u8]) {
    let Some(record) = Record::parse(&String::from_utf8_lossy(bytes)) else { return };
    assert_eq!(Record::parse(&record.to_text()), Some(record));
}

fn pid_file(bytes: &[u8]) {
    if let PidFile::Names(pid) = PidFile::parse(bytes) {
        assert!(pid.get() > 0);
    }
}

/// The command line of a process that may be the daemon, and that of the asynchronous monitor.
fn daemon_arguments(bytes: &[u8]) {
    let words: Vec<_> =
        bytes.split(|byte| *byte == 0).map(|word| OsStr::from_bytes(word).to_owned()).collect();
    let arguments = Arguments::read(&words);
    assert!(!arguments.relative_to(Path::new("/")).has_relative_paths());
    let _ = async_monitor::Watch::from_arguments(&words);
    if let Ok(words) = parse_extra_options(&String::from_utf8_lossy(bytes)) {
        let own = Arguments::read(&words);
        assert!(own.config.is_none() && own.pidfile.is_none() && !own.foreground, "{words:?}");
    }
}

/// A parameter in each line: `NAME=VALUE`.
fn parameters(lines: &[u8]) {
    let pairs = lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b'=')?;
        let name = std::str::from_utf8(line.get(..at)?).ok()?;
        Some((name, OsStr::from_bytes(line.get(at + 1..)?)))
    });
    let _ = read(&pairs.collect());
}

fn read(values: &Values) -> Option<Params> {
    match Params::read(values, &InstanceName::new(OsStr::new("sip"))) {
        Ok(params) => Some(params),
        Err(findings) => {
            for finding in findings.iter() {
                assert!(!finding.sentence.contains(char::is_control), "{finding:?}");
            }
            None
        }
    }
}

/// What crm_mon and attrd_updater print.
fn crm_mon(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = Status::parse(&text, &InstanceName::new(OsStr::new("sip")));
    let _ = text.lines().filter_map(|line| node_and_value(line, "smartvox-routes-sip")).count();
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_that_was_found_stays_found() {
        testnet::replay(super::TARGETS);
    }
}
