//! The actions of an agent.

use std::fmt;

/// An action: those of the OCF RA API 1.1 that the agents of this project can offer, and diagnose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Starts the resource. 0 only when it serves.
    Start,
    /// Stops the resource. 0 only with proof that it is absent.
    Stop,
    /// Checks the resource.
    Monitor,
    /// Promotable clones: takes the active role.
    Promote,
    /// Promotable clones: gives up the active role.
    Demote,
    /// Clones: is called before and after an action on another instance.
    Notify,
    /// Applies changed parameters of the agent without a restart of the service.
    ReloadAgent,
    /// Checks the parameters and, from `OCF_CHECK_LEVEL` 10, also the host.
    ValidateAll,
    /// Prints the OCF 1.1 meta-data.
    MetaData,
    /// Prints everything that is known of the resource on this host. For people: it is not in the
    /// meta-data, and Pacemaker never calls it.
    Diagnose,
}

impl Action {
    const ALL: [Self; 10] = [
        Self::Start,
        Self::Stop,
        Self::Monitor,
        Self::Promote,
        Self::Demote,
        Self::Notify,
        Self::ReloadAgent,
        Self::ValidateAll,
        Self::MetaData,
        Self::Diagnose,
    ];

    /// Returns true for an action that the meta-data does not advertise.
    pub(crate) const fn is_for_people(self) -> bool {
        matches!(self, Self::Diagnose)
    }

    /// The word on the command line, such as `validate-all`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Monitor => "monitor",
            Self::Promote => "promote",
            Self::Demote => "demote",
            Self::Notify => "notify",
            Self::ReloadAgent => "reload-agent",
            Self::ValidateAll => "validate-all",
            Self::MetaData => "meta-data",
            Self::Diagnose => "diagnose",
        }
    }

    /// The inverse of [`Action::name`]; `None` for any other word.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_action() {
        for action in Action::ALL {
            assert_eq!(Action::from_name(action.name()), Some(action));
        }
        assert_eq!(Action::from_name("status"), None);
        assert_eq!(Action::from_name(""), None);
    }
}
