//! The commands that the agent uses, with both of their names.

/// A command of the MI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name from 3.0 on; an alias in 4.0.
    pub name: &'static str,
    /// Its name in 4.0: `module:command`.
    pub module_name: &'static str,
}

/// `{"Now":…, "Up since":…, "Up time":"21 [sec]"}`
pub const UPTIME: Command = Command { name: "uptime", module_name: "core:uptime" };

/// `{"Processes":[{"ID":0,"PID":4711,"Type":"attendant"}, …]}`
pub const PROCESSES: Command = Command { name: "ps", module_name: "core:ps" };

/// One parameter, a list of statistics (`shmem:` is a whole group):
/// `{"shmem:total_size":33554432, …}`
pub const GET_STATISTICS: Command =
    Command { name: "get_statistics", module_name: "statistics:get" };

/// `[{"Tag":"vip","Cluster":1,"State":"active"}, …]` (`shtag_mi_list()`, modules/clusterer)
pub const LIST_SHARING_TAGS: Command =
    Command { name: "clusterer_list_shtags", module_name: "clusterer:list_shtags" };

/// One parameter, `tag/cluster`; answers `"OK"`. There is no command for the way back.
pub const ACTIVATE_SHARING_TAG: Command =
    Command { name: "clusterer_shtag_set_active", module_name: "clusterer:shtag_set_active" };

/// `{"Clusters":[{"cluster_id":1,"Capabilities":[{"name":"dialog-dlg-repl","state":"Ok", …}]}]}`
/// (`cl_mi_list_cap()`, modules/clusterer)
pub const LIST_CAPABILITIES: Command =
    Command { name: "clusterer_list_cap", module_name: "clusterer:list_cap" };
