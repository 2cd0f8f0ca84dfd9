//! What the faults are put to: a resource on a host of its own.

use testnet::{Agent, Host};

/// In what state a resource is before an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing of it is there.
    Stopped,
    /// It runs.
    Started,
    /// It runs and is promoted.
    Promoted,
}

/// An action in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// The state before it.
    pub before: State,
    /// The action's name, as Pacemaker calls it.
    pub action: &'static str,
    /// `OCF_CHECK_LEVEL`.
    pub level: &'static str,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { before, action, level } = self;
        let before = match before {
            State::Stopped => "stopped",
            State::Started => "started",
            State::Promoted => "promoted",
        };
        match *level {
            "0" => write!(f, "{action}, {before}"),
            level => write!(f, "{action} level {level}, {before}"),
        }
    }
}

/// A resource with its agent.
pub trait Subject {
    /// The agent's name.
    fn name(&self) -> &'static str;
    /// Where it is.
    fn host(&self) -> &Host;
    /// Its agent as Pacemaker calls it.
    fn agent(&self) -> Agent;
    /// What this action gets besides; nothing, mostly.
    fn in_particular(&self, _case: Case, agent: Agent) -> Agent {
        agent
    }
    /// Whether anything that serves, or could, is there.
    fn is_alive(&self) -> bool;
    /// What should not be there when it is stopped; none where all is well.
    fn left(&self) -> Vec<String>;
    /// Every action in every state that is worth it.
    fn cases(&self) -> Vec<Case>;
}

/// The actions of one level in one state.
pub(super) fn cases(before: State, actions: &[(&'static str, &'static str)]) -> Vec<Case> {
    actions.iter().map(|(action, level)| Case { before, action, level }).collect()
}
