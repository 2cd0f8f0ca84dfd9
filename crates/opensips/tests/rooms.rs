//! Imports point down: a room knows only the rooms listed here. Each foreign crate has one owner.

// Functions next to the tests are test code, too.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// Each room below the actions, with the rooms that it may use. The first five are leaf rooms: they know
/// neither parameters nor the instance. Only the actions know the error of the crate.
const ROOMS: [(&str, &[&str]); 12] = [
    ("cluster", &[]),
    ("process", &[]),
    ("sockets", &["process"]),
    ("sip", &["sockets"]),
    ("mi", &[]),
    ("description", &[]),
    ("params", &["description", "mi", "process", "sip", "sockets"]),
    ("instance", &["params", "process", "sockets"]),
    ("daemon", &["instance", "mi", "params", "process", "sockets"]),
    ("health", &["daemon", "instance", "mi", "params", "process", "sip", "sockets"]),
    ("promotion", &["cluster", "daemon", "health", "instance", "mi", "params"]),
    ("async_monitor", &["instance", "params"]),
];

/// Each foreign crate, with the beginning of the paths that may use it.
const OWNERS: [(&str, &str); 4] =
    [("serde_json", "mi/"), ("ureq", "mi/"), ("rustls", "sip/tls"), ("socket2", "sip/")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The path below `src`, and the text, of every source file below a directory.
fn sources(directory: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            let below = path.strip_prefix(root()).unwrap().display().to_string();
            found.push((below, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

#[test]
fn imports_point_down() {
    for (own, allowed) in ROOMS {
        for (path, text) in sources(&root().join(own)) {
            for used in text.split("crate::").skip(1) {
                // A group, `crate::{…}`, begins with no name: it is refused.
                let end = used.find(|c: char| !c.is_alphanumeric() && c != '_');
                let room = used.get(..end.unwrap_or(used.len())).unwrap();
                let known = room == own || allowed.contains(&room);
                assert!(known, "{path} uses crate::{room}, and {own}/ is below it");
            }
        }
    }
}

#[test]
fn foreign_crates_stay_in_their_rooms() {
    for (path, text) in sources(&root()) {
        for (foreign, owner) in OWNERS {
            let uses = text.contains(&format!("{foreign}::"));
            assert!(!uses || path.starts_with(owner), "{path} uses {foreign} of {owner}");
        }
    }
}
