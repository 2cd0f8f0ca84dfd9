//! Links over rtnetlink.

use std::time::Duration;

use deadline::Deadline;
use nix::libc;
use rtnetlink::packet_core::{
    DecodeError, NLA_TYPE_MASK, NlaBuffer, NlasIterator, parse_u8, parse_u32,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{
    LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkLayerType, LinkMessage,
};

use super::{Message, Netlink};
use crate::error::{Error, Result};
use crate::link::{Link, LinkIndex, LinkName, MacAddress, OperationalState};

/// How often a link is read while it is waited for. Reading costs less than a subscription
/// with its overruns, and 20 ms is small against the seconds a switch port takes.
const REREAD: Duration = Duration::from_millis(20);

impl Netlink {
    /// Every link of the namespace.
    ///
    /// # Errors
    /// [`Error::DumpInterrupted`], [`Error::DumpIncomplete`], [`Error::DeadlinePassed`],
    /// [`Error::Refused`]
    pub fn links(&self, until: Deadline) -> Result<Vec<Link>> {
        let request = RouteNetlinkMessage::GetLink(request());
        self.dump("list the interfaces", request, until, link_of)
    }

    /// The link called `name`, be it its name or an alternative name; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::DumpIncomplete`], [`Error::DeadlinePassed`], [`Error::Refused`]
    pub fn link_by_name(&self, name: &LinkName, until: Deadline) -> Result<Option<Link>> {
        // The kernel finds alternative names under IFLA_IFNAME too, but that attribute has room
        // for 15 bytes only.
        if name.is_alternative_only() {
            return Ok(self.links(until)?.into_iter().find(|link| link.is_called(name)));
        }
        let mut wanted = request();
        wanted.attributes.push(LinkAttribute::IfName(name.as_str().to_owned()));
        self.one_link(&format!("look up interface {name}"), wanted, until)
    }

    /// The link with this number; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::DumpIncomplete`], [`Error::DeadlinePassed`], [`Error::Refused`]
    pub fn link_by_index(&self, index: LinkIndex, until: Deadline) -> Result<Option<Link>> {
        let mut wanted = request();
        wanted.header.index = index.get();
        self.one_link(&format!("look up interface {index}"), wanted, until)
    }

    /// Brings a link administratively up.
    ///
    /// # Errors
    /// [`Error::NoSuchLink`], [`Error::PermissionDenied`], [`Error::NotAcknowledged`],
    /// [`Error::DeadlinePassed`], [`Error::Refused`]
    pub fn set_link_up(&self, index: LinkIndex, until: Deadline) -> Result<()> {
        self.set_link(index, LinkFlags::Up, "up", until)
    }

    /// Takes a link administratively down, to put back what [`Netlink::set_link_up`] did.
    ///
    /// # Errors
    /// Those of [`Netlink::set_link_up`]
    pub fn set_link_down(&self, index: LinkIndex, until: Deadline) -> Result<()> {
        self.set_link(index, LinkFlags::empty(), "down", until)
    }

    fn set_link(
        &self,
        index: LinkIndex,
        flags: LinkFlags,
        word: &str,
        until: Deadline,
    ) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index.get();
        message.header.flags = flags;
        message.header.change_mask = LinkFlags::Up;
        let operation = format!("bring interface {index} {word}");
        self.change(&operation, RouteNetlinkMessage::SetLink(message), 0, until)
            .map_err(|error| no_such_link(error, index))
    }

    /// The link, as soon as `condition` holds for it, or as it is when `until` has come.
    /// At least one look is taken, if the deadline leaves room for it.
    ///
    /// # Errors
    /// [`Error::NoSuchLink`] if it goes, and those of [`Netlink::link_by_index`].
    /// [`Error::DeadlinePassed`] only if `until` had passed before the first look.
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
                    let source = std::io::Error::from_raw_os_error(libc::ENODEV);
                    return Err(Error::NoSuchLink { link: format!("interface {index}"), source });
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
        operation: &str,
        wanted: LinkMessage,
        until: Deadline,
    ) -> Result<Option<Link>> {
        match self.get(operation, RouteNetlinkMessage::GetLink(wanted), until) {
            Ok(Message::Link(link)) => Ok(Some(*link)),
            Ok(_) => Err(Error::DumpIncomplete {
                operation: operation.to_owned(),
                why: "something else was answered".to_owned(),
            }),
            Err(error) if error.errno() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// `ENODEV` says which link is meant only to those who asked.
pub(super) fn no_such_link(error: Error, index: LinkIndex) -> Error {
    match error {
        Error::Refused { source, .. } if source.raw_os_error() == Some(libc::ENODEV) => {
            Error::NoSuchLink { link: format!("interface {index}"), source }
        }
        other => other,
    }
}

/// A request without the counters, which are half of an answer and cost the kernel a walk
/// over every CPU.
fn request() -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    message
}

fn link_of(message: Message) -> Option<Link> {
    match message {
        Message::Link(link) => Some(*link),
        _ => None,
    }
}

/// `struct ifinfomsg`, then attributes `IFLA_*`.
pub(super) fn read(payload: &[u8]) -> std::result::Result<Link, DecodeError> {
    let header = LinkHeader::parse(payload)?;
    let index = LinkIndex::new(header.index).ok_or("link without an index")?;
    let flags = header.flags;
    let mut link = Link {
        index,
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
        mtu: 0,
    };
    let (mut named, mut elsewhere) = (false, false);
    let attributes = payload.get(size_of::<libc::ifinfomsg>()..).unwrap_or_default();
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() & NLA_TYPE_MASK {
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
            // Then IFLA_LINK is a number of another namespace: a container's macvlan, a veth.
            libc::IFLA_LINK_NETNSID => elsewhere = true,
            libc::IFLA_MASTER => link.controller = LinkIndex::new(parse_u32(value)?),
            libc::IFLA_LINKINFO => link.kind = nested(value, libc::IFLA_INFO_KIND)?.pop(),
            libc::IFLA_PROP_LIST => link.altnames = nested(value, libc::IFLA_ALT_IFNAME)?,
            _ => {}
        }
    }
    if elsewhere {
        link.lower = None;
    }
    if named { Ok(link) } else { Err("link without a name".into()) }
}

/// The text attributes of type `kind` inside a nest.
fn nested(nest: &[u8], kind: u16) -> std::result::Result<Vec<String>, DecodeError> {
    let mut found = Vec::new();
    for attribute in NlasIterator::new(nest) {
        let attribute: NlaBuffer<_> = attribute?;
        if attribute.kind() & NLA_TYPE_MASK == kind {
            found.push(text(attribute.value()));
        }
    }
    Ok(found)
}

/// Names are bytes to the kernel; what is not UTF-8 can't be asked for anyway.
pub(super) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}
