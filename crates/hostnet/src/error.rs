//! What can go wrong between us and the host's network, by condition.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::link::LinkName;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The privilege an operation lacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_NET_ADMIN`: change links, addresses, routes, network sysctls.
    NetAdmin,
    /// `CAP_NET_RAW`: open packet sockets.
    NetRaw,
    /// `CAP_SYS_ADMIN`: enter another network namespace.
    SysAdmin,
}

impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
            Self::SysAdmin => "CAP_SYS_ADMIN",
        })
    }
}

/// Every failure of this crate; the message is a sentence for an operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Text that no link can be called by.
    #[error("{name:?} is no interface name: {why}")]
    InvalidLinkName {
        /// The text as given, shortened for display.
        name: String,
        /// The rule of the kernel it breaks.
        why: &'static str,
    },
    /// Text that is no 48-bit hardware address.
    #[error(
        "{text:?} is no MAC address: six pairs of hexadecimal digits are expected, as in 02:00:00:aa:bb:cc"
    )]
    InvalidMacAddress {
        /// The text as given, shortened for display.
        text: String,
    },
    /// A prefix length that the address family does not have.
    #[error("prefix length {length} is out of range: {family} has 0 to {max}")]
    InvalidPrefix {
        /// The length given.
        length: u8,
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// 32 or 128.
        max: u8,
    },
    /// A dotted mask whose ones are not contiguous.
    #[error("{mask} is no netmask: its one bits are not contiguous from the left")]
    InvalidNetmask {
        /// The mask given.
        mask: std::net::Ipv4Addr,
    },
    /// Text that is no `address/length`.
    #[error("{text:?} is no network: address/length is expected, as in 192.0.2.0/24")]
    InvalidNetwork {
        /// The text as given, shortened for display.
        text: String,
    },
    /// Text that no network namespace can be called by.
    #[error("{name:?} is no name of a network namespace: {why}")]
    InvalidNamespaceName {
        /// The text as given, shortened for display.
        name: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// There is no network namespace of that name on this host.
    #[error("there is no network namespace {name} on this host ({})", path.display())]
    NoSuchNamespace {
        /// Its name.
        name: String,
        /// Where it should be.
        path: PathBuf,
        /// `ENOENT`, or `EINVAL` for a file that is no network namespace.
        source: io::Error,
    },
    /// The link an operation is about is not on this host (any more).
    #[error("there is no {link} on this host")]
    NoSuchLink {
        /// The link as the caller named it.
        link: String,
        /// `ENODEV`.
        source: io::Error,
    },
    /// What names a link fits several.
    #[error("{what} fits several interfaces: {}", listed(links))]
    AmbiguousLink {
        /// The hardware address or network.
        what: String,
        /// The links it fits.
        links: Vec<LinkName>,
    },
    /// The kernel wants a privilege.
    #[error("cannot {operation}: not permitted, {capability} is needed (run as root)")]
    PermissionDenied {
        /// What was attempted.
        operation: String,
        /// What is missing.
        capability: Capability,
        /// `EPERM` or `EACCES`.
        source: io::Error,
    },
    /// The table changed during every one of several dumps (`NLM_F_DUMP_INTR`), so that
    /// none of them is a consistent picture.
    #[error("cannot {operation}: the table kept changing while it was read")]
    DumpInterrupted {
        /// What was attempted.
        operation: String,
    },
    /// A dump ended without the kernel's word that it is complete. Nothing may be concluded
    /// from what is *not* in it.
    #[error("cannot {operation}: the kernel's answer is incomplete ({why})")]
    DumpIncomplete {
        /// What was attempted.
        operation: String,
        /// What is missing or unreadable.
        why: String,
    },
    /// This kernel was built without it.
    #[error("cannot {operation}: this kernel does not support it")]
    NotSupported {
        /// What was attempted.
        operation: String,
        /// `EOPNOTSUPP` or `ENOENT`.
        source: io::Error,
    },
    /// The connection ended before the kernel acknowledged a change: it may or may not have
    /// been made.
    #[error("cannot {operation}: the kernel did not acknowledge it")]
    NotAcknowledged {
        /// What was attempted.
        operation: String,
    },
    /// The caller's deadline passed before there was an answer.
    #[error("cannot {operation}: no answer before the deadline")]
    DeadlinePassed {
        /// What was attempted.
        operation: String,
    },
    /// The address to add is on the link already (`EEXIST`).
    #[error("{ip} is on {link} already")]
    AddressExists {
        /// The address.
        ip: IpAddr,
        /// The link to which it was to be added.
        link: String,
    },
    /// There is a route like the one to add.
    #[error("cannot add the route {route}: there is one to this destination with this metric")]
    RouteExists {
        /// The route.
        route: String,
    },
    /// There is a rule like the one to add.
    #[error("the routing rule {rule} is there already")]
    RuleExists {
        /// The rule.
        rule: String,
    },
    /// Text that is no route kept for later.
    #[error("{text:?} is no record of a route: {why}")]
    InvalidRouteRecord {
        /// The text as given, shortened for display.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Any other refusal of the kernel; [`Error::errno`] has the number.
    #[error("cannot {operation}: {source}")]
    Refused {
        /// What was attempted.
        operation: String,
        /// The kernel's errno.
        source: io::Error,
    },
    /// The link has no Ethernet framing (Infiniband, tunnel, ...): no ARP of ours fits it.
    #[error("interface {link} is no Ethernet link: ARP cannot be sent on it")]
    NotEthernet {
        /// Its name.
        link: String,
    },
    /// A frame was not taken whole by the kernel.
    #[error("cannot send on interface {link}: {source}")]
    SendFailed {
        /// Its name.
        link: String,
        /// The kernel's reason; `ENETDOWN` for a link that is down.
        source: io::Error,
    },
    /// This kernel has no such setting (`ENOENT`).
    #[error("the kernel has no setting {}", path.display())]
    SysctlMissing {
        /// The file under `/proc/sys`.
        path: PathBuf,
        /// `ENOENT`.
        source: io::Error,
    },
    /// The setting can't be changed from here: a container with a read-only `/proc/sys`
    /// (`EROFS`), or no privilege (`EPERM`, `EACCES`).
    #[error("not allowed to change {}: {source} (read-only /proc/sys, or CAP_NET_ADMIN missing)", path.display())]
    SysctlDenied {
        /// The file under `/proc/sys`.
        path: PathBuf,
        /// `EROFS`, `EPERM` or `EACCES`.
        source: io::Error,
    },
    /// The setting has a value this crate does not know.
    #[error("{} has the unexpected value {value:?}", path.display())]
    SysctlUnexpected {
        /// The file under `/proc/sys`.
        path: PathBuf,
        /// Its content, trimmed.
        value: String,
    },
    /// Any other failure to read or write a setting.
    #[error("cannot access {}: {source}", path.display())]
    Sysctl {
        /// The file under `/proc/sys`.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl Error {
    /// Whether a change that ended so may have been made all the same: the kernel's word came too
    /// late, or not at all.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::DeadlinePassed { .. } | Self::NotAcknowledged { .. })
    }

    /// The kernel's errno, where the kernel said one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::NoSuchLink { source, .. }
            | Self::NoSuchNamespace { source, .. }
            | Self::NotSupported { source, .. }
            | Self::PermissionDenied { source, .. }
            | Self::Refused { source, .. }
            | Self::SendFailed { source, .. }
            | Self::SysctlMissing { source, .. }
            | Self::SysctlDenied { source, .. }
            | Self::Sysctl { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// The kernel's answer `source` to `operation`, as a condition. `ENODEV` stays a plain
    /// refusal here: only the caller knows which link was meant.
    pub(crate) fn refused(
        operation: impl Into<String>,
        capability: Capability,
        source: io::Error,
    ) -> Self {
        let operation = operation.into();
        if source.kind() == io::ErrorKind::PermissionDenied {
            Self::PermissionDenied { operation, capability, source }
        } else {
            Self::Refused { operation, source }
        }
    }
}

fn listed(links: &[LinkName]) -> String {
    links.iter().map(LinkName::as_str).collect::<Vec<_>>().join(", ")
}

/// Text of unknown length and content, fit for one line of a message.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 48;
    if text.chars().count() <= LONGEST {
        text.to_owned()
    } else {
        text.chars().take(LONGEST).chain(['…']).collect()
    }
}
