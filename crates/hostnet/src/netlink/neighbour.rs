//! The cache of neighbours over rtnetlink.

use deadline::Deadline;
use nix::libc;
use rtnetlink::packet_core::DecodeError;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourHeader, NeighbourMessage,
};

use super::handle::Netlink;
use super::message::{Object, RawMessage};
use super::wire::{address_family, attributes_after, family_of, ip};
use crate::address::Family;
use crate::error::Result;
use crate::link::{LinkIndex, MacAddress};
use crate::neighbour::Neighbour;

/// `sizeof(struct ndmsg)`: family, three bytes of padding, link (4), state (2), flags, type.
const HEADER_LENGTH: usize = 12;

impl Netlink {
    /// The neighbours of a family that this host has in its cache, on all links.
    ///
    /// The cache changes by itself: nothing follows from an entry that is missing.
    ///
    /// # Errors
    /// [`crate::Error::DumpInterrupted`], [`crate::Error::DumpIncomplete`],
    /// [`crate::Error::DeadlinePassed`], [`crate::Error::Refused`]
    pub fn neighbours(&self, family: Family, until: Deadline) -> Result<Vec<Neighbour>> {
        self.dump_neighbours(family, None, until)
    }

    /// The same on one link.
    ///
    /// # Errors
    /// Those of [`Netlink::neighbours`]
    pub fn neighbours_on(
        &self,
        family: Family,
        link: LinkIndex,
        until: Deadline,
    ) -> Result<Vec<Neighbour>> {
        self.dump_neighbours(family, Some(link), until)
    }

    fn dump_neighbours(
        &self,
        family: Family,
        link: Option<LinkIndex>,
        until: Deadline,
    ) -> Result<Vec<Neighbour>> {
        let mut message = NeighbourMessage::default();
        message.header.family = address_family(family);
        message.attributes.extend(link.map(|link| NeighbourAttribute::IfIndex(link.get())));
        let request = RawMessage::of(&RouteNetlinkMessage::GetNeighbour(message));
        let mut found: Vec<Neighbour> =
            self.connection.dump("list the neighbours", &request, until)?;
        // Also by link, for kernels that don't filter.
        found.retain(|neighbour| {
            Family::of(neighbour.ip) == family && link.is_none_or(|link| neighbour.link == link)
        });
        Ok(found)
    }
}

impl Object for Neighbour {
    const KIND: u16 = libc::RTM_NEWNEIGH;

    /// `struct ndmsg`, then attributes `NDA_*`. `None` also for entries without an address and for
    /// the forwarding tables of bridges.
    fn read(payload: &[u8]) -> std::result::Result<Option<Self>, DecodeError> {
        let header = NeighbourHeader::parse(payload)?;
        let Some(family) = family_of(header.family.into()) else { return Ok(None) };
        let link = LinkIndex::new(header.ifindex).ok_or("neighbour without a link")?;
        let (mut address, mut mac) = (None, None);
        for attribute in attributes_after(HEADER_LENGTH, payload) {
            let attribute = attribute?;
            match attribute.kind {
                libc::NDA_DST => address = Some(ip(family, attribute.value)?),
                libc::NDA_LLADDR => mac = MacAddress::from_slice(attribute.value),
                _ => {}
            }
        }
        let state = u16::from(header.state).into();
        let router = header.flags.contains(NeighbourFlags::Router);
        Ok(address.map(|ip| Self { link, ip, mac, state, router }))
    }
}
