//! The environment variables that Pacemaker sets.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crate::Values;
use crate::command_line::Options;

const PARAMETER: &[u8] = b"OCF_RESKEY_";
const META: &[u8] = b"CRM_meta_";

/// The environment of an action (Pacemaker Administration, "Resource agent environment").
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    /// `OCF_RESKEY_*` without the variables of Pacemaker itself.
    pub(crate) values: Values,
    /// `OCF_RESOURCE_INSTANCE`.
    pub(crate) instance: Option<OsString>,
    /// `OCF_RESKEY_CRM_meta_timeout`, which is in milliseconds. Zero means no timeout to Pacemaker
    /// and counts as unset.
    pub(crate) timeout: Option<Duration>,
    /// What the first attempt has left of the time ([`crate::second_attempt`]), whoever gave it.
    pub(crate) time_left: Option<Duration>,
    /// `OCF_RESKEY_CRM_meta_interval`, which is in milliseconds. A monitor without it, or with
    /// zero, is a probe.
    pub(crate) interval: Option<Duration>,
    /// `OCF_RESKEY_CRM_meta_on_node`.
    pub(crate) node: Option<String>,
    /// `OCF_RESKEY_CRM_meta_role` is `Stopped`.
    pub(crate) role_stopped: bool,
    /// The same is `Promoted`, or `Master` before Pacemaker 2.1.
    pub(crate) role_promoted: bool,
    /// The resource is a promotable clone: `OCF_RESKEY_CRM_meta_promotable`, or one of
    /// `promoted_max` and `master_max` instead.
    pub(crate) promotable: bool,
    /// `OCF_CHECK_LEVEL`; a value that is not a number counts as unset.
    pub(crate) check_level: Option<u32>,
    /// `OCF_EXIT_REASON_PREFIX`.
    pub(crate) exit_reason_prefix: OsString,
    /// `HA_LOGFACILITY`; `none` counts as unset.
    pub(crate) log_facility: Option<String>,
    /// `HA_LOGFILE`; `/dev/null` counts as unset.
    pub(crate) log_file: Option<OsString>,
    /// `TZ`, the time zone of the dates in the log file. The empty string means UTC.
    pub(crate) time_zone: Option<OsString>,
    /// `HA_debug` is set and not 0.
    pub(crate) debug: bool,
    /// `OCF_TRACE_RA`, or the parameter `trace_ra`: the steps of the action are written down ([`crate::trace`]).
    pub(crate) trace: bool,
    /// `OCF_TRACE_FILE`.
    pub(crate) trace_file: Option<OsString>,
    /// The parameter `trace_dir`.
    pub(crate) trace_dir: Option<OsString>,
    /// A cluster manager made the call, so the log is read and stderr is not.
    pub(crate) under_pacemaker: bool,
    /// `PCMK_service` is Pacemaker's executor, and not one of its tools.
    pub(crate) by_executor: bool,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            values: Values::default(),
            instance: None,
            timeout: None,
            time_left: None,
            interval: None,
            node: None,
            role_stopped: false,
            role_promoted: false,
            promotable: false,
            check_level: None,
            exit_reason_prefix: OsString::from("ocf-exit-reason:"),
            log_facility: None,
            log_file: None,
            time_zone: None,
            debug: false,
            trace: false,
            trace_file: None,
            trace_dir: None,
            under_pacemaker: false,
            by_executor: false,
        }
    }
}

impl Environment {
    /// Reads pairs as `std::env::vars_os` gives them. Unknown variables are ignored.
    pub(crate) fn read(pairs: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in pairs {
            environment.set(&name, value);
        }
        environment
    }

    /// Applies the options of the command line, which win over the variables.
    pub(crate) fn overridden_by(mut self, options: Options) -> Self {
        for (name, value) in options.values.iter() {
            self.values.set(name, value);
        }
        self.instance = options.instance.or(self.instance);
        self.check_level = options.check_level.or(self.check_level);
        // The second attempt has the options of the first one, whose time has begun.
        self.timeout = self.time_left.or(options.timeout).or(self.timeout);
        self.debug |= options.verbose;
        self
    }

