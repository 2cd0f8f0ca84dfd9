//! What can go wrong between this crate and the host's network, by condition. A text that is not a
//! value has an error of its own beside the value, such as [`crate::InvalidLinkName`].

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use nix::libc;

use crate::link::LinkName;

/// What passes by itself: an interrupted call, a full queue or table, a lack of memory, of buffers
/// or of descriptors.
const TRANSIENT: [i32; 6] =
    [libc::EINTR, libc::EAGAIN, libc::ENOMEM, libc::ENOBUFS, libc::EMFILE, libc::ENFILE];

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A privilege (capabilities(7)) that an operation lacked.
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

/// Every failure of this crate but those of parsing; the message is a sentence for an operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no network namespace of that name on this host.
    #[error("there is no network namespace {name} on this host ({})", path.display())]
    NoSuchNamespace {
        /// Its name.
        name: String,
        /// The path of its file, if there was one.
        path: PathBuf,
        /// `ENOENT`, or `EINVAL` for a file that is not a network namespace.
        source: io::Error,
    },
    /// The link of an operation is not on this host, or not any more.
    #[error("{link} does not exist on this host")]
    NoSuchLink {
        /// The link, as in `interface eth0`, or `the interface` where the name is not known.
        link: String,
        /// `ENODEV`.
        source: io::Error,
    },
    /// Several links have what was to name one.
    #[error("{what} fits several interfaces: {}", listed(links))]
    AmbiguousLink {
        /// The hardware address or network.
        what: String,
        /// The links that have it.
        links: Vec<LinkName>,
    },
    /// The kernel demands a privilege.
    #[error("cannot {operation}: not permitted, {capability} is needed (run as root)")]
    PermissionDenied {
        /// What was attempted.
        operation: String,
        /// What is missing.
        capability: Capability,
        /// `EPERM` or `EACCES`.
        source: io::Error,
    },
    /// The table changed during every one of several dumps (`NLM_F_DUMP_INTR`): none of them is a
    /// consistent picture.
    #[error("cannot {operation}: the table kept changing while it was read")]
    DumpInterrupted {
        /// What was attempted.
        operation: String,
    },
    /// An answer ended before the kernel said that it is complete. Nothing follows from what is
    /// *not* in it.
    #[error("cannot {operation}: the kernel's answer is incomplete ({why})")]
    DumpIncomplete {
        /// What was attempted.
        operation: String,
        /// What is missing or unreadable.
        why: String,
    },
    /// The connection to the kernel failed before an answer was complete. Nothing follows from what
    /// is *not* in it.
    #[error("cannot {operation}: the kernel's answer was lost")]
    AnswerLost {
        /// What was attempted.
        operation: String,
    },
    /// This kernel was built without it.
    #[error("cannot {operation}: this kernel does not support it")]
    NotSupported {
        /// What was attempted.
        operation: String,
        /// `EOPNOTSUPP` or `ENOENT`.
        source: io::Error,
    },
    /// The connection ended before the kernel acknowledged a change, which may have been made.
    #[error("cannot {operation}: the kernel did not acknowledge it")]
    NotAcknowledged {
        /// What was attempted.
        operation: String,
    },
    /// There was no answer by the caller's deadline. A change may have been made.
    #[error("cannot {operation}: no answer before the deadline")]
    DeadlinePassed {
        /// What was attempted.
        operation: String,
    },
    /// The address to be added is on the link already (`EEXIST`).
    #[error("{ip} is already on {link}")]
    AddressExists {
        /// The address.
        ip: IpAddr,
        /// The link, as in `interface eth0`.
        link: String,
    },
    /// There is a route like the one to be added (`EEXIST`).
    #[error(
        "cannot add the route {route}: there already is one to this destination with this metric"
    )]
    RouteExists {
        /// The route, as `ip route` writes it.
        route: String,
    },
    /// There is a rule like the one to be added (`EEXIST`).
    #[error("the routing rule {rule} already exists")]
    RuleExists {
        /// The rule, as `ip rule` writes it.
        rule: String,
    },
    /// Any other refusal of the kernel; [`Error::errno`] has the number.
    #[error("cannot {operation}: {}", reason(source))]
    Refused {
        /// What was attempted.
        operation: String,
        /// The kernel's errno.
        source: io::Error,
    },
    /// The link has no Ethernet framing (Infiniband, a tunnel), which ARP and Neighbor Discovery
    /// need here.
    #[error("interface {link} is not an Ethernet link: ARP can't be sent on it")]
    NotEthernet {
        /// Its name.
        link: String,
    },
    /// The kernel did not take a frame, or not all of it.
    #[error("cannot send on interface {link}: {}", reason(source))]
    SendFailed {
        /// Its name.
        link: String,
        /// The kernel's reason; `ENETDOWN` for a link that is down.
        source: io::Error,
    },
    /// This kernel has no such setting.
    #[error("the kernel has no setting {}", path.display())]
    SysctlMissing {
        /// The file under `/proc/sys`.
        path: PathBuf,
        /// `ENOENT`.
        source: io::Error,
    },
    /// The setting can't be changed: `/proc/sys` is read-only, as in a container (`EROFS`), or the
    /// privilege is missing (`EPERM`, `EACCES`).
    #[error(
        "not allowed to change {}: {} (is /proc/sys read-only, or CAP_NET_ADMIN missing?)",
        path.display(),
        reason(source)
    )]
    SysctlDenied {
        /// The file under `/proc/sys`.
        path: PathBuf,
        /// `EROFS`, `EPERM` or `EACCES`.
        source: io::Error,
    },
    /// The setting has a value that this crate does not know.
    #[error("{} has the unexpected value {value:?}", path.display())]
    SysctlUnexpected {
        /// The file under `/proc/sys`.
        path: PathBuf,
        /// Its content, trimmed.
        value: String,
    },
    /// Any other failure to read or write a setting.
    #[error("cannot access {}: {}", path.display(), reason(source))]
    Sysctl {
        /// The file under `/proc/sys`.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl Error {
    /// Whether a change that failed with this error may have been made: the kernel answered too
    /// late, or not at all.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::DeadlinePassed { .. } | Self::NotAcknowledged { .. })
    }

    /// Whether the same call may succeed a moment later: the kernel had no memory, no buffer or no
    /// descriptor left, or its answer was lost. The calls of this crate repeat such an attempt
    /// themselves, so that this tells a caller that the shortage has lasted.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::AnswerLost { .. } | Self::NotAcknowledged { .. })
            || self.reason().is_some_and(is_transient)
    }

    /// The kernel's errno, where it gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        self.reason()?.raw_os_error()
    }

    fn reason(&self) -> Option<&io::Error> {
        match self {
            Self::NoSuchLink { source, .. }
            | Self::NoSuchNamespace { source, .. }
            | Self::NotSupported { source, .. }
            | Self::PermissionDenied { source, .. }
            | Self::Refused { source, .. }
            | Self::SendFailed { source, .. }
            | Self::SysctlMissing { source, .. }
            | Self::SysctlDenied { source, .. }
            | Self::Sysctl { source, .. } => Some(source),
            _ => None,
        }
    }

    /// The condition that the kernel's answer `source` to `operation` stands for. `ENODEV` stays
    /// [`Error::Refused`]: only the caller knows which link it asked for.
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

