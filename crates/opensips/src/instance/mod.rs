//! What is remembered of one instance, and which processes belong to it.

pub(crate) mod identity;
pub(crate) mod state;
