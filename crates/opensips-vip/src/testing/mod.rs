//! What unit tests share.

pub(crate) mod fixtures;
mod simulated_kernel;
