//! What is wrong with the sockets of OpenSIPS, or with the addresses below them.

use std::net::IpAddr;

use hostnet::Family;
use hostproc::Pid;

use crate::sockets::listener::Listener;
use crate::sockets::nonlocal_bind::setting;
use crate::sockets::owner::Owner;

/// A result of this room.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why a socket can't be opened, or is not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The address is not on this host, and the kernel forbids to bind to it.
    #[error(
        "{listener} is not on this host: start its address first or set nonlocal_bind=ensure ({}=1)",
        setting(Family::of(listener.local.ip()))
    )]
    AbsentAddress { listener: Listener },
    /// Each would fail a start of its own, with the others still to be found.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Self>),
    /// Duplicate address detection (RFC 4862) does not end.
    #[error(
        "{listener} has an address that stays tentative (duplicate address detection): check that \
         the link has a carrier"
    )]
    TentativeAddress { listener: Listener },
    /// `ip_nonlocal_bind` can't be read or changed.
    #[error("{ip} is not on this host, and {}", ocf::cause(source))]
    NonlocalBind { ip: IpAddr, source: hostnet::Error },
    /// Another program has the socket that the daemon is about to open.
    #[error("{listener} is in use by {owner} at {}: stop that program", owner.local)]
    ForeignSocket { listener: Listener, owner: Owner },
    #[error("{listener} needs SCTP, which this kernel does not have: load kernel module sctp")]
    NoSctp { listener: Listener },
    /// A socket of the instance is not open.
    #[error("OpenSIPS (pid {main}) does not listen on {listener}")]
    Closed { main: Pid, listener: Listener },
    /// Another program has a socket of the instance.
    #[error("{listener} is held by {owner}, not by OpenSIPS: stop that program")]
    NotOwn { listener: Listener, owner: Owner },
    /// Sockets or addresses can't be listed.
    #[error("{}", ocf::cause(.0))]
    Network(#[from] hostnet::Error),
}

/// How many errors one reason has room for.
const NAMED: usize = 3;

impl Error {
    /// Fails if there are any, with all that fit into one reason.
    ///
    /// # Errors
    /// Those, or [`Error::Several`].
    pub(super) fn all(errors: Vec<Self>) -> Result<()> {
        let mut errors: Vec<Self> = errors.into_iter().take(NAMED).collect();
        match (errors.len(), errors.pop()) {
            (_, None) => Ok(()),
            (1, Some(error)) => Err(error),
            (_, Some(last)) => {
                errors.push(last);
                Err(Self::Several(errors))
            }
        }
    }
}
