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
use crate::route::Route;

#[derive(Debug)]
pub(super) enum Message {
    Request(RouteNetlinkMessage),
    Link(Box<Link>),
    Address(Address),
    Route(Route),
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
            libc::RTM_NEWROUTE => {
                super::route::read(payload).map(|route| route.map_or(Self::Other, Self::Route))
            }
            _ => Ok(Self::Other),
        };
        Ok(read.unwrap_or_else(Self::Unreadable))
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        match self {
            Self::Request(request) => request.message_type(),
            // Answers are never sent; NOOP is what the kernel ignores.
            _ => 1,
        }
    }

    fn buffer_len(&self) -> usize {
        match self {
            Self::Request(request) => request.buffer_len(),
            _ => 0,
        }
    }

    fn serialize(&self, buffer: &mut [u8]) {
        if let Self::Request(request) = self {
            request.serialize(buffer);
        }
    }
}