    fn set(&mut self, name: &OsStr, value: OsString) {
        match name.as_bytes().strip_prefix(PARAMETER) {
            Some(parameter) => match parameter.strip_prefix(META) {
                Some(name) => self.set_meta(name, &value),
                None => self.set_parameter(parameter, value),
            },
            // To the C library, a TZ that is set to nothing is not one that is not set.
            None if name == "TZ" => self.time_zone = Some(value),
            None if value.is_empty() => {}
            None => self.set_variable(name, value),
        }
    }

    /// Sets the field of a meta attribute of the resource or the operation.
    fn set_meta(&mut self, name: &[u8], value: &OsStr) {
        match name {
            b"timeout" => {
                self.timeout = milliseconds(value).filter(|timeout| !timeout.is_zero());
            }
            b"interval" => self.interval = milliseconds(value),
            b"on_node" => {
                self.node = value.to_str().filter(|name| !name.is_empty()).map(str::to_owned);
            }
            b"role" => {
                self.role_stopped = value == "Stopped";
                self.role_promoted = value == "Promoted" || value == "Master";
            }
            b"promotable" => self.promotable |= value == "true",
            b"promoted_max" | b"master_max" => {
                self.promotable |= number::<i32>(value).is_some_and(|most| most > 0);
            }
            _ => {}
        }
    }

    fn set_parameter(&mut self, name: &[u8], value: OsString) {
        match name {
            // Pacemaker's own, without its usual prefix.
            b"crm_feature_set" => return,
            // crmsh sets them for any agent.
            b"trace_ra" => return self.trace |= is_true(&value),
            b"trace_dir" => {
                self.trace_dir = Some(value).filter(|value| !value.is_empty());
                return;
            }
            _ => {}
        }
        // No parameter of ours has a name that is not UTF-8.
        if let Ok(name) = String::from_utf8(name.to_vec()) {
            self.values.set(name, value);
        }
    }

    fn set_variable(&mut self, name: &OsStr, value: OsString) {
        match name.as_bytes() {
            b"OCF_RESOURCE_INSTANCE" => self.instance = Some(value),
            b"OCF_CHECK_LEVEL" => self.check_level = number(&value),
            b"OCF_EXIT_REASON_PREFIX" => self.exit_reason_prefix = value,
            b"HA_LOGFACILITY" => {
                self.under_pacemaker = true;
                self.log_facility =
                    value.into_string().ok().filter(|name| !name.eq_ignore_ascii_case("none"));
            }
            b"HA_LOGFILE" => {
                self.log_file = Some(value).filter(|path| path != "/dev/null");
            }
            b"OCF_TRACE_RA" => self.trace |= is_true(&value),
            b"OCF_SMARTVOX_SECOND_ATTEMPT" => self.time_left = milliseconds(&value),
            b"OCF_TRACE_FILE" => self.trace_file = Some(value),
            b"HA_debug" => self.debug = value != "0",
            b"PCMK_service" => {
                self.under_pacemaker = true;
                self.by_executor = value == "pacemaker-execd";
            }
            _ => {}
        }
    }
}

fn number<T: std::str::FromStr>(value: &OsStr) -> Option<T> {
    value.to_str()?.trim().parse().ok()
}

