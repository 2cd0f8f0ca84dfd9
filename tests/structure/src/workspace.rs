//! The packages of the workspace, as cargo describes them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A package in `crates/`.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
    /// The names of its dependencies, those of its tests included.
    pub dependencies: Vec<String>,
    /// Its dependencies without those of tests, by their names in the sources.
    pub shipped: Vec<String>,
}

/// Returns the packages in `crates/`, sorted by name.
///
/// # Panics
/// If `cargo metadata` fails.
#[must_use]
pub fn packages() -> Vec<Package> {
    let described = described(Path::new("."));
    let root = described.get("workspace_root").and_then(Value::as_str).expect("a workspace");
    let crates = Path::new(root).join("crates");
    let all = described.get("packages").and_then(Value::as_array).expect("packages");
    let mut found: Vec<Package> = all.iter().filter_map(|package| read(package, &crates)).collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!found.is_empty(), "no packages in {}", crates.display());
    found
}

/// Returns the foreign libraries that the packages of a workspace name, `at` a directory of the repository.
///
/// # Panics
/// If `cargo metadata` fails.
#[must_use]
pub fn libraries(at: &Path) -> BTreeSet<String> {
    let described = described(at);
    let packages = described.get("packages").and_then(Value::as_array).expect("packages");
    let named = packages.iter().filter_map(|package| package.get("dependencies")?.as_array());
    // Own packages have no source.
    let foreign = named.flatten().filter(|one| one.get("source").is_some_and(Value::is_string));
    foreign.filter_map(|one| Some(one.get("name")?.as_str()?.to_owned())).collect()
}

fn described(at: &Path) -> Value {
    let workspace = repository().join(at);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version=1"]);
    let output = cargo.current_dir(&workspace).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo's JSON")
}

/// Returns the directory of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(package: &Value, crates: &Path) -> Option<Package> {
    let text = |value: &Value, key: &str| Some(value.get(key)?.as_str()?.to_owned());
    let manifest = PathBuf::from(text(package, "manifest_path")?);
    let directory = manifest.parent().filter(|it| it.starts_with(crates))?.to_owned();
    let all = package.get("dependencies")?.as_array()?;
    let named = |one: &Value| text(one, "rename").or_else(|| text(one, "name"));
    // No kind: for what is shipped; else "dev" or "build".
    let shipped = all.iter().filter(|one| one.get("kind").is_some_and(Value::is_null));
    Some(Package {
        name: text(package, "name")?,
        dependencies: all.iter().filter_map(|one| text(one, "name")).collect(),
        shipped: shipped.filter_map(named).map(|name| name.replace('-', "_")).collect(),
        directory,
    })
}
