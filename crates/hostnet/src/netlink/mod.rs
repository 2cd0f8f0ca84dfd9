//! The kernel over netlink(7): rtnetlink's tables, the table of sockets, and events.
//!
//! This is the only module that knows rtnetlink, its family of packet crates and tokio: breaking
//! releases of these crates are frequent.

mod address;
mod connection;
mod events;
mod exchange;
mod handle;
mod interface;
mod link;
mod message;
mod neighbour;
mod route;
mod route_record;
mod rule;
mod sock_diag;
mod wire;

pub use events::{EventGroup, Events};
pub use handle::Netlink;
pub use route_record::RouteRecord;
pub use sock_diag::{SockDiag, bound_sockets, destroy_tcp_connections};

#[cfg(test)]
mod tests;
