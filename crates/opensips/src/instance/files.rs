//! The files in which the agent remembers one instance.

use std::path::PathBuf;

use hostproc::{ActionLockFiles, RunDirectory};
use ocf::InstanceName;

/// The agent's files for one instance. A boot removes them, as it ends the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    run: RunDirectory,
    name: String,
}

impl Files {
    pub(crate) fn of(instance: &InstanceName) -> Self {
        let name = format!("opensips-{}", instance.as_file_name());
        Self { run: RunDirectory::default(), name }
    }

    pub(crate) fn run(&self) -> &RunDirectory {
        &self.run
    }

    /// The name of what start and monitor remember about the instance ([`super::state::State`]).
    pub(crate) fn state(&self) -> String {
        self.name_of("state")
    }

    /// The name of what promote and demote remember ([`super::role::Record`]).
    pub(crate) fn role(&self) -> String {
        self.name_of("role")
    }

    /// The name of the daemon's stderr.
    pub(crate) fn output(&self) -> String {
        self.name_of("out")
    }

    pub(crate) fn output_path(&self) -> PathBuf {
        self.run.file(&self.output())
    }

    /// The lock that keeps the actions on this instance apart.
    pub(crate) fn action_lock(&self) -> ActionLockFiles {
        ActionLockFiles::new(&self.run, &self.name_of("lock"), &self.stop_mark())
    }

    /// The name of the mark by which a stop asks another action to end.
    pub(crate) fn stop_mark(&self) -> String {
        self.name_of("stop")
    }

    fn name_of(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.name)
    }
}
