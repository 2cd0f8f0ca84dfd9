//! Why an action failed, and the exit code that it stands for.

use std::net::IpAddr;
use std::time::Duration;

use hostnet::{Address, LinkName, MacAddress};
use ocf::{Exit, Findings, Verdict};

use crate::decide::names::LinkNames;
use crate::decide::routing::NoRoute;
use crate::decide::target::Refusal;
use crate::host::{ipv6::NoIpv6, source_routing};

/// Every way an action of this agent fails; the message is the exit reason.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The parameters are wrong on every node.
    #[error(transparent)]
    Parameters(#[from] Findings),
    /// The VIP can't be on this node.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The routes that are asked for can't be made.
    #[error(transparent)]
    NoRoute(#[from] NoRoute),
    /// The link has no IPv6.
    #[error(transparent)]
    NoIpv6(#[from] NoIpv6),
    /// The kernel refused, or did not answer.
    #[error(transparent)]
    Network(#[from] hostnet::Error),
    /// start: the link has no carrier.
    #[error("{link} has no carrier after {} ms: check cable and switch port, or link_wait", waited.as_millis())]
    NoCarrier {
        /// Its name.
        link: String,
        /// How long start waited.
        waited: Duration,
    },
    /// start: another host has the VIP, and does not give it up.
    #[error("{ip} is in use by {} on {link}: not starting a second owner", rival.map_or_else(|| "another host".to_owned(), |mac| mac.to_string()))]
    InUse {
        /// The VIP.
        ip: IpAddr,
        /// Its hardware address, as far as it is known.
        rival: Option<MacAddress>,
        /// Where.
        link: LinkName,
    },
    /// start: the silence that counts as free does not fit into the action's time.
    #[error(
        "no time to ask for duplicates of {ip} on {link} for {} ms: raise the timeout of start, or \
         lower duplicate_timeout",
        silence.as_millis()
    )]
    NoTimeToAsk {
        /// The VIP.
        ip: IpAddr,
        /// Where.
        link: LinkName,
        /// `duplicate_timeout`
        silence: Duration,
    },
    /// start: a stop came while it waited.
    #[error("{ip} was stopped while start waited: not starting it any more")]
    Stopped {
        /// The VIP.
        ip: IpAddr,
    },
    /// start: another start or stop of the VIP does not come to its end.
    #[error("another start or stop of {ip} is under way on this node, and does not end")]
    Busy {
        /// The VIP.
        ip: IpAddr,
    },
    /// start: the kernel did not come to the end of its duplicate address detection.
    #[error("{ip} on {link} is not usable yet: duplicate address detection goes on (tentative)")]
    Tentative {
        /// The VIP.
        ip: IpAddr,
        /// Where.
        link: LinkName,
    },
    /// start: all was done, but monitor would not be content.
    #[error("not usable right after start: {reason}")]
    NotConfirmed {
        /// What monitor would say.
        reason: String,
    },
    /// start: the VIP went right after it was added.
    #[error("{ip} is gone again right after start: does something else manage the interface?")]
    Vanished {
        /// The VIP.
        ip: IpAddr,
    },
    /// stop: instances of the VIP that are still there after everything was tried.
    #[error("still there after stop: {}{}", LinkNames::default().addresses(left), because(source.as_ref()))]
    StillThere {
        /// The instances.
        left: Vec<Address>,
        /// What the kernel said to the last attempt, if it refused.
        source: Option<hostnet::Error>,
    },
    /// stop: the address has gone, but not the rule and routes made for it.
    #[error("{ip} is gone, but a rule or route made for it is still there: {source}")]
    RoutingLeft {
        /// The VIP.
        ip: IpAddr,
        /// What the kernel said.
        source: hostnet::Error,
    },
    /// stop: the address has gone, rules and routes were asked for, and the tables can't be read.
    #[error("{ip} is gone, but whether its rules and routes are gone can't be known: {source}")]
    RoutingUnknown {
        /// The VIP.
        ip: IpAddr,
        /// What the kernel said.
        source: hostnet::Error,
    },
    /// A start failed, and taking back what it had done failed too.
    #[error("{source}; left behind, because taking it back failed too: {left}")]
    LeftBehind {
        /// Why start failed.
        source: Box<Error>,
        /// What is left.
        left: String,
    },
}

fn because(source: Option<&hostnet::Error>) -> String {
    source.map(|source| format!(" ({source})")).unwrap_or_default()
}

impl Error {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Parameters(findings) => findings.first().exit,
            Self::Refused(refusal) => refusal.exit(),
            Self::Network(
                hostnet::Error::PermissionDenied { .. } | hostnet::Error::SysctlDenied { .. },
            ) => Exit::Permission,
            Self::Network(hostnet::Error::NoSuchNamespace { .. }) | Self::NoIpv6(_) => {
                Exit::Installed
            }
            Self::NoRoute(NoRoute::TableInUse { .. }) => Exit::Args,
            Self::LeftBehind { source, .. } => source.exit(),
            Self::Network(_)
            | Self::NoRoute(_)
            | Self::NoCarrier { .. }
            | Self::InUse { .. }
            | Self::Tentative { .. }
            | Self::NoTimeToAsk { .. }
            | Self::Stopped { .. }
            | Self::Busy { .. }
            | Self::RoutingLeft { .. }
            | Self::RoutingUnknown { .. }
            | Self::NotConfirmed { .. }
            | Self::Vanished { .. }
            | Self::StillThere { .. } => Exit::Generic,
        }
    }
}

impl Refusal {
    /// 5: the interface is missing on this node; 2: right in form, but wrong on this node.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::NoSuchLink { .. } => Exit::Installed,
            Self::NoNetwork { .. }
            | Self::NoNetworkOnLink { .. }
            | Self::Ambiguous { .. }
            | Self::AmbiguousNic { .. }
            | Self::LabelTooLong { .. }
            | Self::BroadcastAddress { .. } => Exit::Args,
        }
    }
}

impl From<source_routing::Error> for Error {
    fn from(error: source_routing::Error) -> Self {
        match error {
            source_routing::Error::NoRoute(error) => error.into(),
            source_routing::Error::Network(error) => error.into(),
        }
    }
}

impl From<Error> for Verdict {
    fn from(error: Error) -> Self {
        Self::failed(error.exit(), error.to_string())
    }
}
