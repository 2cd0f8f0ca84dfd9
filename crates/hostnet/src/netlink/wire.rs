//! Values as the kernel writes them into messages: attributes, addresses, names, families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::libc;
use rtnetlink::packet_core::{
    DecodeError, NLA_F_NESTED, NLA_F_NET_BYTEORDER, NLA_HEADER_SIZE, NlasIterator,
};
use rtnetlink::packet_route::AddressFamily;

use crate::address::Family;

type Result<T> = std::result::Result<T, DecodeError>;

/// One attribute (`struct nlattr`).
#[derive(Clone, Copy)]
pub(super) struct Attribute<'a> {
    /// Its type.
    pub(super) kind: u16,
    /// `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`, which travel in the field of the type.
    flags: u16,
    pub(super) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    pub(super) fn new(kind: u16, value: &'a [u8]) -> Self {
        Self { kind, flags: 0, value }
    }

    /// The same attribute with another value.
    pub(super) fn with_value(self, value: &'a [u8]) -> Self {
        Self { value, ..self }
    }

    /// Writes it: length (2), type (2), value, padded to four bytes, in the host's byte order.
    pub(super) fn push_to(self, attributes: &mut Vec<u8>) {
        // What is written here is far shorter than the 65531 bytes that a value may have.
        let length = NLA_HEADER_SIZE.saturating_add(self.value.len());
        attributes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
        attributes.extend((self.kind | self.flags).to_ne_bytes());
        attributes.extend(self.value);
        attributes.resize(attributes.len().next_multiple_of(4), 0);
    }
}

/// Reads attributes one after the other. A length that is not possible is an error and the end.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>>> {
    NlasIterator::new(bytes).map(|read| {
        let read = read?;
        let nested = if read.nested_flag() { NLA_F_NESTED } else { 0 };
        let network_order = if read.network_byte_order_flag() { NLA_F_NET_BYTEORDER } else { 0 };
        let (kind, end) = (read.kind(), usize::from(read.length()));
        let value = read.into_inner().get(NLA_HEADER_SIZE..end).unwrap_or_default();
        Ok(Attribute { kind, flags: nested | network_order, value })
    })
}

/// The attributes that follow the fixed header of `length` bytes.
pub(super) fn attributes_after(
    length: usize,
    payload: &[u8],
) -> impl Iterator<Item = Result<Attribute<'_>>> {
    attributes(payload.get(length..).unwrap_or_default())
}

pub(super) fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// An address of exactly the family's length.
pub(super) fn ip(family: Family, value: &[u8]) -> Result<IpAddr> {
    let read = match family {
        Family::V4 => <[u8; 4]>::try_from(value).map(|bytes| Ipv4Addr::from(bytes).into()),
        Family::V6 => <[u8; 16]>::try_from(value).map(|bytes| Ipv6Addr::from(bytes).into()),
    };
    read.map_err(|_| DecodeError::invalid_ip_address(value.len()))
}

/// A text up to its zero. Names are bytes to the kernel; one that is not UTF-8 can't be given as
/// a parameter in any case.
pub(super) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

pub(super) fn address_family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

/// `None` for families that are not IP.
pub(super) fn family_of(byte: u8) -> Option<Family> {
    match i32::from(byte) {
        libc::AF_INET => Some(Family::V4),
        libc::AF_INET6 => Some(Family::V6),
        _ => None,
    }
}

/// The header's field for a table has room for 255; the attribute counts.
pub(super) fn table_byte(table: u32) -> u8 {
    u8::try_from(table).unwrap_or(libc::RT_TABLE_COMPAT)
}
