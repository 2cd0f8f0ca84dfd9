//! SIP, as much of it as asking OPTIONS takes (RFC 3261).

pub mod message;
pub mod probe;
