//! Why an action failed, and the one table of exit codes. The errors of the rooms are wrapped here.

use std::net::IpAddr;
use std::time::Duration;

use hostnet::{LinkName, MacAddress};
use hostproc::Process;
use ocf::{Exit, Findings, Verdict};

use crate::decide::routing::NoRoute;
use crate::decide::target::Refusal;
use crate::host::{ipv6::NoIpv6, source_routing};

/// Every way in which an action of this agent fails; the message is the exit reason.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Parameters(#[from] Findings),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    NoRoute(#[from] NoRoute),
    #[error(transparent)]
    NoIpv6(#[from] NoIpv6),
    /// The kernel refused, or did not answer.
    #[error(transparent)]
    Network(#[from] hostnet::Error),
    /// `nodes`: those that have one.
    #[error("{link} has no carrier, but {} has one: check the cable and the switch port", nodes.join(", "))]
    NoCarrier { link: LinkName, nodes: Vec<String> },
    /// `mac`: if it is known.
    #[error("{ip} is in use by {} on {link}: remove it from that host", host(*mac))]
    InUse { ip: IpAddr, mac: Option<MacAddress>, link: LinkName },
    #[error(
        "{ip} on {link} can't be probed for {} ms: raise the timeout of start, or lower \
         duplicate_timeout",
        timeout.as_millis()
    )]
    NoTimeToCheck { ip: IpAddr, link: LinkName, timeout: Duration },
    #[error("{ip} was stopped while start was at work: start it again if it should run here")]
    Stopped { ip: IpAddr },
    #[error("{ip} is being started or stopped by another process{}: wait for its end", pid(*holder))]
    Busy { ip: IpAddr, holder: Option<Process> },
    #[error(
        "{ip} on {link} is still tentative: raise the timeout of start, so that IPv6 duplicate \
         address detection can end"
    )]
    Tentative { ip: IpAddr, link: LinkName },
    /// start has done everything, but monitor fails.
    #[error("not usable right after start: {reason}")]
    NotConfirmed { reason: String },
    #[error(
        "{ip} disappeared from {link} right after start: check what else manages {link} \
         (diagnose lists it)"
    )]
    Vanished { ip: IpAddr, link: LinkName },
    /// `source`: the kernel's answer to the last attempt, if it refused.
    #[error("{left} is still there after stop: {}", refusal(source.as_ref()))]
    StillThere { left: String, source: Option<hostnet::Error> },
    #[error("{ip} is removed, but a rule or route of it is still there: {source}")]
    RoutingLeft { ip: IpAddr, source: hostnet::Error },
    #[error("{ip} is removed, but its rules and routes can't be checked: {source}")]
    RoutingUnknown { ip: IpAddr, source: hostnet::Error },
    #[error("{source}; the roll back failed too and has left {left}")]
    RollBack { source: Box<Error>, left: String },
}

fn host(mac: Option<MacAddress>) -> String {
    mac.map_or_else(|| "another host".to_owned(), |mac| mac.to_string())
}

fn pid(holder: Option<Process>) -> String {
    holder.map_or_else(String::new, |holder| format!(" (pid {})", holder.pid))
}

fn refusal(source: Option<&hostnet::Error>) -> String {
    source.map_or_else(|| "check what adds it again".to_owned(), ToString::to_string)
}

impl Error {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Parameters(findings) => findings.first().exit,
            Self::Refused(refusal) => refusal.exit(),
            Self::NoRoute(NoRoute::TableInUse { .. }) => Exit::Args,
            Self::Network(
                hostnet::Error::PermissionDenied { .. } | hostnet::Error::SysctlDenied { .. },
            ) => Exit::Permission,
            Self::Network(hostnet::Error::NoSuchNamespace { .. }) | Self::NoIpv6(_) => {
                Exit::Installed
            }
            Self::RollBack { source, .. } => source.exit(),
            Self::NoRoute(_)
            | Self::Network(_)
            | Self::NoCarrier { .. }
            | Self::InUse { .. }
            | Self::NoTimeToCheck { .. }
            | Self::Stopped { .. }
            | Self::Busy { .. }
            | Self::Tentative { .. }
            | Self::NotConfirmed { .. }
            | Self::Vanished { .. }
            | Self::StillThere { .. }
            | Self::RoutingLeft { .. }
            | Self::RoutingUnknown { .. } => Exit::Generic,
        }
    }
}

impl Refusal {
    /// "Installed" if the interface is missing on this node, "args" if a parameter is valid, but wrong on
    /// this node.
    const fn exit(&self) -> Exit {
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
        Self::failed(error.exit(), ocf::cause(&error))
    }
}
