//! Whether a program of this workspace was built from the sources as they are now.
//!
//! A suite executes programs that cargo does not build for it. Without this check it passes with
//! yesterday's agent. cargo lists the sources of `target/debug/NAME` in `target/debug/NAME.d` and
//! builds a program again if one of them is newer. The manifests are not in that list, and cargo leaves
//! a program alone if a change in a manifest does not concern it. So `tests/build` records in
//! `target/debug/.built` when cargo last looked at everything.
//!
//! This check does not notice a source that is edited while cargo compiles it; the next build does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The command that builds every program that the suites execute.
pub(crate) const COMMAND: &str = "tests/build";
/// A file next to the programs. Its time is the beginning of the last complete build.
const COMPLETE_BUILD: &str = ".built";

/// A file that a program is built from, and the time of its last change; `None` if it is gone.
type Source = (PathBuf, Option<SystemTime>);

/// Checks that `program`, in the place where cargo puts it, is not older than any of its sources in
/// `workspace`.
///
/// # Errors
/// One sentence that names the program, the source and the command that builds the program.
pub(crate) fn check(program: &Path, workspace: &Path) -> Result<(), String> {
    let shown = program.display();
    let mut list = program.to_owned().into_os_string();
    list.push(".d");
    let list = PathBuf::from(list);
    let text = fs::read_to_string(&list).map_err(|error| {
        format!("{shown} has no list of its sources ({}: {error}): run {COMMAND}", list.display())
    })?;
    let mut sources: BTreeSet<PathBuf> =
        dependencies(&text).into_iter().map(|path| workspace.join(path)).collect();
    if let Some(foreign) = sources.iter().find(|source| !source.starts_with(workspace)) {
        return Err(format!(
            "{shown} was built from another tree ({}): run {COMMAND}",
            foreign.display()
        ));
    }
    let manifests = sources.iter().filter_map(|source| manifest(source)).collect::<Vec<_>>();
    sources.extend(manifests);
    sources.extend(["Cargo.toml", "Cargo.lock"].map(|name| workspace.join(name)));
    let sources: Vec<Source> =
        sources.into_iter().map(|path| (path.clone(), changed(&path))).collect();
    let complete = changed(&program.with_file_name(COMPLETE_BUILD));
    let Some(built) = changed(program).max(complete) else {
        return Err(format!("{shown} is not there: run {COMMAND}"));
    };
    stale(built, &sources).map_or(Ok(()), |why| {
        let why = why.replace(&format!("{}/", workspace.display()), "");
        Err(format!("{shown} {why}: run {COMMAND}"))
    })
}

/// Returns why a program that was built at this time is stale, as the end of a sentence.
fn stale(built: SystemTime, sources: &[Source]) -> Option<String> {
    if let Some((path, _)) = sources.iter().find(|(_, changed)| changed.is_none()) {
        return Some(format!("was built from {}, which is gone", path.display()));
    }
    let (path, changed) = sources.iter().max_by_key(|(_, changed)| *changed)?;
    (*changed > Some(built)).then(|| format!("is older than {}", path.display()))
}

/// Reads the prerequisites in a file for make(1): `TARGET: PATH PATH…`, with spaces in a path escaped.
fn dependencies(text: &str) -> Vec<PathBuf> {
    let rule = text.lines().next().unwrap_or_default();
    let paths = rule.split_once(": ").map(|(_, paths)| paths).unwrap_or_default();
    paths
        .replace("\\ ", "\0")
        .split_whitespace()
        .map(|path| PathBuf::from(path.replace('\0', " ")))
        .collect()
}

