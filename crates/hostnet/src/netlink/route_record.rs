//! Routes with everything that the kernel reports of them, so that they can be restored. Pure.

use std::fmt;
use std::net::IpAddr;

use nix::libc;
use rtnetlink::packet_core::{DecodeError, parse_i32, parse_u32};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteVia};

use super::message::{Object, RawMessage};
use super::wire::{
    Attribute, address_family, attributes, attributes_after, family_of, ip, octets, table_byte,
};
use crate::address::{Family, Lifetime, Network, Prefix, Scope};
use crate::link::LinkIndex;
use crate::route::{Route, RouteProtocol};

/// `sizeof(struct rtmsg)`: family, prefix lengths of destination and source, type of service,
/// table, protocol, scope, type, and one 32-bit word of flags.
const HEADER_LENGTH: usize = 12;
const SOURCE_LENGTH: usize = 2;
const TYPE_OF_SERVICE: usize = 3;
const PROTOCOL: usize = 5;
const FLAGS: usize = 8;

/// linux/rtnetlink.h; the only flag of a next hop that a request sets. The others are states.
const RTNH_F_ONLINK: u8 = 4;
/// linux/rtnetlink.h: the route's next hop is a nexthop object.
const RTA_NH_ID: u16 = 30;
/// linux/rtnetlink.h: the lifetime of an IPv6 route in seconds.
const RTA_EXPIRES: u16 = 23;
/// The place of `rta_expires` in `struct rta_cacheinfo`, in hundredths of a second (`USER_HZ`).
const EXPIRES: std::ops::Range<usize> = 8..12;
const USER_HZ: u32 = 100;
/// The metric of an IPv6 route where none is given (`IP6_RT_PRIO_USER`, linux/ipv6_route.h).
const IPV6_DEFAULT_METRIC: u32 = 1024;

/// A route with everything that the kernel reports of it (next hops, metrics, MTU, encapsulation,
/// nexthop object), so that it can be restored as it was.
///
/// Two records of the same route are equal, whenever they were read: counters, states and what is
/// left of its lifetime do not count.
#[derive(Clone)]
pub struct RouteRecord {
    route: Route,
    lifetime: Lifetime,
    /// `struct rtmsg` and attributes, as [`stateless`] leaves them.
    message: Vec<u8>,
}

impl RouteRecord {
    /// The fields of the route that have a type here.
    #[must_use]
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// Whether packets take the same way by both: the fields of the routes, the next hops of multipath routes,
    /// metrics such as the MTU, and encapsulation are equal. Records that are not equal can differ in what
    /// the kernel has added.
    #[must_use]
    pub fn is_same_way(&self, other: &Self) -> bool {
        let counts = |kind: u16| {
            matches!(
                kind,
                libc::RTA_MULTIPATH
                    | libc::RTA_METRICS
                    | libc::RTA_ENCAP
                    | libc::RTA_ENCAP_TYPE
                    | RTA_NH_ID
            )
        };
        let rest = |record: &Self| {
            record.keeping(counts).into_iter().skip(HEADER_LENGTH).collect::<Vec<_>>()
        };
        self.route == other.route && rest(self) == rest(other)
    }

    /// Whether it is only for packets of a type of service or (IPv6) from a source network.
    #[must_use]
    pub fn is_selective(&self) -> bool {
        let byte = |at: usize| self.message.get(at).copied().unwrap_or_default();
        byte(SOURCE_LENGTH) != 0 || byte(TYPE_OF_SERVICE) != 0
    }

    /// How long it exists (IPv6, from router advertisements): 0 if that is over, and then the kernel does not
    /// use it, although it lists it for some time. A copy with other fields has no end.
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    pub(super) fn into_route(self) -> Route {
        self.route
    }

    /// A route of these fields and nothing else, to be added. `link` must be set, unless the kind
    /// needs none.
    ///
    /// IPv6 routes have no scope, and metric 0 becomes 1024, as in the kernel.
    #[must_use]
    pub fn new(route: &Route) -> Self {
        let family = Family::of(route.destination.base());
        let mut route = route.clone();
        if family == Family::V6 {
            route.scope = Scope::Universe;
            if route.metric == 0 {
                route.metric = IPV6_DEFAULT_METRIC;
            }
        }
        let message = message(family, &route);
        let message = stateless(&message).unwrap_or(message);
        Self { route, lifetime: Lifetime::Forever, message }
    }

    /// The same route with a gateway that counts as reachable on the link even if no connected
    /// network contains it (`RTNH_F_ONLINK`). For routes with one next hop.
    #[must_use]
    pub fn onlink(mut self) -> Self {
        if let Some(flags) = self.message.get_mut(FLAGS..HEADER_LENGTH) {
            flags.copy_from_slice(&u32::from(RTNH_F_ONLINK).to_ne_bytes());
        }
        self
    }

