//! The files in which the agent remembers one instance.

use std::path::{Path, PathBuf};

use hostproc::{ActionLockFiles, RunDirectory};
use ocf::InstanceName;

/// Before the name of the resource in the names of all files but the locks of configurations. The other
/// agent has a prefix of its own.
const PREFIX: &str = "opensips-";

/// The agent's files for one instance. A boot removes them, as it ends the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    run: RunDirectory,
    name: String,
}

impl Files {
    pub(crate) fn of(instance: &InstanceName) -> Self {
        // All instances of a clone have the same files: which number Pacemaker gives changes over time.
        let name = format!("{PREFIX}{}", instance.without_clone_number().as_file_name());
        Self { run: RunDirectory::default(), name }
    }

    /// The states that an older version of this agent has kept for the instances of a clone, by number.
    pub(crate) fn states_by_number(&self) -> Vec<String> {
        self.states()
            .into_iter()
            .filter(|(stem, _)| self.is_by_number(stem))
            .map(|(_, file)| file)
            .collect()
    }

    /// The states of other resources: the name of the resource, and that of the file.
    pub(crate) fn states_of_others(&self) -> Vec<(String, String)> {
        let others = self
            .states()
            .into_iter()
            .filter(|(stem, _)| *stem != self.name && !self.is_by_number(stem));
        others
            .map(|(stem, file)| (stem.strip_prefix(PREFIX).unwrap_or(&stem).to_owned(), file))
            .collect()
    }

    /// Every state in the directory: without its suffix, and the name of the file.
    fn states(&self) -> Vec<(String, String)> {
        let state = |name: String| {
            let stem = name.strip_suffix(".state").filter(|stem| stem.starts_with(PREFIX))?;
            Some((stem.to_owned(), name.clone()))
        };
        self.run.names().into_iter().filter_map(state).collect()
    }

    /// `opensips-NAME%3A0`: a colon as [`InstanceName::as_file_name`] writes it.
    fn is_by_number(&self, stem: &str) -> bool {
        let number = stem.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix("%3A"));
        number.is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
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

    /// The name of the note that a restart for a virtual address was asked for. stop leaves it: it is about
    /// what follows the stop.
    pub(crate) fn restarted_for(&self) -> String {
        self.name_of("restarted-for")
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

    /// The lock of the asynchronous monitor, a background process.
    pub(crate) fn async_monitor_lock(&self) -> PathBuf {
        self.run.file(&self.name_of("async-monitor"))
    }

    /// The lock that keeps two resources with one configuration from starting at the same time.
    pub(crate) fn config_lock(&self, config: &Path) -> PathBuf {
        let name = InstanceName::new(config.as_os_str()).as_file_name();
        self.run.file(&format!("config-{name}.lock"))
    }

    /// The name of the mark by which a stop asks another action to end.
    pub(crate) fn stop_mark(&self) -> String {
        self.name_of("stop")
    }

    fn name_of(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.name)
    }
}
