//! Decisions as values, from the parameters and from what the host's tables show. Pure.

pub mod judge;
pub mod plan;
pub mod routing;
pub mod target;
