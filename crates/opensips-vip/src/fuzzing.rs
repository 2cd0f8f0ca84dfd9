//! The decoders of this crate as targets of a fuzzer (tests/fuzz). A target panics if a decoder does, or if it
//! breaks a promise.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;

use ocf::Values;

use crate::decide::carrier::{AttributeName, elsewhere};
use crate::decide::own_address::{is_configured_in, is_of_corosync};
use crate::host::run_files::{parse_conflict, parse_namespace, parse_unannounced};
use crate::params::Params;
use crate::wire::announcer;

/// A target with its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: &[Target] = &[
    ("vip_parameters", parameters),
    ("announcer_arguments", announcer_arguments),
    ("vip_notes", notes),
    ("host_configuration", host_configuration),
    ("attrd_answer", attrd_answer),
];

/// A parameter in each line: `NAME=VALUE`.
fn parameters(lines: &[u8]) {
    let pairs = lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b'=')?;
        let name = std::str::from_utf8(line.get(..at)?).ok()?;
        Some((name, OsStr::from_bytes(line.get(at + 1..)?)))
    });
    match Params::read(&pairs.collect::<Values>()) {
        Ok(params) => assert!(!params.schedule.times().is_empty()),
        Err(findings) => {
            for finding in findings.iter() {
                assert!(!finding.sentence.contains(char::is_control), "{finding:?}");
            }
        }
    }
}

/// Separated by zeros, as in `/proc/PID/cmdline`.
fn announcer_arguments(arguments: &[u8]) {
    let arguments = arguments.split(|byte| *byte == 0);
    let arguments: Vec<OsString> =
        arguments.map(|argument| OsStr::from_bytes(argument).to_owned()).collect();
    announcer::decode(&arguments);
}

/// What is remembered in the run directory.
fn notes(note: &[u8]) {
    let _ = (parse_conflict(note), parse_unannounced(note), parse_namespace(note));
}

/// A file of the host's network, or corosync.conf and hosts(5) with a zero between them.
fn host_configuration(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let ip = IpAddr::from([192, 0, 2, 10]);
    let _ = is_configured_in(&text, ip);
    let (corosync, hosts) = text.split_once('\0').unwrap_or((&text, ""));
    let _ = is_of_corosync(corosync, hosts, ip);
}

fn attrd_answer(text: &[u8]) {
    let attribute = AttributeName::from_argument("smartvox-link-vip");
    let _ = elsewhere(&String::from_utf8_lossy(text), &attribute, "node1");
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_that_was_found_stays_found() {
        testnet::replay(super::TARGETS);
    }
}
