//! What is asked of an agent in one call.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use deadline::Deadline;

use crate::{Action, Description, Environment, action_deadline};

/// One call of an agent, after environment and command line have been read.
#[derive(Clone, Debug)]
pub struct Request {
    /// The action.
    pub action: Action,
    /// The resource's name in the cluster.
    pub instance: InstanceName,
    /// The parameters as given, not yet judged.
    pub values: Values,
    /// When the action must have ended.
    pub deadline: Deadline,
    /// Time that Pacemaker (or the meta-data) grants the action as a whole.
    pub timeout: Duration,
    /// monitor only: asked once whether the resource is here, not as a recurring check.
    pub probe: bool,
    /// Whether the resource is a promotable clone, so that roles and promotion scores mean
    /// something.
    pub promotable: bool,
    /// `OCF_CHECK_LEVEL`: how deep monitor and validate-all look.
    pub check_level: u32,
}

impl Request {
    pub(crate) fn new(
        description: &Description,
        action: Action,
        environment: &Environment,
        started: Instant,
    ) -> Self {
        let instance = environment.instance.as_deref().unwrap_or(description.name.as_ref());
        let timeout = environment.timeout.unwrap_or_else(|| description.timeout(action));
        let recurring = environment.interval.is_some_and(|interval| !interval.is_zero());
        Self {
            action,
            instance: InstanceName::new(instance),
            values: environment.values.clone(),
            deadline: action_deadline(started, timeout),
            timeout,
            probe: action == Action::Monitor && !recurring,
            promotable: environment.promotable,
            check_level: environment.check_level.unwrap_or(0),
        }
    }
}

/// The name of a resource in the cluster, such as `vip` or `opensips:0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceName(String);

impl InstanceName {
    /// A name from outside. Non-UTF-8 parts are replaced.
    pub fn new(name: &OsStr) -> Self {
        Self(name.to_string_lossy().into_owned())
    }

    /// The name as the cluster writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a part of a file name: letters, digits, `-`, `_` and inner dots stay, any other
    /// byte becomes `%XX`, so that different names never share a file and none leaves its
    /// directory. Of what is longer than 100 bytes then, the rest becomes a hash.
    pub fn as_file_name(&self) -> String {
        let mut name = String::new();
        for (at, byte) in self.0.bytes().enumerate() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
                b'.' if at > 0 => name.push('.'),
                _ => name.push_str(&format!("%{byte:02X}")),
            }
        }
        if name.len() > FILE_NAME_LIMIT {
            let hash = fnv_1a(self.0.as_bytes());
            name.truncate(FILE_NAME_LIMIT - 18);
            // No name that is not cut has two percent signs side by side.
            name.push_str(&format!("%%{hash:016X}"));
        }
        name
    }
}

/// With what comes before and behind it, a name has to be shorter than 256 bytes (NAME_MAX).
const FILE_NAME_LIMIT: usize = 100;

/// The 64 bit FNV-1a hash (draft-eastlake-fnv), which stays the same with every version of the agent:
/// an upgrade must find the files of what runs.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::shown(self.0.as_bytes()))
    }
}

/// The values of an agent's parameters as given: bytes from an administrator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<String, OsString>);

impl Values {
    /// The value of a parameter; `None` where it is not set or set to the empty string.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The value as text; `None` where it is not set, empty or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(OsStr::to_str)
    }

    /// Sets a value; a later one wins.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// All names and values, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_os_str()))
    }
}

impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for Values {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// The bytes of a value, shown in one line.
pub(crate) fn shown_value(value: &OsStr) -> String {
    crate::shown(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_name_stays_in_its_directory() {
        let file = |name: &str| InstanceName::new(OsStr::new(name)).as_file_name();
        assert_eq!(file("vip"), "vip");
        assert_eq!(file("opensips:0"), "opensips%3A0");
        assert_eq!(file("../../etc/passwd"), "%2E.%2F..%2Fetc%2Fpasswd");
        assert_eq!(file("."), "%2E");
        assert_ne!(file("a:b"), file("a%3Ab"));
        assert_eq!(file(&"x".repeat(100)), "x".repeat(100));
    }

    #[test]
    fn long_names_share_no_file() {
        let file = |name: &str| InstanceName::new(OsStr::new(name)).as_file_name();
        let long = "x".repeat(120);
        let (one, other) = (file(&format!("{long}1")), file(&format!("{long}2")));
        assert_ne!(one, other);
        assert!(one.starts_with("xxxx") && one.len() == 100, "{one}");
        assert_eq!(file(&":".repeat(1000)).len(), 100);
        // The test vector of the draft.
        assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_empty_string_counts_as_not_set() {
        let values: Values = [("ip", ""), ("nic", "eth0")].into_iter().collect();
        assert_eq!(values.get("ip"), None);
        assert_eq!(values.text("nic"), Some("eth0"));
        assert_eq!(values.get("unknown"), None);
    }
}
