//! Why an action failed, and the one table of exit codes. The errors of the rooms are wrapped here.

use std::net::IpAddr;
use std::time::Duration;

use hostnet::{LinkName, MacAddress};
use hostproc::Process;
use ocf::{Exit, Findings, Verdict};

use crate::decide::own_address::OwnAddress;
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
    OwnAddress(#[from] OwnAddress),
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
    #[error(
        "{ip} is in use by {} on {link}: remove it from that host, or set duplicate_check=no if a switch \
         answers",
        host(*mac)
    )]
    InUse { ip: IpAddr, mac: Option<MacAddress>, link: LinkName },
    #[error(
        "{ip} is in use by {mac} on {link}, and this cluster has never held it: correct ip, or remove it \
         there"
    )]
    NeverHeld { ip: IpAddr, mac: MacAddress, link: LinkName },
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
    /// By hand: Pacemaker's configuration has `nic`.
    #[error("{ip} was started on several interfaces ({links}): set nic")]
    AmbiguousLink { ip: IpAddr, links: String },
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
    /// The exit code. Those from 2 to 6 bar the node until an operator comes, so they are for what only a
    /// change of the resource's definition or of this node's files heals:
    ///
    /// | code | why |
    /// |---|---|
    /// | 2 | the parameters contradict each other on this node: the label is longer than the kernel takes, or an action by hand does not tell the interface |
    /// | 4 | the agent runs without a privilege: a container, a unit file, SELinux |
    /// | 5 | the kernel was booted without IPv6 |
    /// | 6 | a parameter is wrong on every node ([`Findings`]) |
    ///
    /// All else is 1: interfaces, namespaces, addresses and routes come and go while the host runs, and
    /// other hosts and VIPs too. start has waited for what can pass ([`Error::can_pass`]).
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Parameters(findings) => findings.first().exit,
            Self::Refused(Refusal::LabelTooLong { .. }) | Self::AmbiguousLink { .. } => Exit::Args,
            // An address of a node of the cluster is no VIP on any of them.
            Self::OwnAddress(OwnAddress::Corosync { .. }) => Exit::Configured,
            Self::Network(
                hostnet::Error::PermissionDenied { .. } | hostnet::Error::SysctlDenied { .. },
            ) => Exit::Permission,
            Self::NoIpv6(NoIpv6::Kernel) => Exit::Installed,
            Self::RollBack { source, .. } => source.exit(),
            // What the tables show can change: an address that was left over is deleted, a lease ends.
            Self::OwnAddress(_)
            | Self::Refused(_)
            | Self::NoIpv6(_)
            | Self::NoRoute(_)
            | Self::Network(_)
            | Self::NoCarrier { .. }
            | Self::InUse { .. }
            | Self::NeverHeld { .. }
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

    /// Whether it tells of the look alone: the kernel's tables can't be read, and nothing is known of the address.
    pub(crate) const fn is_blindness(&self) -> bool {
        use hostnet::Error as E;
        matches!(
            self,
            Self::Network(
                E::PermissionDenied { .. }
                    | E::DumpInterrupted { .. }
                    | E::DumpIncomplete { .. }
                    | E::AnswerLost { .. }
                    | E::NotAcknowledged { .. }
                    | E::DeadlinePassed { .. }
                    | E::Refused { .. }
            )
        )
    }

    /// Returns true if start tries again because the network of this node can change by itself: at boot,
    /// while the network service restarts, while an interface or another VIP moves. What has waits of its
    /// own (the carrier, other hosts, other actions) is not tried again.
    pub(crate) const fn can_pass(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.can_pass(),
            Self::NoIpv6(no_ipv6) => no_ipv6.can_pass(),
            Self::NoRoute(_)
            | Self::Vanished { .. }
            | Self::Network(
                hostnet::Error::NoSuchNamespace { .. } | hostnet::Error::NoSuchLink { .. },
            ) => true,
            _ => false,
        }
    }
}

