//! Where the agent keeps what it has to remember.

use std::path::{Path, PathBuf};

use ocf::InstanceName;

/// The files of the agent for one instance; a seam for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    directory: PathBuf,
    name: String,
}

impl Paths {
    /// Where they are on a host: gone after a boot, as the daemon is.
    pub(crate) fn of(instance: &InstanceName) -> Self {
        Self::within(Path::new("/run/smartvox"), instance)
    }

    /// The same below another directory.
    pub(crate) fn within(directory: &Path, instance: &InstanceName) -> Self {
        Self {
            directory: directory.to_owned(),
            name: format!("opensips-{}", instance.as_file_name()),
        }
    }

    /// The directory of them all; root's alone.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What start remembers about the instance.
    pub(crate) fn state(&self) -> PathBuf {
        self.file("state")
    }

    /// The role that promote and demote gave it.
    pub(crate) fn role(&self) -> PathBuf {
        self.file("role")
    }

    /// What the daemon says on stdout and stderr.
    pub(crate) fn output(&self) -> PathBuf {
        self.file("out")
    }

    /// One start or stop at a time.
    pub(crate) fn lock(&self) -> PathBuf {
        self.file("lock")
    }

    fn file(&self, suffix: &str) -> PathBuf {
        self.directory.join(format!("{}.{suffix}", self.name))
    }
}
