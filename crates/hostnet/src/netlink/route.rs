//! Routes over rtnetlink.

use std::fmt;
use std::net::IpAddr;

use deadline::Deadline;
use nix::libc;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage};

use super::handle::Netlink;
use super::interface::{Interface, no_such_link};
use super::message::RawMessage;
use super::route_record::RouteRecord;
use super::wire::address_family;
use crate::address::{Family, Prefix};
use crate::error::{Error, Result};
use crate::link::LinkIndex;
use crate::retry::retry;
use crate::route::{Route, RouteKind, RouteProtocol};

impl Netlink {
    /// The routes of a family in one table, such as [`crate::TABLE_MAIN`]; none if there is
    /// no such table.
    ///
    /// # Errors
    /// [`crate::Error::DumpInterrupted`], [`crate::Error::DumpIncomplete`],
    /// [`crate::Error::DeadlinePassed`], [`crate::Error::Refused`]
    pub fn routes(&self, family: Family, table: u32, until: Deadline) -> Result<Vec<Route>> {
        let filter = Filter { table: Some(table), ..Filter::of(family) };
        let found = self.dump_routes(&filter, until)?;
        Ok(found.into_iter().map(RouteRecord::into_route).collect())
    }

    /// The same of the routes that leave by one link; multipath routes are not among them.
    ///
    /// # Errors
    /// Those of [`Netlink::routes`]
    pub fn routes_by(
        &self,
        family: Family,
        table: u32,
        link: LinkIndex,
        until: Deadline,
    ) -> Result<Vec<Route>> {
        let filter = Filter { table: Some(table), link: Some(link), ..Filter::of(family) };
        let found = self.dump_routes(&filter, until)?;
        Ok(found.into_iter().map(RouteRecord::into_route).collect())
    }

    /// The same for one table or for all, with everything that the kernel reports of each route, so
    /// that it can be restored.
    ///
    /// The kernel does not mark dumps of routes that a change has interrupted: a route may be there
    /// twice (IPv6) or be missing if another one with the same destination is deleted during the
    /// dump.
    ///
    /// # Errors
    /// Those of [`Netlink::routes`]
    pub fn route_records(
        &self,
        family: Family,
        table: Option<u32>,
        until: Deadline,
    ) -> Result<Vec<RouteRecord>> {
        let filter = Filter { table, ..Filter::of(family) };
        self.dump_routes(&filter, until)
    }

    /// The routes of a protocol, such as [`RouteProtocol::OWN`], in all tables.
    ///
    /// # Errors
    /// Those of [`Netlink::routes`]
    pub fn route_records_of(
        &self,
        family: Family,
        protocol: RouteProtocol,
        until: Deadline,
    ) -> Result<Vec<RouteRecord>> {
        let filter = Filter { protocol: Some(protocol), ..Filter::of(family) };
        self.dump_routes(&filter, until)
    }