    /// The same route with another source address.
    #[must_use]
    pub fn with_preferred_source(mut self, ip: IpAddr) -> Self {
        self.set(libc::RTA_PREFSRC, Some(&octets(ip)));
        self.route.preferred_source = Some(ip);
        self
    }

    /// The same route with another metric.
    #[must_use]
    pub fn with_metric(mut self, metric: u32) -> Self {
        // The kernel does not report the metric 0.
        let value = metric.to_ne_bytes();
        self.set(libc::RTA_PRIORITY, (metric != 0).then_some(&value[..]));
        self.route.metric = metric;
        self
    }

    /// The same route with another protocol, such as [`RouteProtocol::OWN`].
    #[must_use]
    pub fn with_protocol(mut self, protocol: RouteProtocol) -> Self {
        if let Some(byte) = self.message.get_mut(PROTOCOL) {
            *byte = protocol.into();
        }
        self.route.protocol = protocol;
        self
    }

    /// Sets an attribute, or removes it.
    fn set(&mut self, kind: u16, value: Option<&[u8]>) {
        let mut message = self.keeping(|found| found != kind);
        if let Some(value) = value {
            Attribute::new(kind, value).push_to(&mut message);
        }
        // The message has been read before, so that it can be read again.
        self.message = stateless(&message).unwrap_or(message);
        self.lifetime = Lifetime::Forever;
    }

    /// The message with only the attributes of these types.
    fn keeping(&self, keep: impl Fn(u16) -> bool) -> Vec<u8> {
        let (header, rest) = self.message.split_at(HEADER_LENGTH.min(self.message.len()));
        let mut message = header.to_vec();
        for attribute in attributes(rest).flatten().filter(|attribute| keep(attribute.kind)) {
            attribute.push_to(&mut message);
        }
        message
    }

    /// The payload of a request for it. Of a route by a nexthop object the kernel reports the next
    /// hops as well, but accepts only the object's number.
    pub(super) fn request(&self) -> Vec<u8> {
        let mut request = self.acceptable();
        if let Lifetime::Seconds(seconds) = self.lifetime {
            Attribute::new(RTA_EXPIRES, &seconds.to_ne_bytes()).push_to(&mut request);
        }
        request
    }

    /// The message without what the kernel does not accept.
    fn acceptable(&self) -> Vec<u8> {
        let rest = self.message.get(HEADER_LENGTH..).unwrap_or_default();
        if !attributes(rest).flatten().any(|attribute| attribute.kind == RTA_NH_ID) {
            return self.message.clone();
        }
        let mut request = self.keeping(|kind| {
            !matches!(
                kind,
                libc::RTA_OIF
                    | libc::RTA_GATEWAY
                    | libc::RTA_VIA
                    | libc::RTA_MULTIPATH
                    | libc::RTA_ENCAP
                    | libc::RTA_ENCAP_TYPE
            )
        });
        if let Some(flags) = request.get_mut(FLAGS..HEADER_LENGTH) {
            flags.fill(0);
        }
        request
    }
}

impl PartialEq for RouteRecord {
    fn eq(&self, other: &Self) -> bool {
        self.route == other.route && self.message == other.message
    }
}

impl Eq for RouteRecord {}

impl Object for RouteRecord {
    const KIND: u16 = libc::RTM_NEWROUTE;

    fn read(payload: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some(route) = read(payload)? else { return Ok(None) };
        // Routes of IPv4 have none.
        let lifetime = match route.destination.base() {
            IpAddr::V4(_) => Lifetime::Forever,
            IpAddr::V6(_) => lifetime(payload)?,
        };
        let message = stateless(payload)?;
        Ok(Some(Self { route, lifetime, message }))
    }
}

impl fmt::Debug for RouteRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RouteRecord").field(&self.route).finish()
    }
}

/// `struct rtmsg`, then attributes `RTA_*`.
fn message(family: Family, route: &Route) -> Vec<u8> {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: address_family(family),
        destination_prefix_length: route.destination.prefix().length(),
        table: table_byte(route.table),
        protocol: u8::from(route.protocol).into(),
        scope: u8::from(route.scope).into(),
        kind: u8::from(route.kind).into(),
        ..RouteHeader::default()
    };
    let destination =
        (route.destination.prefix().length() > 0).then(|| route.destination.base().into());
    let gateway = route.gateway.map(|gateway| match gateway {
        gateway if Family::of(gateway) == family => RouteAttribute::Gateway(gateway.into()),
        // A gateway of the other family (RFC 8950).
        IpAddr::V4(gateway) => RouteAttribute::Via(RouteVia::Inet(gateway)),
        IpAddr::V6(gateway) => RouteAttribute::Via(RouteVia::Inet6(gateway)),
    });
    let attributes = [
        Some(RouteAttribute::Table(route.table)),
        destination.map(RouteAttribute::Destination),
        route.link.map(|link| RouteAttribute::Oif(link.get())),
        gateway,
        route.preferred_source.map(|source| RouteAttribute::PrefSource(source.into())),
        (route.metric != 0).then_some(RouteAttribute::Priority(route.metric)),
    ];
    message.attributes.extend(attributes.into_iter().flatten());
    RawMessage::of(&RouteNetlinkMessage::NewRoute(message)).payload
}

