//! Decisions as values, from the parameters and from what the host's tables show. Pure.

pub(crate) mod carrier;
pub(crate) mod controls;
pub(crate) mod judge;
pub(crate) mod names;
pub(crate) mod own_address;
pub(crate) mod plan;
pub(crate) mod routing;
pub(crate) mod silence;
pub(crate) mod target;
