//! What is remembered of one instance, and which processes belong to it.

pub mod identity;
pub mod state;
