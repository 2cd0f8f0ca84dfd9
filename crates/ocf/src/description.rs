//! The description of an agent: the one table behind parsing, `--help`, meta-data and manual page.

use std::ffi::OsStr;
use std::time::Duration;

use crate::Action;

/// The names, texts, parameters and actions of an agent.
#[derive(Debug)]
pub struct Description {
    /// The name of the agent and of its file: the last part of `ocf:PROVIDER:NAME`.
    pub name: &'static str,
    /// The version of the agent, not of the OCF API.
    pub version: &'static str,
    /// One line without a full stop.
    pub shortdesc: &'static str,
    /// Paragraphs, with an empty line between two of them.
    pub longdesc: &'static str,
    /// The parameters, in the order in which help and manual show them.
    pub parameters: &'static [&'static Parameter],
    /// The actions that the agent offers; any other is `OCF_ERR_UNIMPLEMENTED`.
    pub actions: &'static [ActionDescription],
}

impl Description {
    /// The parameter called `name`.
    pub(crate) fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().copied().find(|parameter| parameter.name == name)
    }

    /// The names of the actions, each once: an action with several entries (monitor, one per check
    /// level) has them next to each other.
    pub fn action_names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.actions.iter().map(|offered| offered.action.name()).collect();
        names.dedup();
        names
    }

    /// The offered action of that name.
    pub(crate) fn offered(&self, name: &OsStr) -> Option<Action> {
        let action = name.to_str().and_then(Action::from_name);
        action.filter(|action| self.offers(*action))
    }

    /// Returns true if the agent offers the action.
    pub(crate) fn offers(&self, action: Action) -> bool {
        self.actions.iter().any(|offered| offered.action == action)
    }

    /// The timeout of an action for which Pacemaker gave none: the advertised one. Of an action
    /// with several entries (monitor, one per check level) the longest counts.
    pub(crate) fn timeout(&self, action: Action) -> Duration {
        self.actions
            .iter()
            .filter(|offered| offered.action == action)
            .map(|offered| Duration::from_secs(offered.timeout_s))
            .max()
            // Pacemaker's own default (PCMK_DEFAULT_ACTION_TIMEOUT_MS).
            .unwrap_or(Duration::from_secs(20))
    }
}

/// A parameter of an agent.
#[derive(Debug)]
pub struct Parameter {
    /// The name, as in `OCF_RESKEY_<name>` and `--<name>`.
    pub name: &'static str,
    /// The content type.
    pub kind: Kind,
    /// The value that counts where the parameter is not set. `None`: no value.
    pub default: Option<&'static str>,
    /// The parameter must be set.
    pub required: bool,
    /// The name of a group of parameters whose values together must be unique among the resources of
    /// this agent.
    pub unique_group: Option<&'static str>,
    /// A change is applied by reload-agent, without a restart.
    pub reloadable: bool,
    /// The parameter exists for old configurations only.
    pub deprecated: Option<Deprecated>,
    /// One line without a full stop.
    pub shortdesc: &'static str,
    /// Meaning, form, unit and default. The first sentence stands alone: pcs prints no other.
    pub longdesc: &'static str,
}

impl Parameter {
    /// An optional string without a default, to be completed with struct update syntax.
    pub const TEMPLATE: Self = Self {
        name: "",
        kind: Kind::String,
        default: None,
        required: false,
        unique_group: None,
        reloadable: false,
        deprecated: None,
        shortdesc: "",
        longdesc: "",
    };
}

/// The content type of a parameter: one of the four of OCF 1.1 meta-data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `yes` or `no`, or another of the spellings of [`Reader::boolean`](crate::Reader::boolean).
    Boolean,
    /// Any text.
    String,
    /// A whole number.
    Integer,
    /// One of these words.
    Select(&'static [&'static str]),
}

/// Why a parameter should not be used.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated {
    /// The parameter to use instead.
    pub replaced_with: Option<&'static str>,
    /// One sentence.
    pub desc: &'static str,
}

/// An action as advertised in the meta-data.
#[derive(Debug)]
pub struct ActionDescription {
    /// The action.
    pub action: Action,
    /// The suggested timeout in seconds. It counts where neither Pacemaker nor an option gives one.
    pub timeout_s: u64,
    /// The suggested interval in seconds; of monitor only.
    pub interval_s: Option<u64>,
    /// The check level (`OCF_CHECK_LEVEL`); of monitor only.
    pub depth: Option<u32>,
    /// The role (`Promoted`, `Unpromoted`) in which a monitor runs, or `Stopped` for the nodes on which
    /// the resource does not run.
    pub role: Option<&'static str>,
}

impl ActionDescription {
    /// An action without interval, check level or role.
    pub const fn new(action: Action, timeout_s: u64) -> Self {
        Self { action, timeout_s, interval_s: None, depth: None, role: None }
    }
}
