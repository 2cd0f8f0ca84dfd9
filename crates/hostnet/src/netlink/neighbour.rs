//! The cache of neighbours over rtnetlink.

use deadline::Deadline;
use nix::libc;
use rtnetlink::packet_core::DecodeError;

use super::address::ip;
use super::attribute::attributes;
use super::message::Request;
use super::rule::wire_family;
use super::{Message, Netlink};
use crate::address::Family;
use crate::error::Result;
use crate::link::{LinkIndex, MacAddress};
use crate::neighbour::Neighbour;

/// `sizeof(struct ndmsg)`: family, three bytes of padding, link (4), state (2), flags, type.
const HEADER_LENGTH: usize = 12;

impl Netlink {
    /// What this host believes about its neighbours of a family, on all links.
    ///
    /// The cache changes by itself: an entry that is missing says nothing.
    ///
    /// # Errors
    /// [`crate::Error::DumpInterrupted`], [`crate::Error::DumpIncomplete`],
    /// [`crate::Error::DeadlinePassed`], [`crate::Error::Refused`]
    pub fn neighbours(&self, family: Family, until: Deadline) -> Result<Vec<Neighbour>> {
        let mut header = vec![0; HEADER_LENGTH];
        if let Some(first) = header.first_mut() {
            *first = wire_family(family);
        }
        let request = Request::Raw { kind: libc::RTM_GETNEIGH, payload: header };
        self.dump("list the neighbours", request, until, |message| match message {
            Message::Neighbour(found) => Some(found).filter(|found| Family::of(found.ip) == family),
            _ => None,
        })
    }
}

/// `struct ndmsg`, then attributes `NDA_*`. `None` for families that are not IP (the forwarding
/// tables of bridges), and for entries without an address.
pub(super) fn read(payload: &[u8]) -> std::result::Result<Option<Neighbour>, DecodeError> {
    let Some((&[family, _, _, _, link @ .., state_low, state_high, flags, _], rest)) =
        payload.split_first_chunk::<HEADER_LENGTH>()
    else {
        return Err("a neighbour without its header".into());
    };
    let family = match i32::from(family) {
        libc::AF_INET => Family::V4,
        libc::AF_INET6 => Family::V6,
        _ => return Ok(None),
    };
    let link = LinkIndex::new(u32::from_ne_bytes(link)).ok_or("neighbour without a link")?;
    let (mut address, mut mac) = (None, None);
    for attribute in attributes(rest) {
        let attribute = attribute?;
        match attribute.kind {
            libc::NDA_DST => address = Some(ip(family, attribute.value)?),
            libc::NDA_LLADDR => mac = MacAddress::from_slice(attribute.value),
            _ => {}
        }
    }
    let state = u16::from_ne_bytes([state_low, state_high]).into();
    let router = flags & libc::NTF_ROUTER != 0;
    Ok(address.map(|ip| Neighbour { link, ip, mac, state, router }))
}
