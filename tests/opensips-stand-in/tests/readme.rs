//! The table of README.md names tests that exist.

// A test has one way to report what went wrong: it fails.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

/// The texts between backquotes.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_it_names_is_there() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(package.join("README.md")).unwrap();
    let places = [package.join("tests"), package.join("../suites/tests/opensips")];
    let mut named = 0;
    for row in readme.lines().filter(|line| line.starts_with("| ") && line.contains("::")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        // The daemon's tests, then the agent's.
        for (cell, place) in cells.iter().skip(1).zip(&places) {
            let mut file = None;
            for name in quoted(cell) {
                let test = match name.split_once("::") {
                    Some((module, test)) => {
                        file = Some(module);
                        test
                    }
                    // `contract_mi`: `test`, `test`
                    None if place.join(format!("{name}.rs")).is_file() => {
                        file = Some(name);
                        continue;
                    }
                    None if name == "hot_standby" || name == "mi" => continue,
                    None => name,
                };
                let path = place.join(format!("{}.rs", file.unwrap()));
                let text = fs::read_to_string(&path)
                    .unwrap_or_else(|error| panic!("{name}: {}: {error}", path.display()));
                assert!(text.contains(&format!("fn {test}()")), "{name} is not there: {row}");
                named += 1;
            }
        }
    }
    assert!(named > 20, "{named} tests are named");
}
