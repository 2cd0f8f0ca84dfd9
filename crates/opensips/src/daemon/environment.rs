//! What the daemon inherits: next to nothing.

use std::path::Path;
use std::process::{Command, Stdio};

/// The PATH of a service: the daemon must not depend on that of Pacemaker.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The daemon with an environment of PATH, LANG and TZ alone (a configuration can read its
/// environment, and OCF_* and PCMK_* must not be in there), in `/`, without stdin.
///
/// This process goes to `/` itself: with a directory of its own for the child, a statically linked
/// std takes fork and execvp(3) instead of posix_spawn(3), and execvp(3) gives a file that is not a
/// program to /bin/sh.
pub(crate) fn clean(binary: &Path) -> Command {
    // `/` is always there; no path of the agent is relative.
    let _ = std::env::set_current_dir("/");
    let mut command = Command::new(binary);
    command.env_clear().env("PATH", PATH).stdin(Stdio::null());
    for name in ["LANG", "TZ"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}
