//! The leaf rooms know no other room but those listed here, and each foreign crate has one owner.

// Functions next to the tests are test code, too.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// Each leaf room, with the rooms that it may use.
const LEAVES: [(&str, &[&str]); 4] =
    [("process", &[]), ("sockets", &[]), ("sip", &["sockets"]), ("mi", &[])];

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
fn leaf_rooms_know_no_upper_room() {
    for (leaf, allowed) in LEAVES {
        for (path, text) in sources(&root().join(leaf)) {
            for used in text.split("crate::").skip(1) {
                // A group, `crate::{…}`, begins with no name: it is refused.
                let end = used.find(|c: char| !c.is_alphanumeric() && c != '_');
                let room = used.get(..end.unwrap_or(used.len())).unwrap();
                let known = room == leaf || allowed.contains(&room);
                assert!(known, "{path} uses crate::{room}, and {leaf}/ is a leaf room");
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
