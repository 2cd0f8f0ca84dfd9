//! Routes over rtnetlink.

use std::time::Instant;

use nix::libc;
use rtnetlink::packet_core::{DecodeError, NLA_TYPE_MASK, NlasIterator, parse_u32};
use rtnetlink::packet_route::route::{RouteAttribute, RouteHeader, RouteMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::address::{ip, wire_family};
use super::{Message, Netlink};
use crate::address::{Family, Network, Prefix};
use crate::error::Result;
use crate::link::LinkIndex;
use crate::route::{Route, RouteKind};

/// `sizeof(struct rtmsg)`: eight bytes and one 32-bit word.
const HEADER_LENGTH: usize = 12;

impl Netlink {
    /// The routes of a family in one table, such as [`crate::TABLE_MAIN`]; none if there is
    /// no such table.
    ///
    /// # Errors
    /// [`crate::Error::DumpInterrupted`], [`crate::Error::DumpIncomplete`],
    /// [`crate::Error::DeadlinePassed`], [`crate::Error::Refused`]
    pub fn routes(&self, family: Family, table: u32, until: Instant) -> Result<Vec<Route>> {
        let mut message = RouteMessage::default();
        message.header.address_family = wire_family(family);
        // Numbers above 255 fit the attribute only, which the kernel prefers anyway.
        message.attributes.push(RouteAttribute::Table(table));
        let request = RouteNetlinkMessage::GetRoute(message);
        let found = self.dump("list the routes", &request, until, |message| match message {
            Message::Route(route) => Some(route).filter(|route| {
                route.table == table && Family::of(route.destination.base()) == family
            }),
            _ => None,
        });
        match found {
            Err(error) if error.errno() == Some(libc::ENOENT) => Ok(Vec::new()),
            found => found,
        }
    }
}

/// `struct rtmsg`, then attributes `RTA_*`. `None` for families that are not IP.
pub(super) fn read(payload: &[u8]) -> std::result::Result<Option<Route>, DecodeError> {
    let header = RouteHeader::parse(payload)?;
    let family = match header.address_family {
        AddressFamily::Inet => Family::V4,
        AddressFamily::Inet6 => Family::V6,
        _ => return Ok(None),
    };
    let unspecified = match family {
        Family::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let prefix =
        Prefix::new(family, header.destination_prefix_length).map_err(|error| error.to_string())?;
    let mut route = Route {
        destination: Network::of(unspecified, prefix),
        link: None,
        gateway: None,
        preferred_source: None,
        scope: u8::from(header.scope).into(),
        table: header.table.into(),
        protocol: u8::from(header.protocol).into(),
        kind: match u8::from(header.kind) {
            libc::RTN_UNICAST => RouteKind::Unicast,
            libc::RTN_LOCAL => RouteKind::Local,
            libc::RTN_BROADCAST => RouteKind::Broadcast,
            other => RouteKind::Other(other),
        },
        metric: 0,
    };
    let attributes = payload.get(HEADER_LENGTH..).unwrap_or_default();
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() & NLA_TYPE_MASK {
            libc::RTA_DST => route.destination = Network::of(ip(family, value)?, prefix),
            libc::RTA_OIF => route.link = LinkIndex::new(parse_u32(value)?),
            libc::RTA_GATEWAY => route.gateway = Some(ip(family, value)?),
            // A gateway of the other family (RFC 5549): family, then the address.
            libc::RTA_VIA => {
                let via = value.get(2..).unwrap_or_default();
                let other = if via.len() == 4 { Family::V4 } else { Family::V6 };
                route.gateway = Some(ip(other, via)?);
            }
            libc::RTA_PREFSRC => route.preferred_source = Some(ip(family, value)?),
            libc::RTA_TABLE => route.table = parse_u32(value)?,
            libc::RTA_PRIORITY => route.metric = parse_u32(value)?,
            _ => {}
        }
    }
    Ok(Some(route))
}
