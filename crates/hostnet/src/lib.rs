//! Linux host networking with typed values: links, addresses, routes, rules, ARP and Neighbor
//! Discovery, sockets, sysctls, namespaces.
//!
//! The crate uses kernel interfaces only: rtnetlink, sock_diag, `AF_PACKET`, `/proc/sys`. Nothing
//! here starts a process or a thread, and every call that could wait takes a
//! [`Deadline`](deadline::Deadline). The crate knows nothing of OCF or SIP.
//!
//! Where the kernel has no memory, buffer or descriptor left ([`Error::is_transient`]) a call tries
//! again, for half of the time to its deadline. Calls without a deadline do so for two seconds at
//! most, and [`PacketSocket::send`] for a tenth of a second.
//!
//! Everything acts on the network namespace of the calling thread.

mod address;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod link;
mod lookup;
mod neighbour;
mod netlink;
mod netns;
mod packet;
mod readiness;
mod retry;
mod route;
mod rule;
mod sctp;
mod socket;
mod sysctl;
mod text;

pub use address::{
    Address, AddressFlags, Family, InvalidNetmask, InvalidNetwork, InvalidPrefix, Lifetime,
    Network, NewAddress, Prefix, Scope,
};
pub use error::{Capability, Error, Result};
pub use link::{
    InvalidLinkName, InvalidMacAddress, Link, LinkIndex, LinkName, MacAddress, OperationalState,
};
pub use lookup::{LinkCondition, condition, link_in_network, link_with_mac};
pub use neighbour::{Neighbour, NeighbourState};
pub use netlink::{EventGroup, Events, Netlink, RouteRecord, SockDiag, destroy_tcp_connections};
pub use netns::{InvalidNamespaceName, NamespaceName, NetworkNamespace};
pub use packet::{EtherType, PacketSocket, arp, ndisc};
pub use route::{Route, RouteKind, RouteProtocol, TABLE_MAIN};
pub use rule::{OtherSelectors, PacketMark, Rule, RuleAction};
pub use sctp::{supports_sctp, try_sctp_bind};
pub use socket::{BoundSocket, Protocol};
pub use sysctl::Sysctl;
