//! Links over rtnetlink.

use std::time::Duration;
use std::{fmt, io};

use deadline::Deadline;
use nix::libc;
use rtnetlink::LinkUnspec;
use rtnetlink::packet_core::{DecodeError, parse_u8, parse_u32};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{
    LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkLayerType, LinkMessage,
};

use super::handle::Netlink;
use super::interface::{Interface, no_such_link};
use super::message::{Object, RawMessage};
use super::wire::{attributes, attributes_after, text};
use crate::error::{Error, Result};
use crate::link::{Link, LinkIndex, LinkName, MacAddress, OperationalState};
use crate::retry::retry;

/// Pause between two readings of a link that is waited for. Reading costs less than a subscription
/// with its overruns, and 20 ms is short compared with the seconds that a switch port takes.
const REREAD: Duration = Duration::from_millis(20);

impl Netlink {
    /// Every link of the namespace.
    ///
    /// # Errors
    /// [`Error::DumpInterrupted`], [`Error::DumpIncomplete`], [`Error::DeadlinePassed`],
    /// [`Error::Refused`]
    pub fn links(&self, until: Deadline) -> Result<Vec<Link>> {
        self.connection.dump("list the interfaces", &request(LinkMessage::default()), until)
    }

    /// The link with this name or alternative name; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::DumpIncomplete`], [`Error::DeadlinePassed`], [`Error::Refused`]
    pub fn link_by_name(&self, name: &LinkName, until: Deadline) -> Result<Option<Link>> {
        // The kernel looks IFLA_IFNAME up among alternative names as well, but that attribute has
        // room for 15 bytes only.
        if name.is_alternative_only() {
            return Ok(self.links(until)?.into_iter().find(|link| link.is_called(name)));
        }
        let wanted = LinkUnspec::new_with_name(name.as_str()).build();
        self.one_link(format_args!("look up interface {name}"), wanted, until)
    }

    /// The link with this number; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::DumpIncomplete`], [`Error::DeadlinePassed`], [`Error::Refused`]
    pub fn link_by_index(&self, index: LinkIndex, until: Deadline) -> Result<Option<Link>> {
        let wanted = LinkUnspec::new_with_index(index.get()).build();
        self.one_link(format_args!("look up {}", Interface(index)), wanted, until)
    }

    /// Brings a link administratively up.
    ///
    /// # Errors
    /// [`Error::NoSuchLink`], [`Error::PermissionDenied`], [`Error::NotAcknowledged`],
    /// [`Error::DeadlinePassed`], [`Error::Refused`]
    pub fn set_link_up(&self, index: LinkIndex, until: Deadline) -> Result<()> {
        let message = LinkUnspec::new_with_index(index.get()).up().build();
        self.set_link(index, message, "up", until)
    }

    /// Takes a link administratively down, to undo [`Netlink::set_link_up`].
    ///
    /// # Errors
    /// Those of [`Netlink::set_link_up`]
    pub fn set_link_down(&self, index: LinkIndex, until: Deadline) -> Result<()> {
        let message = LinkUnspec::new_with_index(index.get()).down().build();
        self.set_link(index, message, "down", until)
    }

    fn set_link(
        &self,
        index: LinkIndex,
        message: LinkMessage,
        word: &str,
        until: Deadline,
    ) -> Result<()> {
        let request = RawMessage::of(&RouteNetlinkMessage::SetLink(message));
        let operation = format_args!("bring {} {word}", Interface(index));
        // The same change twice has no other effect than once.
        retry(until, |_| self.connection.change(operation, &request, 0, until))
            .map_err(|error| no_such_link(error, index))
    }

    /// The link, as soon as `condition` holds for it, or as it is at the deadline.
    ///
    /// # Errors
    /// [`Error::NoSuchLink`] if it is deleted, and those of [`Netlink::link_by_index`].
    /// [`Error::DeadlinePassed`] only if the link could not be read once by the deadline.
    pub fn wait_for_link(
        &self,
        index: LinkIndex,
        until: Deadline,
        condition: impl Fn(&Link) -> bool,
    ) -> Result<Link> {
        let mut last = None;
        loop {
            let link = match self.link_by_index(index, until) {
                Ok(Some(link)) => link,
                Ok(None) => {
                    let link = Interface(index).to_string();
                    let source = io::Error::from_raw_os_error(libc::ENODEV);
                    return Err(Error::NoSuchLink { link, source });
                }
                Err(Error::DeadlinePassed { operation }) => {
                    return last.ok_or(Error::DeadlinePassed { operation });
                }
                Err(error) => return Err(error),
            };
            let left = until.remaining();
            if condition(&link) || left.is_zero() {
                return Ok(link);
            }
            last = Some(link);
            std::thread::sleep(REREAD.min(left));
        }
    }

