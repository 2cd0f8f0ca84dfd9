//! Routes over rtnetlink.

use std::fmt;

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
use crate::address::Family;
use crate::error::{Error, Result};
use crate::route::{Route, RouteProtocol};

impl Netlink {
    /// The routes of a family in one table, such as [`crate::TABLE_MAIN`]; none if there is
    /// no such table.
    ///
    /// # Errors
    /// [`crate::Error::DumpInterrupted`], [`crate::Error::DumpIncomplete`],
    /// [`crate::Error::DeadlinePassed`], [`crate::Error::Refused`]
    pub fn routes(&self, family: Family, table: u32, until: Deadline) -> Result<Vec<Route>> {
        let wanted = Wanted { family, table: Some(table), protocol: None };
        let found = self.dump_routes(&wanted, until)?;
        Ok(found.into_iter().map(RouteRecord::into_route).collect())
    }

    /// The same, each route whole, of one table or of all, such as to put them back later.
    ///
    /// The kernel does not mark dumps of routes that a change has interrupted: a route that
    /// stays may be told twice (IPv6) or be passed over, if one with the same destination
    /// goes at the same moment.
    ///
    /// # Errors
    /// Those of [`Netlink::routes`]
    pub fn route_records(
        &self,
        family: Family,
        table: Option<u32>,
        until: Deadline,
    ) -> Result<Vec<RouteRecord>> {
        let wanted = Wanted { family, table, protocol: None };
        self.dump_routes(&wanted, until)
    }

    /// The routes that `protocol` made, in all tables, such as ours ([`RouteProtocol::OWN`]).
    ///
    /// # Errors
    /// Those of [`Netlink::routes`]
    pub fn route_records_of(
        &self,
        family: Family,
        protocol: RouteProtocol,
        until: Deadline,
    ) -> Result<Vec<RouteRecord>> {
        let wanted = Wanted { family, table: None, protocol: Some(protocol) };
        self.dump_routes(&wanted, until)
    }

    /// Adds a route, acknowledged by the kernel.
    ///
    /// # Errors
    /// [`Error::RouteExists`] if the table has a route to this destination with the same
    /// metric (and type of service), whatever its gateway; [`Error::NoSuchLink`],
    /// [`Error::PermissionDenied`], [`Error::NotAcknowledged`], [`Error::DeadlinePassed`],
    /// [`Error::Refused`], for one if the gateway can't be reached (`ENETUNREACH`) or the
    /// source address is not on this host (`EINVAL`).
    pub fn add_route(&self, record: &RouteRecord, until: Deadline) -> Result<()> {
        self.new_route("add", record, NLM_F_CREATE | NLM_F_EXCL, until)
    }

    /// Adds an IPv4 route before those to the same destination with the same metric, which stay:
    /// this one is used as long as it is there. (For IPv6 the kernel would make next hops of
    /// one route of them; use a lower metric there.)
    ///
    /// # Errors
    /// Those of [`Netlink::add_route`]; [`Error::RouteExists`] only for one that is the same in
    /// everything.
    pub fn prepend_route(&self, record: &RouteRecord, until: Deadline) -> Result<()> {
        self.new_route("prepend", record, NLM_F_CREATE, until)
    }

    /// Deletes exactly this route; `Ok(false)` if there is none like it.
    ///
    /// Looked for first, because for the kernel a metric of 0 or a missing source fits any: it
    /// would delete another route to the destination instead.
    ///
    /// # Errors
    /// Those of [`Netlink::routes`], [`Error::PermissionDenied`], [`Error::NotAcknowledged`]
    pub fn delete_route(&self, record: &RouteRecord, until: Deadline) -> Result<bool> {
        let route = record.route();
        let family = Family::of(route.destination.base());
        let (table, protocol) = (Some(route.table), Some(route.protocol));
        let found = self.dump_routes(&Wanted { family, table, protocol }, until)?;
        // The kernel compares the next hops of multipath routes itself.
        if !found.iter().any(|found| found.route() == route) {
            return Ok(false);
        }
        let request = RawMessage { kind: libc::RTM_DELROUTE, payload: record.request() };
        let operation = format_args!("delete the route {}", Named(route));
        match self.connection.change(operation, request, 0, until) {
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
        self.connection.change(operation, request, flags, until).map_err(|error| {
            match (error.errno(), route.link) {
                (Some(libc::EEXIST), _) => Error::RouteExists { route: Named(route).to_string() },
                (_, Some(link)) => no_such_link(error, link),
                _ => error,
            }
        })
    }

    fn dump_routes(&self, wanted: &Wanted, until: Deadline) -> Result<Vec<RouteRecord>> {
        let request = RawMessage::of(&RouteNetlinkMessage::GetRoute(wanted.message()));
        let found = self.connection.dump("list the routes", &request, until);
        let mut found: Vec<RouteRecord> = match found {
            // There is no such table.
            Err(error) if error.errno() == Some(libc::ENOENT) => return Ok(Vec::new()),
            found => found?,
        };
        found.retain(|record| wanted.fits(record.route()));
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

/// What a dump is to be of; filtered by the kernel, and here for kernels that don't.
struct Wanted {
    family: Family,
    table: Option<u32>,
    protocol: Option<RouteProtocol>,
}

impl Wanted {
    fn message(&self) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = address_family(self.family);
        // Numbers above 255 fit the attribute only, which the kernel prefers anyway.
        message.attributes.extend(self.table.map(RouteAttribute::Table));
        if let Some(protocol) = self.protocol {
            message.header.protocol = u8::from(protocol).into();
        }
        message
    }

    fn fits(&self, route: &Route) -> bool {
        Family::of(route.destination.base()) == self.family
            && self.table.is_none_or(|table| table == route.table)
            && self.protocol.is_none_or(|protocol| protocol == route.protocol)
    }
}
