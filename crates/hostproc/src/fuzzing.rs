//! The decoders of this crate as targets of a fuzzer (tests/fuzz). A target panics if a decoder does, or if it
//! breaks a promise.

use crate::lock;
use crate::process::Pid;
use crate::procfs::{stat, surroundings};

/// A target with its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: &[Target] =
    &[("proc_stat", proc_stat), ("proc_tables", proc_tables), ("lock_record", lock_record)];

/// `/proc/PID/stat`
fn proc_stat(content: &[u8]) {
    let Some(fields) = stat::fields_of(content) else { return };
    // A name can end with anything, and the fields have no parenthesis.
    assert!(!fields.contains(')'));
    let Some(stat) = stat::parse(Pid::own(), fields) else { return };
    assert!(stat.process.pid == Pid::own() && stat.parent.is_none_or(|parent| parent.get() > 0));
}

/// `/proc/PID/status`, `/proc/PID/cgroup`, `/proc/net/udp` and `/proc/locks`
fn proc_tables(content: &[u8]) {
    let text = String::from_utf8_lossy(content);
    let _ = surroundings::effective_user(&text);
    let _ = surroundings::effective_capabilities(&text);
    let _ = surroundings::receive_queue(&text, 78_901);
    for group in surroundings::control_groups(&text) {
        assert!(!group.controllers.contains([':', '\n']) && !group.path.contains('\n'));
    }
    for line in text.lines() {
        let _ = lock::flock_of(line, 0x1a, 1234);
    }
}

/// What the holder of a lock writes into its file.
fn lock_record(record: &[u8]) {
    let Some(process) = lock::parse(record) else { return };
    let written = format!("{} {}\n", process.pid, process.start_time);
    assert_eq!(lock::parse(written.as_bytes()), Some(process));
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_that_was_found_stays_found() {
        testnet::replay(super::TARGETS);
    }
}
