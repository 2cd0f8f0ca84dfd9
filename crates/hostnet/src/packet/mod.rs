//! Ethernet frames: ARP and Neighbor Discovery as bytes, and the socket that sends and receives
//! them. This is the only module that knows pnet and socket2.

pub mod arp;
mod filter;
pub mod ndisc;
mod socket;

pub use socket::{EtherType, PacketSocket};
