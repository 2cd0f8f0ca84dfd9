//! How a cluster is set up: its resources, its fencing, whose agents.

use std::fmt;

use crate::scenario::Fencing;

/// How a cluster is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Its resources.
    pub configuration: Configuration,
    /// Its fencing.
    pub fencing: Fencing,
}

impl Setup {
    /// A configuration with fencing.
    #[must_use]
    pub const fn fenced(configuration: Configuration) -> Self {
        Self { configuration, fencing: Fencing::On }
    }

    /// A configuration without fencing.
    #[must_use]
    pub const fn unfenced(configuration: Configuration) -> Self {
        Self { configuration, fencing: Fencing::Off }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.configuration.name())?;
        f.write_str(match self.fencing {
            Fencing::On => ", fencing",
            Fencing::Off => ", no fencing",
        })
    }
}

/// The resources of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configuration {
    /// The commands of the README's quick start.
    QuickStart,
    /// The same without any `op`: pcs makes all operations from the agents' meta-data.
    DefaultOperations,
    /// `pcs-examples/active-standby.sh`.
    ActiveStandby,
    /// `pcs-examples/hot-standby.sh`.
    HotStandby,
    /// `pcs-examples/three-nodes.sh`.
    ThreeNodes,
}

impl Configuration {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::QuickStart => "quick start",
            Self::DefaultOperations => "default operations",
            Self::ActiveStandby => "active/standby",
            Self::HotStandby => "hot standby",
            Self::ThreeNodes => "three nodes",
        }
    }
}

/// Whose agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// `ocf:smartvox:opensips-vip` and `ocf:smartvox:opensips`.
    Ours,
    /// `ocf:heartbeat:IPaddr2`, and OpenSIPS as a service that is always restarted.
    Peer,
}

impl Contender {
    /// Its name, also a part of its lab's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Peer => "ipaddr2",
        }
    }
}
