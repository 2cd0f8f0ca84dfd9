//! SIP, as much of it as asking OPTIONS takes (RFC 3261).

mod framing;
pub mod message;
pub mod probe;
mod stream;
pub mod target;
mod tls;
mod udp;
mod unsent;