/// Whether the same system call may succeed a moment later.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|errno| TRANSIENT.contains(&errno))
}

fn listed(links: &[LinkName]) -> String {
    links.iter().map(LinkName::as_str).collect::<Vec<_>>().join(", ")
}

/// The text of an errno without `(os error N)`, which [`io::Error`] adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let number = error.raw_os_error().map(|errno| format!(" (os error {errno})"));
    number.and_then(|number| text.strip_suffix(&number).map(str::to_owned)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_no_number() {
        let refused = |source| Error::refused("add a route", Capability::NetAdmin, source);
        let unreachable = io::Error::from_raw_os_error(libc::ENETUNREACH);
        assert_eq!(refused(unreachable).to_string(), "cannot add a route: Network is unreachable");
        let other = io::Error::other("no answer");
        assert_eq!(refused(other).to_string(), "cannot add a route: no answer");
    }

    #[test]
    fn only_a_shortage_or_a_lost_answer_passes() {
        let refused = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            Error::refused("add a route", Capability::NetAdmin, source)
        };
        for errno in TRANSIENT {
            assert!(refused(errno).is_transient(), "{errno}");
        }
        for errno in [libc::EPERM, libc::EEXIST, libc::ENODEV, libc::ENETDOWN, libc::EINVAL] {
            assert!(!refused(errno).is_transient(), "{errno}");
        }
        let operation = || "add a route".to_owned();
        assert!(Error::AnswerLost { operation: operation() }.is_transient());
        assert!(Error::NotAcknowledged { operation: operation() }.is_transient());
        assert!(!Error::DeadlinePassed { operation: operation() }.is_transient());
    }
}