/// What is left of the lifetime of the route (`RTA_CACHEINFO`); negative if it is over.
fn lifetime(payload: &[u8]) -> Result<Lifetime, DecodeError> {
    for attribute in attributes_after(HEADER_LENGTH, payload) {
        let attribute = attribute?;
        if attribute.kind == libc::RTA_CACHEINFO
            && let Some(expires) = attribute.value.get(EXPIRES)
            && let ticks = parse_i32(expires)?
            && ticks != 0
        {
            let seconds = u32::try_from(ticks).map_or(0, |ticks| ticks.div_ceil(USER_HZ));
            return Ok(Lifetime::Seconds(seconds));
        }
    }
    Ok(Lifetime::Forever)
}

/// The kernel's description of a route without counters (`RTA_CACHEINFO`) and states (dead,
/// linkdown, offloaded), which it refuses in a request. Attributes are sorted by their types, so
/// that equal routes have equal bytes.
fn stateless(payload: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let too_short = || DecodeError::from("a route without its header");
    let (header, rest) = payload.split_first_chunk::<HEADER_LENGTH>().ok_or_else(too_short)?;
    let [header @ .., a, b, c, d] = *header;
    let flags = u32::from_ne_bytes([a, b, c, d]) & u32::from(RTNH_F_ONLINK);
    let mut kept = attributes(rest).collect::<Result<Vec<_>, _>>()?;
    kept.retain(|attribute| attribute.kind != libc::RTA_CACHEINFO);
    kept.sort_by_key(|attribute| attribute.kind);
    let mut message = [&header[..], &flags.to_ne_bytes()].concat();
    for attribute in kept {
        if attribute.kind == libc::RTA_MULTIPATH {
            attribute.with_value(&next_hops(attribute.value)?).push_to(&mut message);
        } else {
            attribute.push_to(&mut message);
        }
    }
    Ok(message)
}

/// The next hops of a multipath route without their states: each `struct rtnexthop` (length
/// (2), flags, weight, link (4)), then attributes.
fn next_hops(mut bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut hops = Vec::with_capacity(bytes.len());
    while let [low, high, ..] = *bytes {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let hop = bytes.get(..length).filter(|hop| hop.len() >= 8);
        let mut hop = hop.ok_or("a next hop of a wrong length")?.to_vec();
        if let Some(flags) = hop.get_mut(2) {
            *flags &= RTNH_F_ONLINK;
        }
        hop.resize(length.next_multiple_of(4), 0);
        hops.extend(hop);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(hops)
}

/// `struct rtmsg`, then attributes `RTA_*`.
fn read(payload: &[u8]) -> Result<Option<Route>, DecodeError> {
    let header = RouteHeader::parse(payload)?;
    let Some(family) = family_of(header.address_family.into()) else { return Ok(None) };
    let unspecified: IpAddr = match family {
        Family::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let length = header.destination_prefix_length;
    let prefix = Prefix::new(family, length).map_err(|error| error.to_string())?;
    let mut route = Route {
        destination: Network::of(unspecified, prefix),
        link: None,
        gateway: None,
        preferred_source: None,
        scope: u8::from(header.scope).into(),
        table: header.table.into(),
        protocol: u8::from(header.protocol).into(),
        kind: u8::from(header.kind).into(),
        metric: 0,
    };
    for attribute in attributes_after(HEADER_LENGTH, payload) {
        let attribute = attribute?;
        let value = attribute.value;
        match attribute.kind {
            libc::RTA_DST => route.destination = Network::of(ip(family, value)?, prefix),
            libc::RTA_OIF => route.link = LinkIndex::new(parse_u32(value)?),
            libc::RTA_GATEWAY => route.gateway = Some(ip(family, value)?),
            // A gateway of the other family (RFC 8950): family, then the address.
            libc::RTA_VIA => {
                let via = value.get(2..).unwrap_or_default();
                let other = if via.len() == 4 { Family::V4 } else { Family::V6 };
                route.gateway = Some(ip(other, via)?);
            }
            libc::RTA_PREFSRC => route.preferred_source = Some(ip(family, value)?),
            libc::RTA_TABLE => route.table = parse_u32(value)?,
            libc::RTA_PRIORITY => route.metric = parse_u32(value)?,
            _ => {}
        }
    }
    Ok(Some(route))
}

#[cfg(test)]
mod tests;
