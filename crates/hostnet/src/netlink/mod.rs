//! The kernel over netlink(7): the tables of rtnetlink(7) and sock_diag(7), and notifications.
//!
//! This is the only module that knows the crates rtnetlink, netlink-packet-sock-diag and tokio:
//! breaking releases are frequent.

mod address;
mod connection;
mod events;
mod exchange;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
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
pub use sock_diag::{SockDiag, destroy_tcp_connections};

#[cfg(test)]
mod tests;
