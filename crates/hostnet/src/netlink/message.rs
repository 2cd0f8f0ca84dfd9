//! A netlink message as bytes, and the trait of what is read from one.
//!
//! Answers are not received as messages of the packet crates, for two reasons. netlink-proto skips
//! a message that its type can't parse and only logs that, so that a dump with a hole looks
//! complete. And the packet crates parse every attribute, so that a single attribute of a newer
//! kernel makes the whole link unreadable. Here every message arrives, and only the attributes that
//! are used are parsed. If one of those can't be parsed, the dump fails.

use std::convert::Infallible;

use bytes::BytesMut;
use rtnetlink::packet_core::{
    DecodeError, NLMSG_OVERRUN, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable,
};
use rtnetlink::proto::{NetlinkCodec, NetlinkMessageCodec};

/// A message without its header: a request to be sent, or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawMessage {
    /// Its type (`nlmsg_type`).
    pub(super) kind: u16,
    /// What follows the header.
    pub(super) payload: Vec<u8>,
}

impl RawMessage {
    /// The bytes of a packet crate's message.
    pub(super) fn of(message: &impl NetlinkSerializable) -> Self {
        let mut payload = vec![0; message.buffer_len()];
        message.serialize(&mut payload);
        Self { kind: message.message_type(), payload }
    }
}

impl NetlinkSerializable for RawMessage {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.payload.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        // The buffer is buffer_len() long.
        buffer.iter_mut().zip(&self.payload).for_each(|(to, from)| *to = *from);
    }
}

impl NetlinkDeserializable for RawMessage {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        Ok(Self { kind: header.message_type, payload: payload.to_vec() })
    }
}

/// An object of the kernel, such as a link, that a message describes.
pub(super) trait Object: Sized {
    /// The type of the messages that describe such an object.
    const KIND: u16;

    /// Reads the payload of such a message; `None` if it describes an object that this crate does
    /// not deal with, such as an address that is neither IPv4 nor IPv6.
    ///
    /// # Errors
    /// An attribute that is used has another length than it must have, or is missing.
    fn read(payload: &[u8]) -> Result<Option<Self>, DecodeError>;
}

/// The codec of netlink-proto, except for a datagram that was cut off. The original drops the rest
/// of it and continues with the next one. Here the message that was cut off is answered with
/// `NLMSG_OVERRUN`, which the kernel never sends, in its place: asking again would be of no use.
pub(super) struct WholeDatagrams;

impl WholeDatagrams {
    /// `None` if not even the header is whole, so that it answers no request.
    fn cut_off<T>(start: &[u8]) -> Option<NetlinkMessage<T>>
    where
        T: NetlinkDeserializable + std::fmt::Debug,
    {
        // struct nlmsghdr: length (4), type (2), flags (2), sequence number (4), port (4).
        let number = start.get(8..12)?.try_into().ok()?;
        let mut header = NetlinkHeader::default();
        header.message_type = NLMSG_OVERRUN;
        header.sequence_number = u32::from_ne_bytes(number);
        Some(NetlinkMessage::new(header, NetlinkPayload::Overrun(Vec::new())))
    }
}

impl NetlinkMessageCodec for WholeDatagrams {
    fn decode<T>(datagram: &mut BytesMut) -> std::io::Result<Option<NetlinkMessage<T>>>
    where
        T: NetlinkDeserializable + std::fmt::Debug,
    {
        let cut_off = Self::cut_off(datagram);
        let is_empty = datagram.is_empty();
        match NetlinkCodec::decode(datagram)? {
            None if !is_empty && cut_off.is_some() => Ok(cut_off),
            None if !is_empty => Err(std::io::Error::other("a netlink datagram was cut off")),
            decoded => Ok(decoded),
        }
    }

    fn encode<T>(message: NetlinkMessage<T>, buffer: &mut BytesMut) -> std::io::Result<()>
    where
        T: NetlinkSerializable + std::fmt::Debug,
    {
        NetlinkCodec::encode(message, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(messages: usize) -> BytesMut {
        let message = RawMessage { kind: 16, payload: vec![1, 2, 3, 4] };
        let mut message =
            NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::InnerMessage(message));
        message.header.sequence_number = 7;
        message.finalize();
        let mut bytes = BytesMut::new();
        for _ in 0..messages {
            WholeDatagrams::encode(message.clone(), &mut bytes).unwrap();
        }
        bytes
    }

    /// How many messages are whole; `None` in place of the number if one was cut off.
    fn decoded(mut datagram: BytesMut) -> std::io::Result<Option<usize>> {
        let mut count = 0;
        while let Some(message) = WholeDatagrams::decode::<RawMessage>(&mut datagram)? {
            assert_eq!(message.header.sequence_number, 7);
            if message.payload == NetlinkPayload::Overrun(Vec::new()) {
                assert!(datagram.is_empty());
                return Ok(None);
            }
            let expected = RawMessage { kind: 16, payload: vec![1, 2, 3, 4] };
            assert_eq!(message.payload, NetlinkPayload::InnerMessage(expected));
            count += 1;
        }
        Ok(Some(count))
    }

    #[test]
    fn a_datagram_is_decoded_whole_or_not_at_all() {
        assert_eq!(decoded(datagram(0)).unwrap(), Some(0));
        assert_eq!(decoded(datagram(3)).unwrap(), Some(3));
        let whole = datagram(3);
        for length in (1..whole.len()).filter(|length| length % 20 != 0) {
            match decoded(whole[..length].into()) {
                Ok(complete) => assert_eq!(complete, None, "{length}"),
                Err(_) => assert!(length % 20 < 12, "{length}"),
            }
        }
    }
}
