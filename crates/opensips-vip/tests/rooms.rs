//! Imports point down: a room uses those below it, and only `actions` the crate's error.

// Functions beside the tests are test code, too.
#![allow(clippy::expect_used)]

use std::path::Path;

/// The rooms and files at the root, from the top down.
const ROOMS: [&str; 11] = [
    "lib",
    "agent",
    "actions",
    "error",
    "wire",
    "host",
    "log_line",
    "decide",
    "params",
    "description",
    "testing",
];

fn rank(room: &str) -> usize {
    ROOMS.iter().position(|known| *known == room).expect(room)
}

/// The paths and texts of a room.
fn sources(path: &Path, found: &mut Vec<(String, String)>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a room") {
            sources(&entry.expect("an entry").path(), found);
        }
    } else {
        let text = std::fs::read_to_string(path).expect("a file");
        found.push((path.display().to_string(), text));
    }
}

/// The rooms that a text uses.
fn used(text: &str) -> impl Iterator<Item = &str> {
    text.split("crate::").skip(1).filter_map(|rest| {
        rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next()
            .filter(|it| !it.is_empty())
    })
}

#[test]
fn imports_point_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(&root).expect("src") {
        let path = entry.expect("an entry").path();
        let room = path.file_stem().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        // Tests and the fuzzer may use anything; main is one call of the library.
        if ["main", "testing", "fuzzing"].contains(&room.as_str()) {
            continue;
        }
        let mut files = Vec::new();
        sources(&path, &mut files);
        for (file, text) in files {
            for other in used(&text) {
                assert!(rank(other) >= rank(&room), "{file} uses crate::{other}");
            }
        }
    }
}
