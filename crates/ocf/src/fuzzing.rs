//! The decoders of this crate as targets of a fuzzer (tests/fuzz). A target panics if a decoder does, or if it
//! breaks a promise.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::command_line::{self, Options};
use crate::{
    Action, ActionDescription, Description, Environment, InstanceName, Kind, Parameter, Reader,
};

/// A target with its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: &[Target] =
    &[("environment", environment), ("names", names), ("command_line", command_line)];

/// `NAME=VALUE`, separated by zeros as in `/proc/PID/environ`.
fn environment(block: &[u8]) {
    let pairs = block.split(|byte| *byte == 0).filter_map(|entry| {
        let at = entry.iter().position(|byte| *byte == b'=')?;
        let (name, value) = entry.split_at(at);
        let value = value.get(1..).unwrap_or_default();
        Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec())))
    });
    let environment = Environment::read(pairs).overridden_by(Options::default());
    let own = |name: &str| name.starts_with("CRM_meta_");
    assert!(!environment.values.iter().any(|(name, _)| own(name)), "{environment:?}");
}

/// The name of a resource, in the names of files and in lines.
fn names(name: &[u8]) {
    let instance = InstanceName::new(OsStr::from_bytes(name));
    let file = instance.as_file_name();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.%".contains(&byte);
    assert!(file.len() <= 100 && file.bytes().all(fits) && !file.starts_with('.'), "{file}");
    let shown = crate::shown(name);
    assert!(!shown.contains(char::is_control), "{shown:?}");
    let _ = crate::parse_duration(&instance.without_clone_number().to_string());
}

/// An agent with a parameter of each kind of value that is read.
static AGENT: Description = Description {
    name: "agent",
    version: "1",
    shortdesc: "An agent",
    longdesc: "An agent.",
    parameters: &[&IP, &FORM],
    actions: &[
        ActionDescription::new(Action::Start, 20),
        ActionDescription::new(Action::Diagnose, 20),
    ],
};
static IP: Parameter = Parameter { name: "ip", required: true, ..Parameter::TEMPLATE };
static FORM: Parameter = Parameter {
    name: "form",
    kind: Kind::Select(&["request", "reply"]),
    default: Some("request"),
    ..Parameter::TEMPLATE
};

/// The arguments of a call, separated by zeros as in `/proc/PID/cmdline`, and its parameters.
fn command_line(arguments: &[u8]) {
    let arguments = arguments.split(|byte| *byte == 0);
    let arguments: Vec<_> =
        arguments.map(|argument| OsString::from_vec(argument.to_vec())).collect();
    let Ok(call) = command_line::read(&AGENT, &arguments) else { return };
    let environment = Environment::default().overridden_by(call.options);
    let mut reader = Reader::new(&environment.values);
    let (ip, form) = (reader.text(&IP), reader.select(&FORM));
    if let Err(findings) = reader.finish(ip.zip(form)) {
        assert!(findings.iter().all(|finding| !finding.sentence.contains(char::is_control)));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_that_was_found_stays_found() {
        testnet::replay(super::TARGETS);
    }
}
