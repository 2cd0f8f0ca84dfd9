//! The decoders of this crate as targets of a fuzzer (tests/fuzz). A target panics if a decoder does, or if it
//! breaks a promise.

use std::path::Path;

use crate::mounts::Mounts;

/// A target with its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: &[Target] = &[("mountinfo", mountinfo)];

/// `/proc/self/mountinfo`
fn mountinfo(table: &[u8]) {
    let mounts = Mounts::of(table);
    for path in ["/", "/mnt/far/opensips", "relative"] {
        let path = Path::new(path);
        let point = mounts.may_wait(path);
        assert!(point.is_none_or(|point| path.starts_with(point)), "{point:?}");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_that_was_found_stays_found() {
        testnet::replay(super::TARGETS);
    }
}
