//! One call of an agent.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::time::{Duration, Instant};

use deadline::Deadline;

use crate::{Action, Description, Environment, Values, action_deadline};

/// One call of an agent, made from its environment and its command line.
#[derive(Clone, Debug)]
pub struct Request {
    /// The action, which the agent offers.
    pub action: Action,
    /// The name of the resource in the cluster; without a cluster, the name of the agent.
    pub instance: InstanceName,
    /// The parameters as given, not yet validated.
    pub values: Values,
    /// The instant by which the action must have ended.
    pub deadline: Deadline,
    /// The time that Pacemaker, an option or the meta-data gives the whole action.
    pub timeout: Duration,
    /// monitor only: a single check whether the resource is on this node, not a recurring one.
    pub probe: bool,
    /// monitor only: the interval of a recurring one, zero of a probe.
    pub interval: Duration,
    /// A cluster manager made the call: it has given the name of the resource.
    pub in_cluster: bool,
    /// The name of this node in the cluster, if the cluster manager has given it
    /// (`OCF_RESKEY_CRM_meta_on_node`).
    pub node: Option<String>,
    /// monitor only: Pacemaker checks with `role=Stopped` that the resource is not on this node.
    pub expects_stopped: bool,
    /// monitor only: Pacemaker checks with `role=Promoted` that the instance is the promoted one.
    pub expects_promoted: bool,
    /// Pacemaker's executor made the call: what it starts here has been stopped, or fenced, elsewhere. A
    /// call by hand, also by `crm_resource --force-start`, has no such meaning.
    pub by_cluster: bool,
    /// The resource is a promotable clone: it has roles and promotion scores.
    pub promotable: bool,
    /// `OCF_CHECK_LEVEL`, the depth of monitor and validate-all: 0, 10 or 20.
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
            interval: environment.interval.unwrap_or_default(),
            in_cluster: environment.instance.is_some(),
            node: environment.node.clone(),
            expects_stopped: action == Action::Monitor && environment.role_stopped,
            expects_promoted: action == Action::Monitor && environment.role_promoted,
            by_cluster: environment.by_executor,
            promotable: environment.promotable,
            check_level: environment.check_level.unwrap_or(0),
        }
    }

    /// The variables with which another process of the agent is about the same resource, as a recurring
    /// monitor of check level 0 ([`crate::in_background`]). It has the parameters of this call, also those
    /// that were options, and the logs of this process.
    #[must_use]
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        let mut variables: Vec<(OsString, OsString)> = LOG_VARIABLES
            .iter()
            .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
            .collect();
        let parameters = self.values.iter();
        variables.extend(
            parameters.map(|(name, value)| (format!("OCF_RESKEY_{name}").into(), value.into())),
        );
        let mut meta = |name: &str, value: &str| {
            variables.push((format!("OCF_RESKEY_CRM_meta_{name}").into(), value.into()));
        };
        meta("interval", &BACKGROUND_INTERVAL.as_millis().to_string());
        if let Some(node) = &self.node {
            meta("on_node", node);
        }
        if self.promotable {
            meta("promotable", "true");
        }
        if self.in_cluster {
            variables.push(("OCF_RESOURCE_INSTANCE".into(), self.instance.as_str().into()));
        }
        variables
    }
}

/// What a background process has to know about the logs.
const LOG_VARIABLES: [&str; 5] = ["HA_LOGFACILITY", "HA_LOGFILE", "HA_debug", "PCMK_service", "TZ"];

/// Any but zero, which makes a monitor a probe.
const BACKGROUND_INTERVAL: Duration = Duration::from_secs(1);

/// The name of a resource in the cluster, such as `vip` or `opensips:0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceName(String);

impl InstanceName {
    /// A name as given; bytes that are not UTF-8 become U+FFFD.
    pub fn new(name: &OsStr) -> Self {
        Self(name.to_string_lossy().into_owned())
    }

    /// The name as the cluster writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without the number of a clone's instance: `opensips` of `opensips:0`. Pacemaker adds the
    /// number for a globally unique clone, and for an instance too many of an anonymous one; no other
    /// name has a colon, because it is an XML ID.
    #[must_use]
    pub fn without_clone_number(&self) -> Self {
        match self.0.rsplit_once(':') {
            Some((name, number))
                if !name.is_empty()
                    && !number.is_empty()
                    && number.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                Self(name.to_owned())
            }
            _ => self.clone(),
        }
    }

    /// The name as a part of a file name, at most 100 bytes long. Letters, digits, `-`, `_` and all
    /// dots but a leading one stay, any other byte becomes `%XX`: two names never share a file, and
    /// no name leaves its directory. The end of a longer result is replaced by a hash of the name.
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
            // Two percent signs in a row occur in no other name.
            name.push_str(&format!("%%{hash:016X}"));
        }
        name
    }
}

/// With the text before and after it, a file name must be shorter than 256 bytes (NAME_MAX).
const FILE_NAME_LIMIT: usize = 100;

/// The 64-bit FNV-1a hash (draft-eastlake-fnv). It is the same in every version of the agent: after
/// an upgrade the agent must find the files of a running resource.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_make_the_same_request() {
        static DESCRIPTION: Description = Description {
            name: "agent",
            version: "1",
            shortdesc: "An agent",
            longdesc: "An agent.",
            parameters: &[],
            actions: &[],
        };
        let made = |action, environment: &Environment| {
            Request::new(&DESCRIPTION, action, environment, Instant::now())
        };
        let environment = Environment {
            values: [("config", "/a b"), ("empty", "")].into_iter().collect(),
            instance: Some("sip:1".into()),
            node: Some("node1".to_owned()),
            promotable: true,
            check_level: Some(10),
            role_promoted: true,
            ..Environment::default()
        };
        let start = made(Action::Start, &environment);
        let again = made(Action::Monitor, &Environment::read(start.variables()));
        assert_eq!(again.values, start.values);
        assert_eq!(again.instance, start.instance);
        assert_eq!(again.node, start.node);
        assert!(again.in_cluster && again.promotable);
        assert!(!again.probe && !again.expects_promoted && !again.expects_stopped);
        assert_eq!(again.check_level, 0);
        let by_hand = made(Action::Start, &Environment::default());
        let again = made(Action::Monitor, &Environment::read(by_hand.variables()));
        assert!(!again.in_cluster && !again.promotable && again.node.is_none());
        assert_eq!(again.instance, by_hand.instance);
    }

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
    fn the_instances_of_a_clone_have_one_name() {
        for (name, clone) in [("vip", "vip"), ("vip:0", "vip"), ("vip:12", "vip"), ("a:b", "a:b")] {
            let name = InstanceName::new(OsStr::new(name));
            assert_eq!(name.without_clone_number().as_str(), clone);
        }
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
}
