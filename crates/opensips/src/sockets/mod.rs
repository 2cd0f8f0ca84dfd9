//! The daemon's sockets: what it declares, what the kernel shows, which process holds it. A leaf
//! room: it knows neither parameters nor the instance.

pub(crate) mod addresses;
mod error;
pub(crate) mod expected;
pub(crate) mod listener;
pub(crate) mod nonlocal_bind;
pub(crate) mod obstacles;
pub(crate) mod owner;
pub(crate) mod table;
pub(crate) mod virtual_address;

pub(crate) use error::{Error, Result};
