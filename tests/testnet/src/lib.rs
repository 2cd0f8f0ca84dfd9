//! Hosts for tests: network namespaces, virtual cables, packet capture, a runner for agents.
//!
//! A test makes its hosts, connects them, and runs closures or programs on them; when the
//! hosts are dropped, also by a failing test, every process that still lives in their
//! namespaces is killed and nothing is left. Hosts share nothing, so tests may run in parallel
//! threads of one process.
//!
//! ```no_run
//! testnet::root_or_skip!();
//! let (a, b) = (testnet::Host::new("a"), testnet::Host::new("b"));
//! let _cable = testnet::cable((&a, "eth0", "02:00:00:00:00:01"), (&b, "eth0", "02:00:00:00:00:02"));
//! a.ip("addr add 192.0.2.1/24 dev eth0");
//! ```

// A fixture has one way to report what went wrong: it fails the test.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

mod agent;
mod cable;
mod capture;
mod host;
mod ndisc;
mod neighbour;
mod privilege;
mod program;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use agent::{Agent, Outcome, agent};
pub use cable::{Cable, Switch, cable};
pub use capture::{ArpFrame, Capture, CapturedFrame, Direction};
pub use host::Host;
pub use ndisc::NdiscFrame;
pub use neighbour::{Neighbour, neighbour_cache};
#[doc(hidden)]
pub use privilege::{missing_privilege, skipped};
pub use program::{copy_program, write_program};

/// Waits until `condition` holds.
///
/// # Panics
/// Naming `what`, if it does not hold `within` that time.
pub fn wait_until(what: &str, within: Duration, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + within;
    while !condition() {
        assert!(Instant::now() < until, "waited {within:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The path of a binary of this workspace, built with the profile of the running test; of an agent in
/// the directory that `SMARTVOX_AGENTS` names, if it does, so that the suites can judge the agents as
/// they are shipped.
///
/// # Panics
/// If it has not been built: cargo builds the binaries of a package for that package's own
/// tests only.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let shipped = std::env::var_os("SMARTVOX_AGENTS").map(|agents| Path::new(&agents).join(name));
    if let Some(agent) = shipped.filter(|agent| agent.is_file()) {
        return agent;
    }
    let test = std::env::current_exe().expect("path of the running test");
    // target/PROFILE/deps/TEST-HASH; examples and binaries lie one level higher.
    let directory = test
        .ancestors()
        .skip(1)
        .find(|directory| !directory.ends_with("deps") && !directory.ends_with("examples"))
        .expect("a test lies in a directory");
    let path = directory.join(name);
    assert!(
        path.is_file(),
        "{} is not there: build it first, `cargo build --workspace --bins`",
        path.display()
    );
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "until pigs fly")]
    fn waiting_in_vain_names_what_was_waited_for() {
        wait_until("pigs fly", Duration::from_millis(1), || false);
    }

    #[test]
    #[should_panic(expected = "build it first")]
    fn a_missing_binary_says_what_to_do() {
        let _ = binary("no-such-binary");
    }
}
