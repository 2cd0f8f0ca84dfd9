//! The commands that the agent uses, each with both of its names.

/// A command of the MI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// Its name from 3.0 on; an alias in 4.0.
    pub(super) name: &'static str,
    /// Its name in 4.0: `module:command`.
    pub(super) module_name: &'static str,
}

impl Command {
    /// The module that provides it.
    pub(super) fn module(self) -> &'static str {
        self.module_name.split_once(':').map_or(self.module_name, |(module, _)| module)
    }
}

pub(super) const UPTIME: Command = Command { name: "uptime", module_name: "core:uptime" };

/// Answers `"OK"` when every process has the routes of the configuration; from 3.0 on.
pub(super) const RELOAD_ROUTES: Command =
    Command { name: "reload_routes", module_name: "core:reload_routes" };

pub(super) const PROCESSES: Command = Command { name: "ps", module_name: "core:ps" };

/// One parameter, a list of statistics; a name that ends with `:` stands for a group.
pub(super) const GET_STATISTICS: Command =
    Command { name: "get_statistics", module_name: "statistics:get" };

pub(super) const LIST_SHARING_TAGS: Command =
    Command { name: "clusterer_list_shtags", module_name: "clusterer:list_shtags" };

/// One parameter, `tag/cluster`; answers `"OK"`. There is no command for the opposite.
pub(super) const ACTIVATE_SHARING_TAG: Command =
    Command { name: "clusterer_shtag_set_active", module_name: "clusterer:shtag_set_active" };

pub(super) const LIST_CAPABILITIES: Command =
    Command { name: "clusterer_list_cap", module_name: "clusterer:list_cap" };

pub(super) const LIST_NODES: Command =
    Command { name: "clusterer_list", module_name: "clusterer:list" };

/// The readiness of modules, of the core from 3.3 on.
pub(super) const LIST_STATUS: Command =
    Command { name: "sr_list_status", module_name: "status_report:status" };
