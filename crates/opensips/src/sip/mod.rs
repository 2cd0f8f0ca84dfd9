//! The part of SIP that a probe with OPTIONS needs (RFC 3261). A leaf room: it knows neither
//! parameters nor the instance.

mod framing;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub(crate) mod message;
pub(crate) mod probe;
pub(crate) mod question;
mod stream;
pub(crate) mod target;
mod tls;
mod udp;
mod unsent;
mod websocket;
