//! Where the daemon listens: what it declares, what the kernel shows, whose sockets and addresses
//! those are.

pub mod addresses;
pub(crate) mod expected;
pub mod listener;
pub mod nonlocal_bind;
pub mod obstacles;
pub mod owner;
pub mod table;
pub mod virtual_address;