    /// What the kernel does with a packet of this host to `ip`; `None` if it has no route to it
    /// (`inet_rtm_getroute()`, `inet6_rtm_getroute()`).
    ///
    /// # Errors
    /// [`Error::DumpIncomplete`], [`Error::DeadlinePassed`], [`Error::Refused`]
    pub fn route_kind(&self, ip: IpAddr, until: Deadline) -> Result<Option<RouteKind>> {
        let family = Family::of(ip);
        let mut message = RouteMessage::default();
        message.header.address_family = address_family(family);
        message.header.destination_prefix_length = Prefix::host(family).length();
        message.attributes.push(RouteAttribute::Destination(ip.into()));
        let request = RawMessage::of(&RouteNetlinkMessage::GetRoute(message));
        let operation = format_args!("look up the route to {ip}");
        match self.connection.get::<RouteRecord>(operation, &request, until) {
            Ok(found) => Ok(Some(found.route().kind)),
            // Of a blackhole, an unreachable or prohibited destination, or none.
            Err(error)
                if matches!(
                    error.errno(),
                    Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EINVAL | libc::EACCES)
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds a route.
    ///
    /// # Errors
    /// [`Error::RouteExists`] if the table has a route to this destination with the same
    /// metric (and type of service), whatever its gateway; [`Error::NoSuchLink`],
    /// [`Error::PermissionDenied`], [`Error::NotAcknowledged`], [`Error::DeadlinePassed`],
    /// [`Error::Refused`], for example if the gateway can't be reached (`ENETUNREACH`) or the
    /// source address is not on this host (`EINVAL`).
    pub fn add_route(&self, record: &RouteRecord, until: Deadline) -> Result<()> {
        self.new_route("add", record, NLM_F_CREATE | NLM_F_EXCL, until)
    }

    /// Adds an IPv4 route before the ones to the same destination with the same metric, which stay:
    /// the kernel uses this one as long as it exists. (For IPv6 the kernel makes next hops of one
    /// route of them: use a lower metric there.)
    ///
    /// # Errors
    /// Those of [`Netlink::add_route`]; [`Error::RouteExists`] only for a route that is equal in
    /// everything.
    pub fn prepend_route(&self, record: &RouteRecord, until: Deadline) -> Result<()> {
        self.new_route("prepend", record, NLM_F_CREATE, until)
    }

    /// Deletes exactly this route; `Ok(false)` if no route is equal to it.
    ///
    /// The routes are read first, because to the kernel a metric of 0 or a missing source matches
    /// any: it may delete another route to the destination.
    ///
    /// # Errors
    /// Those of [`Netlink::routes`], [`Error::PermissionDenied`], [`Error::NotAcknowledged`]
    pub fn delete_route(&self, record: &RouteRecord, until: Deadline) -> Result<bool> {
        retry(until, |may_be_done| {
            let found = self.delete_equal_route(record, until)?;
            Ok(found || may_be_done)
        })
    }

    /// One attempt.
    fn delete_equal_route(&self, record: &RouteRecord, until: Deadline) -> Result<bool> {
        let route = record.route();
        let family = Family::of(route.destination.base());
        let (table, protocol) = (Some(route.table), Some(route.protocol));
        let filter = Filter { table, protocol, ..Filter::of(family) };
        let found = self.dump_routes(&filter, until)?;
        // The kernel compares the next hops of multipath routes itself.
        if !found.iter().any(|found| found.route() == route) {
            return Ok(false);
        }
        let request = RawMessage { kind: libc::RTM_DELROUTE, payload: record.request() };
        let operation = format_args!("delete the route {}", Named(route));
        match self.connection.change(operation, &request, 0, until) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.errno(), Some(libc::ESRCH | libc::ENODEV)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn new_route(
        &self,
        verb: &str,
        record: &RouteRecord,
        flags: u16,
        until: Deadline,
    ) -> Result<()> {
        let route = record.route();
        let request = RawMessage { kind: libc::RTM_NEWROUTE, payload: record.request() };
        let operation = format_args!("{verb} the route {}", Named(route));
        let added = retry(until, |may_be_done| {
            match self.connection.change(operation, &request, flags, until) {
                Err(error) if may_be_done && error.errno() == Some(libc::EEXIST) => Ok(()),
                added => added,
            }
        });
        added.map_err(|error| match (error.errno(), route.link) {
            (Some(libc::EEXIST), _) => Error::RouteExists { route: Named(route).to_string() },
            (_, Some(link)) => no_such_link(error, link),
            _ => error,
        })
    }

    fn dump_routes(&self, filter: &Filter, until: Deadline) -> Result<Vec<RouteRecord>> {
        let request = RawMessage::of(&RouteNetlinkMessage::GetRoute(filter.message()));
        let found = self.connection.dump("list the routes", &request, until);
        let mut found: Vec<RouteRecord> = match found {
            // There is no such table.
            Err(error) if error.errno() == Some(libc::ENOENT) => return Ok(Vec::new()),
            found => found?,
        };
        found.retain(|record| filter.matches(record.route()));
        Ok(found)
    }
}

/// A route with the name of its link, for messages.
struct Named<'a>(&'a Route);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, self.0.link.map(|link| Interface(link).name()).as_deref())
    }
}

/// The routes of a dump; filtered by the kernel, and here for kernels that don't.
struct Filter {
    family: Family,
    table: Option<u32>,
    protocol: Option<RouteProtocol>,
    link: Option<LinkIndex>,
}

impl Filter {
    /// All routes of a family.
    fn of(family: Family) -> Self {
        Self { family, table: None, protocol: None, link: None }
    }

    fn message(&self) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = address_family(self.family);
        // Numbers above 255 fit only into the attribute, which the kernel prefers in any case.
        message.attributes.extend(self.table.map(RouteAttribute::Table));
        message.attributes.extend(self.link.map(|link| RouteAttribute::Oif(link.get())));
        if let Some(protocol) = self.protocol {
            message.header.protocol = u8::from(protocol).into();
        }
        message
    }

    fn matches(&self, route: &Route) -> bool {
        Family::of(route.destination.base()) == self.family
            && self.table.is_none_or(|table| table == route.table)
            && self.protocol.is_none_or(|protocol| protocol == route.protocol)
            && self.link.is_none_or(|link| route.link == Some(link))
    }
}
