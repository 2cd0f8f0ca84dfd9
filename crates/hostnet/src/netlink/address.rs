//! Addresses over rtnetlink.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use deadline::Deadline;
use nix::libc;
use rtnetlink::packet_core::{
    DecodeError, NLA_TYPE_MASK, NLM_F_CREATE, NLM_F_EXCL, NlasIterator, parse_u32,
};
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags as WireFlags, AddressHeader, AddressHeaderFlags, AddressMessage,
    CacheInfo,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::link::{no_such_link, text};
use super::{Message, Netlink};
use crate::address::{Address, AddressFlags, Family, Lifetime, NewAddress, Prefix, Scope};
use crate::error::{Error, Result};
use crate::link::LinkIndex;

impl Netlink {
    /// The addresses of a family, of one link or of the whole namespace; none for a link that
    /// is not there.
    ///
    /// # Errors
    /// [`Error::DumpInterrupted`], [`Error::DumpIncomplete`], [`Error::DeadlinePassed`],
    /// [`Error::Refused`]
    pub fn addresses(
        &self,
        family: Family,
        link: Option<LinkIndex>,
        until: Deadline,
    ) -> Result<Vec<Address>> {
        let mut message = AddressMessage::default();
        message.header.family = wire_family(family);
        // Filtered by family in the kernel, by link only here. The kernel could do both, but
        // it marks interrupted dumps (NLM_F_DUMP_INTR) of all links only: inet_dump_ifaddr()
        // sets cb->seq behind its branch for a single one. Without that mark an address that
        // is there may be missing from the answer, unnoticed, when another one on the same
        // link is deleted during the dump (seen on Linux 6.18).
        let request = RouteNetlinkMessage::GetAddress(message);
        self.dump("list the addresses", request, until, |message| match message {
            Message::Address(address) => Some(address).filter(|address| {
                Family::of(address.ip) == family && link.is_none_or(|link| link == address.link)
            }),
            _ => None,
        })
    }

    /// Adds an address, acknowledged by the kernel.
    ///
    /// # Errors
    /// [`Error::AddressExists`] if this very address and prefix (IPv6: the address) is on the
    /// link, [`Error::NoSuchLink`], [`Error::PermissionDenied`], [`Error::NotAcknowledged`],
    /// [`Error::DeadlinePassed`], [`Error::Refused`]
    pub fn add_address(&self, new: &NewAddress, until: Deadline) -> Result<()> {
        let operation = format!("add {}/{} to interface {}", new.ip, new.prefix, new.link);
        let request = RouteNetlinkMessage::NewAddress(message_to_add(new));
        self.change(&operation, request, NLM_F_CREATE | NLM_F_EXCL, until).map_err(|error| {
            match error.errno() {
                Some(libc::EEXIST) => Error::AddressExists { ip: new.ip, link: new.link },
                _ => no_such_link(error, new.link),
            }
        })
    }

    /// Deletes exactly this address, as it was dumped: link, local address, prefix and peer.
    /// `Ok(false)` if it, or its link, was gone already.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NotAcknowledged`], [`Error::DeadlinePassed`],
    /// [`Error::Refused`]
    pub fn delete_address(&self, address: &Address, until: Deadline) -> Result<bool> {
        let operation =
            format!("delete {}/{} from interface {}", address.ip, address.prefix, address.link);
        let request = RouteNetlinkMessage::DelAddress(message_to_delete(address));
        match self.change(&operation, request, 0, until) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.errno(), Some(libc::EADDRNOTAVAIL | libc::ENODEV)) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

pub(super) fn wire_family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

fn message(link: LinkIndex, ip: IpAddr, prefix: Prefix, scope: Scope) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = wire_family(Family::of(ip));
    message.header.index = link.get();
    message.header.prefix_len = prefix.length();
    message.header.scope = u8::from(scope).into();
    message
}

