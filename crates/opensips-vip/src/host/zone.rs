//! On which link an address means the VIP.

use std::net::IpAddr;

use deadline::Deadline;
use hostnet::{Address, Link, LinkIndex, Netlink, Result};

use super::run_files::RunFiles;
use super::settled;
use crate::params::{Nic, is_link_local};

/// The zone of the VIP (RFC 4007).
#[derive(Clone, Debug)]
pub(crate) enum Zone {
    /// Global: on any link the address is the VIP.
    Global,
    /// Link-local: only on this link the address is the VIP.
    Link(Link),
    /// Link-local, and there is no link with the name that `nic` has, or none that is noted.
    MissingLink,
    /// Link-local, without `nic`, and noted on several links.
    Ambiguous(Vec<Link>),
}

impl Zone {
    /// The zone of an address. Only a name identifies the link of a link-local address: a MAC address
    /// or a network could match another link later.
    ///
    /// Links can be renamed while they are up (since Linux 6.2), lose an alternative name, and `nic` can be
    /// missing in an action by hand: then the link is the one that start has noted.
    pub(crate) fn of(
        netlink: &Netlink,
        ip: IpAddr,
        nic: Option<&Nic>,
        until: Deadline,
    ) -> Result<Self> {
        if !is_link_local(ip) {
            return Ok(Self::Global);
        }
        if let Some(Nic::Name(name)) = nic
            && let Some(link) = settled(until, || netlink.link_by_name(name, until))?
        {
            return Ok(Self::Link(link));
        }
        let mut links = Vec::new();
        for (link, noted) in RunFiles::noted_links(ip) {
            if nic.is_none_or(|nic| nic.to_string() == noted) {
                links.extend(netlink.link_by_index(link, until)?);
            }
        }
        Ok(match links.pop() {
            None => Self::MissingLink,
            Some(link) if links.is_empty() => Self::Link(link),
            Some(link) => Self::Ambiguous([links, vec![link]].concat()),
        })
    }

    /// Returns true if the address is on a link where it means the VIP.
    pub(crate) fn contains(&self, address: &Address) -> bool {
        match self {
            Self::Global => true,
            Self::Link(link) => link.index == address.link,
            Self::MissingLink | Self::Ambiguous(_) => false,
        }
    }

    /// The link of a link-local VIP.
    pub(crate) fn link(&self) -> Option<LinkIndex> {
        match self {
            Self::Link(link) => Some(link.index),
            Self::Global | Self::MissingLink | Self::Ambiguous(_) => None,
        }
    }
}
