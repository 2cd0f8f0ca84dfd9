//! Executing the daemon: to check its configuration and to serve; and what it says meanwhile.

pub(crate) mod config;
pub(crate) mod crash;
mod environment;
pub(crate) mod launch;
pub(crate) mod release;
pub(crate) mod startup;
pub(crate) mod words;
