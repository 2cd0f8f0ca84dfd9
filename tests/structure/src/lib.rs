//! Measures which room of a crate imports which.
//!
//! A room is a top-level module of a crate: a file or a folder in `src/`. `lib.rs` is not a room: an
//! import from it counts as an import from the room that it re-exports. Tests are left out.

// An error in the sources or in the workspace ends the measurement.
#![allow(clippy::expect_used, clippy::panic)]

mod graph;
mod source;
mod workspace;

use std::fmt;

pub use graph::Graph;
pub use source::{Crate, Foreign, Import, LongFunction};
pub use workspace::{Package, libraries, packages, repository};

/// Functions with more lines are counted.
pub const LONG: usize = 60;

/// Reads the crates in `crates/`, in the order of their names.
#[must_use]
pub fn crates() -> Vec<Crate> {
    packages().iter().map(Crate::read).collect()
}

/// The figures of all crates, for people.
#[derive(Debug)]
pub struct Table<'a>(pub &'a [Crate]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<14} {:>5}  {:>7} {:>5}  {:>7}  {:>7}  {:>3}  {:>8}",
            "crate", "rooms", "imports", "pairs", "back up", "largest", "pub", "over 60"
        )?;
        writeln!(
            f,
            "{:<14} {:>5}  {:>7} {:>5}  {:>7}  {:>7}  {:>3}  {:>8}",
            "", "", "paths", "", "pairs", "knot", "", "lines"
        )?;
        for one in self.0 {
            let graph = one.graph();
            writeln!(
                f,
                "{:<14} {:>5}  {:>7} {:>5}  {:>7}  {:>7}  {:>3}  {:>8}",
                one.name,
                one.rooms.len(),
                one.imports.len(),
                graph.edges().count(),
                graph.fewest_back(),
                graph.largest_knot(),
                one.public_items,
                one.long_functions.len()
            )?;
        }
        Ok(())
    }
}
