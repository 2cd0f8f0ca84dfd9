//! Tests that need privileges say so and count as skipped where they lack them.

use std::io::Write;
use std::sync::OnceLock;

use nix::sched::{CloneFlags, unshare};

/// Returns from the calling test, after having said so, where no network namespace can be
/// made. cargo knows no "skipped" for a test that has started; so the line
/// `SKIPPED <test>: <reason>` goes past libtest's capture to stderr, and the test's name is
/// appended to the file that the environment variable `SMARTVOX_SKIPPED` names, from which
/// `make test` counts them as skipped, not as passed.
#[macro_export]
macro_rules! root_or_skip {
    () => {
        if let Some(reason) = $crate::missing_privilege() {
            // The path of an item inside the test function names the test, in any thread.
            fn here() {}
            let path = ::std::any::type_name_of_val(&here);
            $crate::skipped(path.strip_suffix("::here").unwrap_or(path), reason);
            return;
        }
    };
}

/// Why namespaces can't be made here; `None` if they can.
#[doc(hidden)]
#[must_use]
pub fn missing_privilege() -> Option<&'static str> {
    static REASON: OnceLock<Option<&'static str>> = OnceLock::new();
    *REASON.get_or_init(|| {
        // In a thread of its own, whose namespaces go with it.
        let tried = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)
        });
        match tried.join() {
            Ok(Ok(())) => None,
            _ if !nix::unistd::geteuid().is_root() => Some("needs root"),
            _ => Some("needs CAP_SYS_ADMIN and network namespaces"),
        }
    })
}

/// Tells that `test` is skipped.
#[doc(hidden)]
pub fn skipped(test: &str, reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
    if let Some(list) = std::env::var_os("SMARTVOX_SKIPPED") {
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(&list);
        let mut file = opened.expect("the file that SMARTVOX_SKIPPED names");
        // One write: tests of several processes append to it.
        file.write_all(format!("{test}\n").as_bytes()).expect("note a skipped test");
    }
}