fn message_to_add(new: &NewAddress) -> AddressMessage {
    let mut message = message(new.link, new.ip, new.prefix, new.scope);
    message.attributes.push(AddressAttribute::Local(new.ip));
    message.attributes.push(AddressAttribute::Address(new.ip));
    message.attributes.extend(new.broadcast.map(AddressAttribute::Broadcast));
    message.attributes.extend(new.label.clone().map(AddressAttribute::Label));
    let mut flags = WireFlags::empty();
    flags.set(WireFlags::Noprefixroute, new.noprefixroute);
    flags.set(WireFlags::Nodad, new.nodad);
    if !flags.is_empty() {
        // The 32-bit attribute: the header's eight bits have no room for NOPREFIXROUTE.
        message.attributes.push(AddressAttribute::Flags(flags));
    }
    if new.preferred_lft != Lifetime::Forever {
        let mut lifetimes = CacheInfo::default();
        lifetimes.ifa_preferred = new.preferred_lft.into();
        lifetimes.ifa_valid = Lifetime::Forever.into();
        message.attributes.push(AddressAttribute::CacheInfo(lifetimes));
    }
    message
}

fn message_to_delete(address: &Address) -> AddressMessage {
    let mut message = message(address.link, address.ip, address.prefix, address.scope);
    message.attributes.push(AddressAttribute::Local(address.ip));
    message.attributes.push(AddressAttribute::Address(address.peer.unwrap_or(address.ip)));
    message
}

/// `struct ifaddrmsg`, then attributes `IFA_*`. `None` for families that are not IP.
pub(super) fn read(payload: &[u8]) -> std::result::Result<Option<Address>, DecodeError> {
    let header = AddressHeader::parse(payload)?;
    let family = match header.family {
        AddressFamily::Inet => Family::V4,
        AddressFamily::Inet6 => Family::V6,
        _ => return Ok(None),
    };
    let link = LinkIndex::new(header.index).ok_or("address without a link")?;
    let prefix = Prefix::new(family, header.prefix_len).map_err(|error| error.to_string())?;
    let (mut local, mut other, mut broadcast, mut label) = (None, None, None, None);
    // Kernels before 3.14 have the header's eight bits only.
    let mut flags = u32::from(header.flags.bits() & AddressHeaderFlags::all().bits());
    let (mut preferred_lft, mut valid_lft) = (Lifetime::Forever, Lifetime::Forever);
    let attributes = payload.get(size_of::<libc::ifaddrmsg>()..).unwrap_or_default();
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() & NLA_TYPE_MASK {
            libc::IFA_LOCAL => local = Some(ip(family, value)?),
            libc::IFA_ADDRESS => other = Some(ip(family, value)?),
            libc::IFA_BROADCAST => {
                broadcast = match ip(family, value)? {
                    IpAddr::V4(ip) => Some(ip),
                    IpAddr::V6(_) => None,
                };
            }
            libc::IFA_LABEL => label = Some(text(value)),
            libc::IFA_FLAGS => flags = parse_u32(value)?,
            libc::IFA_CACHEINFO => {
                let lifetimes = CacheInfo::parse(value)?;
                preferred_lft = lifetimes.ifa_preferred.into();
                valid_lft = lifetimes.ifa_valid.into();
            }
            _ => {}
        }
    }
    let ip = local.or(other).ok_or("address message without an address")?;
    Ok(Some(Address {
        link,
        ip,
        prefix,
        peer: other.filter(|other| *other != ip),
        broadcast,
        label,
        scope: u8::from(header.scope).into(),
        flags: read_flags(WireFlags::from_bits_retain(flags)),
        preferred_lft,
        valid_lft,
    }))
}

fn read_flags(flags: WireFlags) -> AddressFlags {
    AddressFlags {
        tentative: flags.contains(WireFlags::Tentative),
        dadfailed: flags.contains(WireFlags::Dadfailed),
        optimistic: flags.contains(WireFlags::Optimistic),
        secondary: flags.contains(WireFlags::Secondary),
        permanent: flags.contains(WireFlags::Permanent),
        noprefixroute: flags.contains(WireFlags::Noprefixroute),
        deprecated: flags.contains(WireFlags::Deprecated),
        nodad: flags.contains(WireFlags::Nodad),
    }
}

/// An address of exactly the family's length.
pub(super) fn ip(family: Family, value: &[u8]) -> std::result::Result<IpAddr, DecodeError> {
    let read = match family {
        Family::V4 => <[u8; 4]>::try_from(value).map(|bytes| Ipv4Addr::from(bytes).into()),
        Family::V6 => <[u8; 16]>::try_from(value).map(|bytes| Ipv6Addr::from(bytes).into()),
    };
    read.map_err(|_| DecodeError::invalid_ip_address(value.len()))
}
