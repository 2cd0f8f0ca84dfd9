//! Addresses over rtnetlink.

use std::collections::HashSet;
use std::net::IpAddr;

use deadline::Deadline;
use nix::libc;
use rtnetlink::packet_core::{DecodeError, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, parse_u32};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags as WireFlags, AddressHeader, AddressHeaderFlags, AddressMessage,
    CacheInfo,
};

use super::handle::Netlink;
use super::interface::{Interface, no_such_link};
use super::message::{Object, RawMessage};
use super::wire::{address_family, attributes_after, family_of, ip, text};
use crate::address::{Address, AddressFlags, Family, Lifetime, NewAddress, Prefix, Scope};
use crate::error::{Error, Result};
use crate::link::LinkIndex;
use crate::retry::retry;

impl Netlink {
    /// The addresses of a family, of one link or of the whole namespace; none if there is no such
    /// link.
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
        message.header.family = address_family(family);
        let request = RawMessage::of(&RouteNetlinkMessage::GetAddress(message));
        let dump = || self.connection.dump("list the addresses", &request, until);
        let mut found: Vec<Address> = dump()?;
        if found.len() >= MANY {
            found = union(dump()?, found);
        }
        // The kernel filters by family, and could filter by link as well. But it marks interrupted
        // dumps (NLM_F_DUMP_INTR) of all links only: inet_dump_ifaddr() sets cb->seq after its
        // branch for a single link. Without that mark an address can be missing from the answer,
        // unnoticed, when another one on the same link is deleted during the dump (seen on Linux
        // 6.18).
        found.retain(|address| {
            Family::of(address.ip) == family && link.is_none_or(|link| link == address.link)
        });
        Ok(found)
    }

    /// Adds an address.
    ///
    /// # Errors
    /// [`Error::AddressExists`] if the address with this prefix (IPv6: with any prefix) is on the
    /// link, [`Error::NoSuchLink`], [`Error::PermissionDenied`], [`Error::NotAcknowledged`],
    /// [`Error::DeadlinePassed`], [`Error::Refused`]
    pub fn add_address(&self, new: &NewAddress, until: Deadline) -> Result<()> {
        let request = RawMessage::of(&RouteNetlinkMessage::NewAddress(message_to_add(new)));
        let operation = format_args!("add {}/{} to {}", new.ip, new.prefix, Interface(new.link));
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        let added = retry(until, |may_be_done| {
            match self.connection.change(operation, &request, flags, until) {
                Err(error) if may_be_done && error.errno() == Some(libc::EEXIST) => Ok(()),
                added => added,
            }
        });
        added.map_err(|error| match error.errno() {
            Some(libc::EEXIST) => {
                Error::AddressExists { ip: new.ip, link: Interface(new.link).to_string() }
            }
            _ => no_such_link(error, new.link),
        })
    }

    /// Sets the lifetimes of an address that is there; everything else stays. `Ok(false)` if it is not
    /// there any more.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NotAcknowledged`], [`Error::DeadlinePassed`],
    /// [`Error::Refused`]
    pub fn set_lifetimes(
        &self,
        address: &Address,
        (preferred, valid): (Lifetime, Lifetime),
        until: Deadline,
    ) -> Result<bool> {
        let Address { ip, prefix, link, .. } = address;
        let message = message_to_set_lifetimes(address, preferred, valid);
        let request = RawMessage::of(&RouteNetlinkMessage::NewAddress(message));
        let operation = format_args!("set the lifetime of {ip}/{prefix} on {}", Interface(*link));
        let set =
            retry(until, |_| self.connection.change(operation, &request, NLM_F_REPLACE, until));
        match set {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::ENODEV)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes exactly this address, as it was read: link, local address, prefix and peer.
    /// `Ok(false)` if the address or its link does not exist any more.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NotAcknowledged`], [`Error::DeadlinePassed`],
    /// [`Error::Refused`]
    pub fn delete_address(&self, address: &Address, until: Deadline) -> Result<bool> {
        let Address { ip, prefix, link, .. } = address;
        let request = RawMessage::of(&RouteNetlinkMessage::DelAddress(message_to_delete(address)));
        let operation = format_args!("delete {ip}/{prefix} from {}", Interface(*link));
        retry(until, |may_be_done| match self.connection.change(operation, &request, 0, until) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.errno(), Some(libc::EADDRNOTAVAIL | libc::ENODEV)) => {
                Ok(may_be_done)
            }
            Err(error) => Err(error),
        })
    }
}

/// So many addresses can need more than one datagram (of some 8 kB). The kernel counts to continue a dump in
/// the next one. Since Linux 6.9 it reads without a lock, and now and then (seen on 6.18) it does not mark a
/// dump in which it has skipped an address because another one was deleted meanwhile: with a second dump, an
/// address that stays is in one of the two.
const MANY: usize = 32;

/// What is in any of the two dumps, as it is in the later one.
fn union(later: Vec<Address>, earlier: Vec<Address>) -> Vec<Address> {
    let key = |address: &Address| (address.link, address.ip, address.prefix, address.peer);
    let there: HashSet<_> = later.iter().map(key).collect();
    let skipped = earlier.into_iter().filter(|address| !there.contains(&key(address)));
    let skipped: Vec<_> = skipped.collect();
    let mut all = later;
    all.extend(skipped);
    all
}

