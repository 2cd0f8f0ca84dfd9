//! The inputs of the fuzzer, as ordinary tests: everything that it has ever found stays found.

use std::fs;
use std::path::{Path, PathBuf};

/// A target of the fuzzer with its name.
pub type Target = (&'static str, fn(&[u8]));

/// Gives each input in `tests/fuzz/corpus/NAME` to the target NAME.
///
/// # Panics
/// If a target does, or has no inputs.
pub fn replay(targets: &[Target]) {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in targets {
        let corpus = corpora.join(name);
        let entries = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{corpus:?}: {error}"));
        let mut inputs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{corpus:?} has no inputs");
        for input in inputs {
            // Shown if the target fails.
            println!("{}", input.display());
            target(&fs::read(&input).unwrap());
        }
    }
}
