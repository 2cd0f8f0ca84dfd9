//! One read of the variables that Pacemaker gives.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use crate::Values;

const PARAMETER: &[u8] = b"OCF_RESKEY_";
const META: &[u8] = b"CRM_meta_";

/// The environment of an action (Pacemaker Administration, "Resource agent environment").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `OCF_RESKEY_*` without Pacemaker's own.
    pub values: Values,
    /// `OCF_RESOURCE_INSTANCE`.
    pub instance: Option<OsString>,
    /// `OCF_RESKEY_CRM_meta_timeout`, given in milliseconds; zero means none to Pacemaker, too.
    pub timeout: Option<Duration>,
    /// `OCF_RESKEY_CRM_meta_interval`, given in milliseconds; absent or zero marks a probe.
    pub interval: Option<Duration>,
    /// Whether the resource is a promotable clone: `OCF_RESKEY_CRM_meta_promotable`, or
    /// `promoted_max`, `master_max` in its place.
    pub promotable: bool,
    /// `OCF_CHECK_LEVEL`; what is not a number counts as unset.
    pub check_level: Option<u32>,
    /// `OCF_EXIT_REASON_PREFIX`.
    pub exit_reason_prefix: OsString,
    /// `HA_LOGFACILITY`; `none` counts as unset.
    pub log_facility: Option<String>,
    /// `HA_LOGFILE`.
    pub log_file: Option<OsString>,
    /// `TZ`, the time zone of the dates in the log file. Empty means UTC.
    pub time_zone: Option<OsString>,
    /// `HA_debug` is set and not 0.
    pub debug: bool,
    /// Whether a cluster manager made the call: then people read the log, not stderr.
    pub under_pacemaker: bool,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            values: Values::default(),
            instance: None,
            timeout: None,
            interval: None,
            promotable: false,
            check_level: None,
            exit_reason_prefix: OsString::from("ocf-exit-reason:"),
            log_facility: None,
            log_file: None,
            time_zone: None,
            debug: false,
            under_pacemaker: false,
        }
    }
}

impl Environment {
    /// Reads pairs as `std::env::vars_os` gives them. Unknown variables are left alone.
    pub fn read(pairs: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in pairs {
            environment.take(&name, value);
        }
        environment
    }

    fn take(&mut self, name: &OsStr, value: OsString) {
        if let Some(parameter) = name.as_bytes().strip_prefix(PARAMETER) {
            match parameter.strip_prefix(META) {
                Some(b"timeout") => {
                    self.timeout = milliseconds(&value).filter(|timeout| !timeout.is_zero());
                }
                Some(b"interval") => self.interval = milliseconds(&value),
                Some(b"promotable") => self.promotable |= value == "true",
                Some(b"promoted_max" | b"master_max") => {
                    self.promotable |= number::<i32>(&value).is_some_and(|most| most > 0);
                }
                Some(_) => {}
                None if parameter == b"crm_feature_set" => {}
                None => {
                    // A name that is not UTF-8 is none of ours.
                    if let Ok(parameter) = String::from_utf8(parameter.to_vec()) {
                        self.values.set(parameter, value);
                    }
                }
            }
            return;
        }
        if name == "TZ" {
            self.time_zone = Some(value);
            return;
        }
        if value.is_empty() {
            return;
        }
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
            b"HA_debug" => self.debug = value.into_vec() != b"0",
            b"PCMK_service" => self.under_pacemaker = true,
            _ => {}
        }
    }
}

fn number<T: std::str::FromStr>(value: &OsStr) -> Option<T> {
    value.to_str()?.trim().parse().ok()
}

fn milliseconds(value: &OsStr) -> Option<Duration> {
    number(value).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Environment {
        Environment::read(pairs.iter().map(|(n, v)| (OsString::from(n), OsString::from(v))))
    }

    #[test]
    fn parameters_and_pacemakers_own_are_kept_apart() {
        let environment = read(&[
            ("OCF_RESKEY_ip", "192.0.2.10"),
            ("OCF_RESKEY_CRM_meta_timeout", "20000"),
            ("OCF_RESKEY_CRM_meta_interval", "10000"),
            ("OCF_RESKEY_CRM_meta_on_node", "node1"),
            ("OCF_RESKEY_crm_feature_set", "3.16.1"),
            ("OCF_RESOURCE_INSTANCE", "vip"),
            ("OCF_CHECK_LEVEL", "10"),
            ("HA_debug", "1"),
            ("PATH", "/bin"),
        ]);
        assert_eq!(environment.values, [("ip", "192.0.2.10")].into_iter().collect());
        assert_eq!(environment.timeout, Some(Duration::from_secs(20)));
        assert_eq!(environment.interval, Some(Duration::from_secs(10)));
        assert_eq!(environment.check_level, Some(10));
        assert_eq!(environment.instance, Some("vip".into()));
        assert!(environment.debug);
    }

    #[test]
    fn promotable_clones_are_known_by_any_of_their_marks() {
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
    fn nonsense_counts_as_unset() {
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
