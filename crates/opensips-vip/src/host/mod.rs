//! The host: what its tables show, and changes of them.

pub(crate) mod deletion;
pub(crate) mod ipv6;
pub(crate) mod managers;
pub(crate) mod namespace;
pub(crate) mod run_files;
pub(crate) mod source_routing;
pub(crate) mod tables;
pub(crate) mod zone;
