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
mod built;
mod cable;
mod capture;
mod corpus;
mod host;
mod ndisc;
mod neighbour;
mod privilege;
mod process;
mod program;
mod responder;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use agent::{Agent, Outcome, agent};
pub use cable::{Cable, Switch, cable};
pub use capture::{ArpFrame, Capture, CapturedFrame, Direction};
pub use corpus::{Target, replay};
pub use host::Host;
pub use ndisc::NdiscFrame;
pub use neighbour::{Neighbour, neighbour_cache};
#[doc(hidden)]
pub use privilege::{missing_privilege, skipped};
pub use process::{resume, suspend};
pub use program::{copy_program, write_program};
pub use responder::Responder;

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

/// The programs that are shipped.
const AGENTS: [&str; 2] = ["opensips-vip", "opensips"];

/// Returns the path of a program of this workspace, built with the profile of the running test. If
/// `SMARTVOX_AGENTS` is set, an agent is taken from the directory that it names, so that the suites can
/// test the agents as they are shipped.
///
/// # Panics
/// If the program is missing, or older than its sources: cargo builds the programs of a package only
/// for that package's own tests. A shipped agent is taken as it is.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    // Each program is checked once: a suite does not test what is edited while it runs.
    static CHECKED: Mutex<BTreeMap<String, Result<PathBuf, String>>> = Mutex::new(BTreeMap::new());
    let mut checked = CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = checked.entry(name.to_owned()).or_insert_with(|| find(name));
    let found = known.clone();
    drop(checked);
    found.unwrap_or_else(|why| panic!("{why}"))
}

fn find(name: &str) -> Result<PathBuf, String> {
    if let Some(shipped) = std::env::var_os("SMARTVOX_AGENTS").filter(|_| AGENTS.contains(&name)) {
        let agent = Path::new(&shipped).join(name);
        let missing = format!("{} is not there: check SMARTVOX_AGENTS", agent.display());
        return if agent.is_file() { Ok(agent) } else { Err(missing) };
    }
    let test = std::env::current_exe().map_err(|error| format!("/proc/self/exe: {error}"))?;
    // target/PROFILE/deps/TEST-HASH; examples and programs lie one level higher.
    let directory = test
        .ancestors()
        .skip(1)
        .find(|directory| !directory.ends_with("deps") && !directory.ends_with("examples"))
        .ok_or("a test lies in a directory")?;
    let path = directory.join(name);
    if !path.is_file() {
        return Err(format!("{} is not there: run {}", path.display(), built::COMMAND));
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = workspace.ancestors().nth(2).ok_or("the workspace has a directory")?;
    built::check(&path, workspace)?;
    Ok(path)
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
    #[should_panic(expected = "no-such-binary is not there: run tests/build")]
    fn a_missing_binary_says_what_to_do() {
        let _ = binary("no-such-binary");
    }
}
