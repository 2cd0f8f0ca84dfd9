//! What travels on the connection: requests as the packet crate writes them, answers as our
//! value types.
//!
//! Answers are read attribute by attribute, and only the attributes that we use: a kernel
//! newer than the packet crate may send attributes it can't parse, and a link of another
//! kind must not make every dump of links fail. What we do use must parse, else the message is
//! [`Message::Unreadable`], never skipped.

use std::convert::Infallible;

use nix::libc;
use rtnetlink::packet_core::{
    DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable,
};
use rtnetlink::packet_route::RouteNetlinkMessage;

use crate::address::Address;
use crate::link::Link;
use crate::neighbour::Neighbour;
use crate::rule::Rule;

use super::route_record::RouteRecord;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) enum Request {
    /// As the packet crate writes it.
    Typed(RouteNetlinkMessage),
    /// As written here, byte for byte: what the kernel has said goes back unchanged, also where
    /// the packet crate would not know it.
    Raw { kind: u16, payload: Vec<u8> },
}

impl From<RouteNetlinkMessage> for Request {
    fn from(message: RouteNetlinkMessage) -> Self {
        Self::Typed(message)
    }
}

#[derive(Debug)]
pub(super) enum Message {
    Request(Request),
    Link(Box<Link>),
    Address(Address),
    Route(Box<RouteRecord>),
    Rule(Box<Rule>),
    Neighbour(Neighbour),
    /// Of a kind nobody here asks for.
    Other,
    /// Of a kind we ask for, but not understood.
    Unreadable(DecodeError),
}

impl NetlinkDeserializable for Message {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        let read = match header.message_type {
            libc::RTM_NEWLINK => super::link::read(payload).map(|link| Self::Link(Box::new(link))),
            libc::RTM_NEWADDR => super::address::read(payload)
                .map(|address| address.map_or(Self::Other, Self::Address)),
            libc::RTM_NEWROUTE => RouteRecord::read(payload)
                .map(|route| route.map_or(Self::Other, |route| Self::Route(Box::new(route)))),
            libc::RTM_NEWRULE => super::rule::read(payload)
                .map(|rule| rule.map_or(Self::Other, |rule| Self::Rule(Box::new(rule)))),
            libc::RTM_NEWNEIGH => super::neighbour::read(payload)
                .map(|found| found.map_or(Self::Other, Self::Neighbour)),
            _ => Ok(Self::Other),
        };
        Ok(read.unwrap_or_else(Self::Unreadable))
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        match self {
            Self::Request(Request::Typed(request)) => request.message_type(),
            Self::Request(Request::Raw { kind, .. }) => *kind,
            // Answers are never sent; NOOP is what the kernel ignores.
            _ => 1,
        }
    }

    fn buffer_len(&self) -> usize {
        match self {
            Self::Request(Request::Typed(request)) => request.buffer_len(),
            Self::Request(Request::Raw { payload, .. }) => payload.len(),
            _ => 0,
        }
    }

    fn serialize(&self, buffer: &mut [u8]) {
        match self {
            Self::Request(Request::Typed(request)) => request.serialize(buffer),
            Self::Request(Request::Raw { payload, .. }) => {
                // The caller has made it as long as buffer_len() said.
                buffer.iter_mut().zip(payload).for_each(|(to, from)| *to = *from);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(message_type: u16) -> NetlinkHeader {
        let mut header = NetlinkHeader::default();
        header.message_type = message_type;
        header
    }

    /// An attribute: length, type, value, padding to four bytes.
    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn address(attributes: &[Vec<u8>]) -> Message {
        // struct ifaddrmsg: family, prefix length, flags, scope, index.
        let mut bytes = vec![2, 24, 0x80, 0, 3, 0, 0, 0];
        bytes.extend(attributes.concat());
        Message::deserialize(&header(libc::RTM_NEWADDR), &bytes).unwrap()
    }

    #[test]
    fn attributes_nobody_knows_are_no_obstacle() {
        let known = attribute(libc::IFA_LOCAL, &[192, 0, 2, 10]);
        let unknown = attribute(4711, b"from the future");
        let label = attribute(libc::IFA_LABEL, b"eth0\xff\0");
        let Message::Address(read) = address(&[unknown, known, label]) else { panic!() };
        assert_eq!(read.ip.to_string(), "192.0.2.10");
        assert_eq!(read.label.as_deref(), Some("eth0\u{fffd}"));
        assert!(read.flags.permanent);
    }

    #[test]
    fn what_we_use_must_parse() {
        for attributes in [
            vec![],
            vec![attribute(libc::IFA_LOCAL, &[192, 0, 2])],
            vec![attribute(libc::IFA_LOCAL, &[192, 0, 2, 10]), attribute(libc::IFA_FLAGS, &[1])],
            vec![attribute(libc::IFA_LOCAL, &[192, 0, 2, 10]), vec![200, 0, 1, 0]],
        ] {
            let read = address(&attributes);
            assert!(matches!(read, Message::Unreadable(_)), "{attributes:?}: {read:?}");
        }
    }

    #[test]
    fn flags_come_from_the_wide_attribute() {
        let ip = attribute(libc::IFA_LOCAL, &[192, 0, 2, 10]);
        let flags = attribute(libc::IFA_FLAGS, &0x208_u32.to_ne_bytes());
        let Message::Address(read) = address(&[ip, flags]) else { panic!() };
        assert!(read.flags.noprefixroute && read.flags.dadfailed && !read.flags.permanent);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(
            kind in prop::sample::select(vec![libc::RTM_NEWLINK, libc::RTM_NEWADDR, libc::RTM_NEWROUTE, libc::RTM_NEWRULE, libc::RTM_NEWNEIGH, 1234]),
            family in prop::sample::select(vec![0_u8, 2, 10, 7]),
            mut bytes: Vec<u8>,
        ) {
            let _ = Message::deserialize(&header(kind), &bytes);
            if let Some(first) = bytes.first_mut() {
                *first = family;
            }
            let _ = Message::deserialize(&header(kind), &bytes);
        }
    }
}
