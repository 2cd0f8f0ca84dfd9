//! Where the daemon listens: what it declares, what the kernel shows, whose addresses those are.

pub mod addresses;
pub mod listener;
pub mod nonlocal_bind;
pub mod table;
