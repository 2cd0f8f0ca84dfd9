//! The values of an agent's parameters, as they were given.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The values of the parameters as given: any bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<String, OsString>);

impl Values {
    /// The value of a parameter; `None` if it is not set or empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The value of a parameter as text; `None` if it is not set, empty or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(OsStr::to_str)
    }

    /// Sets a value; it replaces an earlier one.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// The names and values, also empty ones, in the order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_os_str()))
    }
}

impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for Values {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// [`crate::shown`] of a value.
pub(crate) fn shown_value(value: &OsStr) -> String {
    crate::shown(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_string_counts_as_not_set() {
        let values: Values = [("ip", ""), ("nic", "eth0")].into_iter().collect();
        assert_eq!(values.get("ip"), None);
        assert_eq!(values.text("nic"), Some("eth0"));
        assert_eq!(values.get("unknown"), None);
    }
}
