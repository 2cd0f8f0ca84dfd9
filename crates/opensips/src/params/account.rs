//! A user or group as it is given.

use std::fmt::{self, Display};
use std::str::FromStr;

/// A user or group, by name or number; a word that is safe on a command line and in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account(String);

impl Account {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its number, if it was given as one.
    pub(crate) fn number(&self) -> Option<u32> {
        self.0.parse().ok()
    }
}

impl Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Account {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // useradd(8) allows 32 characters; directories of Windows domains more, and `\` and `@`.
        let odd = |c: char| c.is_whitespace() || c.is_control() || ":/,;'\"`$*?&|<>()".contains(c);
        if text.starts_with('-') || text.len() > 256 || text.contains(odd) {
            return Err("not a name or number");
        }
        Ok(Self(text.to_owned()))
    }
}
