//! Attributes as bytes: what a message carries behind its header.

use rtnetlink::packet_core::{
    DecodeError, NLA_F_NESTED, NLA_F_NET_BYTEORDER, NLA_HEADER_SIZE, NlasIterator,
};

/// One attribute.
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

    /// The same with another value.
    pub(super) fn of(self, value: &'a [u8]) -> Self {
        Self { value, ..self }
    }

    /// Writes it: length (2), type (2), value, padded to four bytes, in the host's byte order.
    pub(super) fn push_to(self, attributes: &mut Vec<u8>) {
        // What we write, or have read, is far shorter than the 65531 bytes there is room for.
        let length = NLA_HEADER_SIZE.saturating_add(self.value.len());
        attributes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
        attributes.extend((self.kind | self.flags).to_ne_bytes());
        attributes.extend(self.value);
        attributes.resize(attributes.len().next_multiple_of(4), 0);
    }
}

/// Reads attributes one after the other; what does not add up is an error, then the end.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, DecodeError>> {
    NlasIterator::new(bytes).map(|read| {
        let read = read?;
        let nested = if read.nested_flag() { NLA_F_NESTED } else { 0 };
        let network_order = if read.network_byte_order_flag() { NLA_F_NET_BYTEORDER } else { 0 };
        let (kind, end) = (read.kind(), usize::from(read.length()));
        let value = read.into_inner().get(NLA_HEADER_SIZE..end).unwrap_or_default();
        Ok(Attribute { kind, flags: nested | network_order, value })
    })
}

/// An IP address as its bytes.
pub(super) fn octets(ip: std::net::IpAddr) -> Vec<u8> {
    match ip {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}
