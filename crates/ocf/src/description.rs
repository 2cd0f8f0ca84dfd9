//! What an agent says about itself: the single truth for parsing, `--help` and meta-data.

use std::ffi::OsStr;
use std::time::Duration;

use crate::Action;

/// An agent: its names, texts, parameters and actions.
#[derive(Debug)]
pub struct Description {
    /// Name of the agent and of its file, the last part of `ocf:PROVIDER:NAME`.
    pub name: &'static str,
    /// Version of the agent (not of the OCF API).
    pub version: &'static str,
    /// One line.
    pub shortdesc: &'static str,
    /// Some paragraphs.
    pub longdesc: &'static str,
    /// Its parameters, in the order in which people should read them.
    pub parameters: &'static [&'static Parameter],
    /// The actions that it offers; anything else is unimplemented (3).
    pub actions: &'static [ActionDescription],
}

impl Description {
    /// The parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
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
    pub fn offers(&self, action: Action) -> bool {
        self.actions.iter().any(|offered| offered.action == action)
    }

    /// The time an action may take where Pacemaker gave none: the advertised one. An action that
    /// is advertised more than once (monitor, per level) counts with the longest.
    pub fn timeout(&self, action: Action) -> Duration {
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
    /// Name, as in `OCF_RESKEY_<name>` and `--<name>`.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// Value where it is not set.
    pub default: Option<&'static str>,
    /// Whether there is no resource without it.
    pub required: bool,
    /// Parameters whose values together must differ between resources.
    pub unique_group: Option<&'static str>,
    /// Whether a change is taken over by reload-agent, without a restart.
    pub reloadable: bool,
    /// Kept for old configurations only.
    pub deprecated: Option<Deprecated>,
    /// One line.
    pub shortdesc: &'static str,
    /// Full text: meaning, form, unit.
    pub longdesc: &'static str,
}

impl Parameter {
    /// A parameter to be completed with struct update syntax: optional, a string, no default.
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

/// Content type of a parameter (OCF 1.1 meta-data knows these four).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `yes`/`no` and their usual spellings.
    Boolean,
    /// Any text.
    String,
    /// A whole number.
    Integer,
    /// One of these words.
    Select(&'static [&'static str]),
}

/// Why a parameter should not be used any more.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated {
    /// The parameter that took its place.
    pub replaced_with: Option<&'static str>,
    /// One sentence.
    pub desc: &'static str,
}

/// An action as advertised in the meta-data.
#[derive(Debug)]
pub struct ActionDescription {
    /// The action.
    pub action: Action,
    /// Suggested timeout in seconds; also the deadline when called by hand.
    pub timeout_s: u64,
    /// Suggested interval in seconds, monitor only.
    pub interval_s: Option<u64>,
    /// Check level (`OCF_CHECK_LEVEL`), monitor only.
    pub depth: Option<u32>,
    /// Role, promotable agents only.
    pub role: Option<&'static str>,
}

impl ActionDescription {
    /// An action with its timeout, without interval, level or role.
    pub const fn new(action: Action, timeout_s: u64) -> Self {
        Self { action, timeout_s, interval_s: None, depth: None, role: None }
    }
}