    fn one_link(
        &self,
        operation: fmt::Arguments<'_>,
        wanted: LinkMessage,
        until: Deadline,
    ) -> Result<Option<Link>> {
        match self.connection.get(operation, &request(wanted), until) {
            Ok(link) => Ok(Some(link)),
            Err(error) if error.errno() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A request for links without their counters, which are half of an answer and cost the kernel a
/// walk over every CPU.
fn request(mut wanted: LinkMessage) -> RawMessage {
    wanted.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    RawMessage::of(&RouteNetlinkMessage::GetLink(wanted))
}

impl Object for Link {
    const KIND: u16 = libc::RTM_NEWLINK;

    /// `struct ifinfomsg`, then attributes `IFLA_*`.
    fn read(payload: &[u8]) -> std::result::Result<Option<Self>, DecodeError> {
        let mut link = from_header(&LinkHeader::parse(payload)?)?;
        let (mut named, mut elsewhere) = (false, false);
        for attribute in attributes_after(size_of::<libc::ifinfomsg>(), payload) {
            let attribute = attribute?;
            let value = attribute.value;
            match attribute.kind {
                libc::IFLA_IFNAME => {
                    link.name = LinkName::from_kernel(text(value));
                    named = true;
                }
                libc::IFLA_ADDRESS => link.mac = MacAddress::from_slice(value),
                libc::IFLA_BROADCAST => link.broadcast = MacAddress::from_slice(value),
                libc::IFLA_CARRIER_DOWN_COUNT => link.carrier_losses = parse_u32(value)?,
                libc::IFLA_OPERSTATE => link.operstate = parse_u8(value)?.into(),
                libc::IFLA_MTU => link.mtu = parse_u32(value)?,
                libc::IFLA_LINK => link.lower = LinkIndex::new(parse_u32(value)?),
                // IFLA_LINK is then a number of another namespace: a container's macvlan, a veth.
                libc::IFLA_LINK_NETNSID => elsewhere = true,
                libc::IFLA_MASTER => link.controller = LinkIndex::new(parse_u32(value)?),
                libc::IFLA_LINKINFO => {
                    link.kind = nested(value, libc::IFLA_INFO_KIND)?.pop();
                    link.controller_kind = nested(value, libc::IFLA_INFO_SLAVE_KIND)?.pop();
                }
                libc::IFLA_PROP_LIST => link.altnames = nested(value, libc::IFLA_ALT_IFNAME)?,
                _ => {}
            }
        }
        if elsewhere {
            link.lower = None;
        }
        if named { Ok(Some(link)) } else { Err("link without a name".into()) }
    }
}

/// A link of which only the header of its message has been read.
fn from_header(header: &LinkHeader) -> std::result::Result<Link, DecodeError> {
    let flags = header.flags;
    Ok(Link {
        index: LinkIndex::new(header.index).ok_or("link without an index")?,
        name: LinkName::from_kernel(String::new()),
        altnames: Vec::new(),
        mac: None,
        broadcast: None,
        ethernet: header.link_layer_type == LinkLayerType::Ether,
        admin_up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        carrier_losses: 0,
        operstate: OperationalState::Unknown,
        loopback: flags.contains(LinkFlags::Loopback),
        noarp: flags.contains(LinkFlags::Noarp),
        point_to_point: flags.contains(LinkFlags::Pointopoint),
        kind: None,
        lower: None,
        controller: None,
        controller_kind: None,
        mtu: 0,
    })
}

/// The text attributes of type `kind` inside a nest.
fn nested(nest: &[u8], kind: u16) -> std::result::Result<Vec<String>, DecodeError> {
    let mut found = Vec::new();
    for attribute in attributes(nest) {
        let attribute = attribute?;
        if attribute.kind == kind {
            found.push(text(attribute.value));
        }
    }
    Ok(found)
}