impl Refusal {
    const fn can_pass(&self) -> bool {
        match self {
            Self::NoSuchLink { .. }
            | Self::NoNetwork { .. }
            | Self::NoNetworkOnLink { .. }
            // While a network or MAC address moves from one interface to another, both can have it.
            | Self::Ambiguous { .. }
            | Self::AmbiguousNic { .. }
            // A bond or bridge is being made or taken apart.
            | Self::NoHost(_)
            // The prefix comes from the connected network, which can change.
            | Self::BroadcastAddress { .. } => true,
            Self::LabelTooLong { .. } => false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::target::Unreachable;
    use crate::params::Nic;

    /// What start does about an error: waits, and the exit code of the last attempt.
    fn judged(error: impl Into<Error>) -> (bool, Exit) {
        let error = error.into();
        (error.can_pass(), error.exit())
    }

    #[test]
    fn what_can_pass_is_waited_for_and_never_a_hard_error() {
        let ip: IpAddr = "192.0.2.10".parse().unwrap();
        let name: LinkName = "eth0".parse().unwrap();
        let nic = Nic::Name(name.clone());
        let network: hostnet::Network = "192.0.2.0/24".parse().unwrap();
        let missing = || std::io::Error::from_raw_os_error(nix::libc::ENOENT);
        let (first, second) = (name.clone(), name.clone());
        let passing: [Error; 15] = [
            Refusal::NoSuchLink { nic: nic.clone() }.into(),
            Refusal::AmbiguousNic { nic, links: String::new() }.into(),
            Refusal::NoNetwork { ip }.into(),
            Refusal::NoNetworkOnLink { ip, nic: name.clone() }.into(),
            Refusal::Ambiguous { network, first, second }.into(),
            Refusal::BroadcastAddress { ip, network }.into(),
            Refusal::NoHost(Unreachable::Tap { link: name.clone() }).into(),
            NoRoute::Destination { destination: network }.into(),
            NoRoute::Metric { destination: network, metric: 1 }.into(),
            NoRoute::TableInUse { table: 100, user: String::new() }.into(),
            NoRoute::Multipath { destination: network, route: network }.into(),
            NoIpv6::Disabled { link: name.clone(), settings: Vec::new() }.into(),
            NoIpv6::SmallMtu { link: name.clone(), mtu: 1200 }.into(),
            hostnet::Error::NoSuchLink { link: name.to_string(), source: missing() }.into(),
            Error::Vanished { ip, link: name.clone() },
        ];
        for error in passing {
            let text = error.to_string();
            assert_eq!(judged(error), (true, Exit::Generic), "{text}");
        }
    }

    #[test]
    fn hard_errors_are_what_only_the_definition_or_the_files_of_the_node_heal() {
        let name: LinkName = "eth0".parse().unwrap();
        let label = Refusal::LabelTooLong { label: "eleven-byte".to_owned(), name };
        assert_eq!(judged(label), (false, Exit::Args));
        assert_eq!(judged(NoIpv6::Kernel), (false, Exit::Installed));
        let refused = || std::io::Error::from_raw_os_error(nix::libc::EPERM);
        let (operation, capability) = ("add".to_owned(), hostnet::Capability::NetAdmin);
        let denied = hostnet::Error::PermissionDenied { operation, capability, source: refused() };
        assert_eq!(judged(denied), (false, Exit::Permission));
    }

    #[test]
    fn a_code_is_that_of_its_cause() {
        let ip: IpAddr = "192.0.2.10".parse().unwrap();
        let corosync = OwnAddress::Corosync { ip, file: "/etc/corosync/corosync.conf".into() };
        assert_eq!(judged(corosync), (false, Exit::Configured));
        assert_eq!(judged(OwnAddress::Leased { ip }), (false, Exit::Generic));
        let links = "eth0, eth1".to_owned();
        let rolled = |source| Error::RollBack { source: Box::new(source), left: String::new() };
        assert_eq!(judged(rolled(Error::AmbiguousLink { ip, links })), (false, Exit::Args));
        assert_eq!(judged(rolled(Error::Stopped { ip })), (false, Exit::Generic));
        let (path, source) = ("/proc/sys/net/x".into(), std::io::Error::other("x"));
        let denied = hostnet::Error::SysctlDenied { path, source };
        assert_eq!(judged(source_routing::Error::Network(denied)), (false, Exit::Permission));
    }

    #[test]
    fn reasons_name_what_is_known() {
        let ip: IpAddr = "192.0.2.10".parse().unwrap();
        let (link, mac) =
            ("eth0".parse::<LinkName>().unwrap(), "02:00:00:00:00:0a".parse().unwrap());
        let in_use = |mac| Error::InUse { ip, mac, link: link.clone() }.to_string();
        assert!(
            in_use(Some(mac)).starts_with("192.0.2.10 is in use by 02:00:00:00:00:0a on eth0: ")
        );
        assert!(in_use(None).starts_with("192.0.2.10 is in use by another host on eth0: "));
        let pid = hostproc::Pid::new(4711).unwrap();
        let busy = |holder| Error::Busy { ip, holder }.to_string();
        assert!(
            busy(Some(Process { pid, start_time: 1 })).contains("another process (pid 4711): ")
        );
        assert!(busy(None).contains("another process: "));
        let still = |source| Error::StillThere { left: "x".to_owned(), source }.to_string();
        assert_eq!(still(None), "x is still there after stop: check what adds it again");
        let refused = hostnet::Error::NoSuchLink {
            link: "eth0".to_owned(),
            source: std::io::Error::other("x"),
        };
        let why = refused.to_string();
        assert_eq!(still(Some(refused)), format!("x is still there after stop: {why}"));
    }
}
