//! The version of OpenSIPS.

use std::fmt;

/// Major and minor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release(u32, u32);

/// The oldest release that the agent is tested with.
pub(crate) const OLDEST: Release = Release(2, 4);

/// The MI of older releases has no JSON-RPC over FIFO and datagrams.
pub(crate) const FIRST_WITH_JSON_RPC: Release = Release(3, 0);

impl Release {
    /// From `opensips 3.6.8 (x86_64/linux)`; also of `opensips 4.1.0-dev (…)`.
    pub(crate) fn of(version: &str) -> Option<Self> {
        let mut numbers = version.strip_prefix("opensips ")?.split(['.', '-', ' ']);
        let major = numbers.next()?.parse().ok()?;
        Some(Self(major, numbers.next()?.parse().ok()?))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(Release::of("opensips 3.6.8 (x86_64/linux)"), Some(Release(3, 6)));
        assert_eq!(Release::of("opensips 4.1.0-dev (x86_64/linux)"), Some(Release(4, 1)));
        assert_eq!(Release::of("opensips 3.10"), Some(Release(3, 10)));
        assert!(Release::of("opensips 2.4.11 (x86_64/linux)") < Some(FIRST_WITH_JSON_RPC));
        assert!(Release::of("opensips 1.11.5-tls (x86_64/linux)") < Some(OLDEST));
        for text in ["", "opensips", "opensips x.y", "kamailio 5.6.3"] {
            assert_eq!(Release::of(text), None, "{text}");
        }
    }
}
