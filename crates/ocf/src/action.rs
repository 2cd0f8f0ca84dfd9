//! The actions that Pacemaker and people ask for.

use std::fmt;

/// An action of the OCF RA API 1.1 that agents of this project can offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Bring the resource up; 0 only when it serves.
    Start,
    /// Take the resource away; 0 only when provably nothing is left.
    Stop,
    /// Judge the resource as it is.
    Monitor,
    /// Promotable: take the active role.
    Promote,
    /// Promotable: give the active role up.
    Demote,
    /// Promotable: told of changes on the peers.
    Notify,
    /// Take over changed agent parameters without touching the service.
    ReloadAgent,
    /// Judge the parameters (and, from level 10, the host).
    ValidateAll,
    /// Print the OCF 1.1 meta-data.
    MetaData,
    /// For people, not for Pacemaker, and not in the meta-data: everything that is known of the
    /// resource on this host.
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

    /// Whether the action is no business of Pacemaker's.
    pub const fn is_for_people(self) -> bool {
        matches!(self, Self::Diagnose)
    }

    /// The word on the command line.
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

    /// The action of that name; `None` for a word that is no action.
    pub fn from_name(name: &str) -> Option<Self> {
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
