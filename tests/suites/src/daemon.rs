//! Which OpenSIPS a suite runs against: the real one wherever one is found, else the stand-in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An OpenSIPS that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Its executable.
    pub binary: PathBuf,
    /// The directory of its modules; the stand-in has none.
    pub modules: Option<PathBuf>,
    /// What it says to `-V`, first line.
    pub version: String,
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.version, self.binary.display())
    }
}

impl Daemon {
    /// What it calls itself, such as `opensips 4.0.1 (x86_64/linux)`.
    pub fn name(&self) -> &str {
        self.version.strip_prefix("version: ").unwrap_or(&self.version)
    }

    /// Every real daemon: those in `OPENSIPS_BIN` (separated by colons), else `opensips` on PATH.
    pub fn real() -> Vec<Self> {
        let named = std::env::var_os("OPENSIPS_BIN");
        let paths: Vec<PathBuf> = match &named {
            Some(list) => std::env::split_paths(list).collect(),
            None => std::env::var_os("PATH")
                .into_iter()
                .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
                .map(|directory| directory.join("opensips"))
                .filter(|path| path.is_file())
                .take(1)
                .collect(),
        };
        paths.iter().filter_map(|path| Self::at(path)).collect()
    }

    /// The stand-in, built beside the running program.
    pub fn stand_in(built: &Path) -> Option<Self> {
        Self::at(&built.join("opensips-stand-in")).map(|daemon| Self { modules: None, ..daemon })
    }

    /// Returns the stand-in for a suite.
    ///
    /// # Panics
    /// If it is not there, or older than its sources.
    pub fn stand_in_for_suite() -> Self {
        let built = testnet::binary("opensips-stand-in");
        let daemon = built.parent().and_then(Self::stand_in);
        #[allow(clippy::expect_used)] // a suite fails by panicking
        daemon.expect("the stand-in tells its version")
    }

    fn at(binary: &Path) -> Option<Self> {
        let output = Command::new(binary).arg("-V").output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
        if !version.contains("opensips") {
            return None;
        }
        let prefix = binary.parent()?.parent()?;
        let modules = ["lib64/opensips/modules", "lib/opensips/modules"]
            .iter()
            .map(|directory| prefix.join(directory))
            .chain([PathBuf::from("/usr/lib/x86_64-linux-gnu/opensips/modules")])
            .find(|directory| directory.is_dir());
        Some(Self { binary: binary.to_owned(), modules, version })
    }
}