fn message(link: LinkIndex, ip: IpAddr, prefix: Prefix, scope: Scope) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = address_family(Family::of(ip));
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
    message.attributes.extend(flags(new.noprefixroute, new.nodad));
    if (new.preferred_lft, new.valid_lft) != (Lifetime::Forever, Lifetime::Forever) {
        message.attributes.push(lifetimes(new.preferred_lft, new.valid_lft));
    }
    message
}

fn message_to_set_lifetimes(
    address: &Address,
    preferred: Lifetime,
    valid: Lifetime,
) -> AddressMessage {
    let mut message = message_to_delete(address);
    // For IPv6 they replace those that the address has.
    message.attributes.extend(flags(address.flags.noprefixroute, address.flags.nodad));
    message.attributes.push(lifetimes(preferred, valid));
    message
}

fn flags(noprefixroute: bool, nodad: bool) -> Option<AddressAttribute> {
    let mut flags = WireFlags::empty();
    flags.set(WireFlags::Noprefixroute, noprefixroute);
    flags.set(WireFlags::Nodad, nodad);
    // The header's eight bits have no room for NOPREFIXROUTE.
    (!flags.is_empty()).then_some(AddressAttribute::Flags(flags))
}

fn lifetimes(preferred: Lifetime, valid: Lifetime) -> AddressAttribute {
    let mut lifetimes = CacheInfo::default();
    // The kernel refuses an address that is preferred for longer than it exists.
    lifetimes.ifa_preferred = u32::from(preferred).min(valid.into());
    lifetimes.ifa_valid = valid.into();
    AddressAttribute::CacheInfo(lifetimes)
}

fn message_to_delete(address: &Address) -> AddressMessage {
    let mut message = message(address.link, address.ip, address.prefix, address.scope);
    message.attributes.push(AddressAttribute::Local(address.ip));
    message.attributes.push(AddressAttribute::Address(address.peer.unwrap_or(address.ip)));
    message
}

impl Object for Address {
    const KIND: u16 = libc::RTM_NEWADDR;

    /// `struct ifaddrmsg`, then attributes `IFA_*`.
    fn read(payload: &[u8]) -> std::result::Result<Option<Self>, DecodeError> {
        let header = AddressHeader::parse(payload)?;
        let Some(family) = family_of(header.family.into()) else { return Ok(None) };
        let link = LinkIndex::new(header.index).ok_or("address without a link")?;
        let prefix = Prefix::new(family, header.prefix_len).map_err(|error| error.to_string())?;
        let (mut local, mut other, mut broadcast, mut label) = (None, None, None, None);
        // Kernels before 3.14 have the header's eight bits only.
        let mut flags = u32::from(header.flags.bits() & AddressHeaderFlags::all().bits());
        let (mut preferred_lft, mut valid_lft) = (Lifetime::Forever, Lifetime::Forever);
        for attribute in attributes_after(size_of::<libc::ifaddrmsg>(), payload) {
            let attribute = attribute?;
            let value = attribute.value;
            match attribute.kind {
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
        Ok(Some(Self {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::wire::Attribute;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Attribute::new(kind, value).push_to(&mut bytes);
        bytes
    }

    fn address(attributes: &[Vec<u8>]) -> std::result::Result<Address, DecodeError> {
        // struct ifaddrmsg: family, prefix length, flags, scope, index.
        let mut bytes = vec![2, 24, 0x80, 0, 3, 0, 0, 0];
        bytes.extend(attributes.concat());
        Address::read(&bytes).map(Option::unwrap)
    }

    #[test]
    fn unknown_attributes_are_no_obstacle() {
        let known = attribute(libc::IFA_LOCAL, &[192, 0, 2, 10]);
        let unknown = attribute(4711, b"from the future");
        let label = attribute(libc::IFA_LABEL, b"eth0\xff\0");
        let read = address(&[unknown, known, label]).unwrap();
        assert_eq!(read.ip.to_string(), "192.0.2.10");
        assert_eq!(read.label.as_deref(), Some("eth0\u{fffd}"));
        assert!(read.flags.permanent);
    }

    #[test]
    fn attributes_that_are_used_must_parse() {
        for attributes in [
            vec![],
            vec![attribute(libc::IFA_LOCAL, &[192, 0, 2])],
            vec![attribute(libc::IFA_LOCAL, &[192, 0, 2, 10]), attribute(libc::IFA_FLAGS, &[1])],
            vec![attribute(libc::IFA_LOCAL, &[192, 0, 2, 10]), vec![200, 0, 1, 0]],
        ] {
            assert!(address(&attributes).is_err(), "{attributes:?}");
        }
    }

    #[test]
    fn flags_come_from_the_wide_attribute() {
        let ip = attribute(libc::IFA_LOCAL, &[192, 0, 2, 10]);
        let flags = attribute(libc::IFA_FLAGS, &0x208_u32.to_ne_bytes());
        let read = address(&[ip, flags]).unwrap();
        assert!(read.flags.noprefixroute && read.flags.dadfailed && !read.flags.permanent);
    }
}