/// `ocf_is_true` of resource-agents' ocf-shellfuncs.
fn is_true(value: &OsStr) -> bool {
    let words = ["yes", "true", "1", "on", "y", "ja"];
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

fn milliseconds(value: &OsStr) -> Option<Duration> {
    number(value).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn read(pairs: &[(&str, &str)]) -> Environment {
        Environment::read(pairs.iter().map(|(n, v)| (OsString::from(n), OsString::from(v))))
    }

    #[test]
    fn variables_of_pacemaker_are_no_parameters() {
        let environment = read(&[
            ("OCF_RESKEY_ip", "192.0.2.10"),
            ("OCF_RESKEY_CRM_meta_timeout", "20000"),
            ("OCF_RESKEY_CRM_meta_interval", "10000"),
            ("OCF_RESKEY_CRM_meta_on_node", "node1"),
            ("OCF_RESKEY_crm_feature_set", "3.16.1"),
            ("OCF_RESKEY_trace_ra", "1"),
            ("OCF_RESKEY_trace_dir", "/traces"),
            ("OCF_RESOURCE_INSTANCE", "vip"),
            ("OCF_CHECK_LEVEL", "10"),
            ("HA_debug", "1"),
            ("TZ", ""),
            ("PATH", "/bin"),
        ]);
        assert_eq!(environment.values, [("ip", "192.0.2.10")].into_iter().collect());
        assert_eq!(environment.timeout, Some(Duration::from_secs(20)));
        assert_eq!(environment.interval, Some(Duration::from_secs(10)));
        assert_eq!(environment.check_level, Some(10));
        assert_eq!(environment.instance, Some("vip".into()));
        assert_eq!(environment.time_zone, Some("".into()));
        assert!(environment.debug && environment.trace);
        assert_eq!(environment.trace_dir, Some("/traces".into()));
    }

    #[test]
    fn the_role_that_a_monitor_expects() {
        let role = |value| {
            let environment = read(&[("OCF_RESKEY_CRM_meta_role", value)]);
            (environment.role_stopped, environment.role_promoted)
        };
        assert_eq!(role("Stopped"), (true, false));
        assert_eq!(role("Promoted"), (false, true));
        assert_eq!(role("Master"), (false, true));
        assert_eq!(role("Started"), (false, false));
    }

    #[test]
    fn each_variable_of_a_promotable_clone_is_enough() {
        for (name, value) in [("promotable", "true"), ("promoted_max", "1"), ("master_max", "1")] {
            let name = format!("OCF_RESKEY_CRM_meta_{name}");
            assert!(read(&[(&name, value)]).promotable, "{name}");
        }
        for (name, value) in [("promotable", "false"), ("promoted_max", "0"), ("clone", "0")] {
            let name = format!("OCF_RESKEY_CRM_meta_{name}");
            assert!(!read(&[(&name, value)]).promotable, "{name}");
        }
    }

    #[test]
    fn the_executor_is_told_from_the_tools() {
        for (service, by_executor) in [("pacemaker-execd", true), ("crm_resource", false)] {
            let environment = read(&[("PCMK_service", service)]);
            assert_eq!((environment.under_pacemaker, environment.by_executor), (true, by_executor));
        }
        assert!(!read(&[("HA_LOGFACILITY", "none")]).by_executor);
        assert!(read(&[("OCF_RESKEY_CRM_meta_role", "Stopped")]).role_stopped);
        assert!(!read(&[("OCF_RESKEY_CRM_meta_role", "Started")]).role_stopped);
    }

    #[test]
    fn a_second_attempt_has_the_time_that_is_left() {
        let pairs =
            [("OCF_RESKEY_CRM_meta_timeout", "20000"), (crate::second_attempt::TIME_LEFT, "12000")];
        for timeout in [None, Some(Duration::from_secs(30))] {
            let options = Options { timeout, ..Options::default() };
            let environment = read(&pairs).overridden_by(options);
            assert_eq!(environment.timeout, Some(Duration::from_secs(12)));
        }
    }

    #[test]
    fn an_invalid_value_counts_as_unset() {
        assert_eq!(read(&[("OCF_RESKEY_CRM_meta_timeout", "0")]).timeout, None);
        let environment = read(&[
            ("OCF_RESKEY_CRM_meta_timeout", "soon"),
            ("OCF_CHECK_LEVEL", "deep"),
            ("HA_LOGFACILITY", "none"),
            ("OCF_EXIT_REASON_PREFIX", ""),
        ]);
        assert_eq!(environment.timeout, None);
        assert_eq!(environment.check_level, None);
        assert_eq!(environment.log_facility, None);
        assert_eq!(environment.exit_reason_prefix, "ocf-exit-reason:");
        let weird =
            (OsString::from_vec(b"OCF_RESKEY_\xff".to_vec()), OsString::from_vec(b"\xff".to_vec()));
        assert_eq!(Environment::read([weird]), Environment::default());
    }
}
