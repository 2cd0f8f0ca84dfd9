//! On which link an address means the VIP.

use std::net::IpAddr;

use deadline::Deadline;
use hostnet::{Address, Link, LinkName, Netlink, Result};

use super::settled;
use crate::params::{Nic, is_link_local};

/// The zone of the VIP (RFC 4007).
#[derive(Clone, Debug)]
pub(crate) enum Zone {
    /// Global: on any link the address is the VIP.
    Global,
    /// Link-local: only on this link the address is the VIP.
    Link(Link),
    /// Link-local, and there is no link with the name that `nic` has.
    MissingLink,
}

impl Zone {
    /// The zone of an address. Only a name identifies the link of a link-local address: a MAC address
    /// or a network could match another link later.
    pub(crate) fn of(
        netlink: &Netlink,
        ip: IpAddr,
        nic: Option<&Nic>,
        until: Deadline,
    ) -> Result<Self> {
        if !is_link_local(ip) {
            return Ok(Self::Global);
        }
        let Some(Nic::Name(name)) = nic else { return Ok(Self::MissingLink) };
        let link = settled(until, || netlink.link_by_name(name, until))?;
        Ok(link.map_or(Self::MissingLink, Self::Link))
    }

    /// Returns true if the address is on a link where it means the VIP.
    pub(crate) fn contains(&self, address: &Address) -> bool {
        match self {
            Self::Global => true,
            Self::Link(link) => link.index == address.link,
            Self::MissingLink => false,
        }
    }

    /// The link of a link-local VIP.
    pub(crate) fn link_name(&self) -> Option<&LinkName> {
        match self {
            Self::Link(link) => Some(&link.name),
            Self::Global | Self::MissingLink => None,
        }
    }
}