/// Returns the manifest of the package that a source belongs to.
fn manifest(source: &Path) -> Option<PathBuf> {
    source.ancestors().skip(1).map(|directory| directory.join("Cargo.toml")).find(|it| it.is_file())
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_newest_source_decides() {
        let source = |path: &str, seconds: u64| (PathBuf::from(path), Some(at(seconds)));
        let sources = [source("a.rs", 10), source("b.rs", 30), source("c.rs", 20)];
        assert_eq!(stale(at(30), &sources), None);
        assert_eq!(stale(at(29), &sources), Some("is older than b.rs".into()));
        assert_eq!(stale(at(0), &[]), None);
        let gone = (PathBuf::from("d.rs"), None);
        let sources = [source("a.rs", 10), gone];
        assert_eq!(stale(at(30), &sources), Some("was built from d.rs, which is gone".into()));
    }

    #[test]
    fn dependencies_are_read_as_make_reads_them() {
        let text = "/t/debug/a: /w/src/main.rs /w/with\\ space/b.rs\n";
        let expected = ["/w/src/main.rs", "/w/with space/b.rs"].map(PathBuf::from);
        assert_eq!(dependencies(text), expected);
        assert!(dependencies("").is_empty());
    }

    /// A workspace of one package, built by cargo itself.
    struct Workspace(PathBuf);

    impl Workspace {
        fn new(name: &str) -> Self {
            let directory = std::env::temp_dir().canonicalize().unwrap();
            let top = directory.join(format!("testnet-{name}-{}", std::process::id()));
            let workspace = Self(top.clone());
            fs::create_dir_all(top.join("src")).unwrap();
            let manifest = "[package]\nname = \"a\"\nedition = \"2024\"\n[workspace]\n";
            fs::write(top.join("Cargo.toml"), manifest).unwrap();
            fs::write(top.join("src/main.rs"), "mod b;\nfn main() { b::b() }\n").unwrap();
            fs::write(top.join("src/b.rs"), "pub fn b() {}\n").unwrap();
            workspace.build();
            workspace
        }

        fn build(&self) {
            let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
            cargo.args(["build", "--quiet", "--offline"]).current_dir(&self.0);
            let output = cargo.env("CARGO_TARGET_DIR", self.0.join("target")).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }

        /// Appends to a file, at a time that the file system tells from that of the build.
        fn edit(&self, name: &str, text: &str) {
            std::thread::sleep(Duration::from_millis(20));
            let path = self.0.join(name);
            fs::write(&path, fs::read_to_string(&path).unwrap() + text).unwrap();
        }

        fn check(&self) -> Result<(), String> {
            check(&self.0.join("target/debug/a"), &self.0)
        }

        /// Returns what follows the program's name in the refusal.
        #[track_caller]
        fn refused(&self) -> String {
            let sentence = self.check().unwrap_err();
            let program = format!("{}/target/debug/a ", self.0.display());
            sentence.strip_prefix(&program).unwrap_or_else(|| panic!("{sentence}")).to_owned()
        }
    }

    impl Drop for Workspace {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_program_that_cargo_has_built_is_accepted_until_a_source_changes() {
        let workspace = Workspace::new("source");
        assert_eq!(workspace.check(), Ok(()));
        workspace.edit("src/b.rs", "// changed\n");
        assert_eq!(workspace.refused(), "is older than src/b.rs: run tests/build");
        workspace.build();
        assert_eq!(workspace.check(), Ok(()));
        // cargo finds nothing to do, and the program is not refused.
        workspace.build();
        assert_eq!(workspace.check(), Ok(()));
        fs::rename(workspace.0.join("src/b.rs"), workspace.0.join("src/c.rs")).unwrap();
        assert_eq!(workspace.refused(), "was built from src/b.rs, which is gone: run tests/build");
    }

    #[test]
    fn a_manifest_that_changes_nothing_is_accepted_after_a_complete_build() {
        let workspace = Workspace::new("manifest");
        workspace.edit("Cargo.toml", "# A comment.\n");
        // cargo does not touch the program.
        workspace.build();
        assert_eq!(workspace.refused(), "is older than Cargo.toml: run tests/build");
        fs::write(workspace.0.join("target/debug/.built"), "").unwrap();
        assert_eq!(workspace.check(), Ok(()));
        workspace.edit("src/b.rs", "// changed\n");
        assert_eq!(workspace.refused(), "is older than src/b.rs: run tests/build");
    }

    #[test]
    fn a_program_of_unknown_or_other_sources_is_refused() {
        let workspace = Workspace::new("foreign");
        let program = workspace.0.join("target/debug/a");
        let elsewhere = check(&program, Path::new("/nonexistent")).unwrap_err();
        assert!(elsewhere.contains("was built from another tree (/"), "{elsewhere}");
        fs::remove_file(workspace.0.join("target/debug/a.d")).unwrap();
        assert!(workspace.refused().starts_with("has no list of its sources (/"));
    }
}
