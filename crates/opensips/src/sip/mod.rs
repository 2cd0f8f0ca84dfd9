//! The part of SIP that a probe with OPTIONS needs (RFC 3261). A leaf room: it knows neither
//! parameters nor the instance.

mod framing;
pub mod message;
pub mod probe;
mod stream;
pub mod target;
mod tls;
mod udp;
mod unsent;
